"""BERT, ELECTRA, MiniLM, RoBERTa and XLM-RoBERTa without padding: the modules of transformers, another path.

The last layer computes queries, feed-forward and norms of the first token only, which is all that the head reads. This
module does not know how its linear layers compute.
"""

from typing import Any

import torch
from torch import Tensor

from xpm_ce.engine.padding import Pack
from xpm_ce.scorers.packed.forward import MakeLinear, drop_tokens, normed
from xpm_ce.scorers.packed.layer import LayerParts, packed_layers


class PackedBert:
    """The forward pass of a sequence classifier of this family, in the type `compute`."""

    def __init__(self, model: Any, make: MakeLinear, *, compute: torch.dtype):
        self._model, self._base, self._compute = model, model.base_model, compute
        project = getattr(self._base, "embeddings_project", None)
        self._project = None if project is None else make([project])
        self._layers = packed_layers([_parts(layer) for layer in self._base.encoder.layer], make)

    @staticmethod
    def computes(model: Any) -> bool:
        """Whether a model has nothing that this path leaves out."""
        config = model.config
        return (
            not config.is_decoder
            and getattr(config, "position_embedding_type", "absolute") in ("absolute", None)
            and config.chunk_size_feed_forward == 0
        )

    def __call__(self, pack: Pack) -> tuple[Tensor, torch.dtype]:
        """Scores fp32 `[sequences]`, and the type of the hidden states."""
        hidden = self._embedded(pack).to(self._compute)
        if self._project is not None:
            hidden = self._project(hidden)
        for layer in self._layers:
            hidden = layer(hidden, pack)
        return self._head(hidden.unsqueeze(1))[:, 0].float(), hidden.dtype

    def _embedded(self, pack: Pack) -> Tensor:
        """`[tokens, embedding]`."""
        embeddings = self._base.embeddings
        types = torch.zeros_like(pack.ids) if pack.token_types is None else pack.token_types
        # RoBERTa counts positions from behind its padding id
        offset = embeddings.padding_idx + 1 if hasattr(embeddings, "padding_idx") else 0
        hidden = embeddings.word_embeddings(pack.ids) + embeddings.token_type_embeddings(types)
        hidden = hidden + embeddings.position_embeddings(pack.positions + offset)
        return drop_tokens(embeddings.dropout, normed(embeddings.LayerNorm, hidden), pack)

    def _head(self, first: Tensor) -> Tensor:
        """Scores `[sequences, 1]` of the first hidden states `[sequences, 1, hidden]`."""
        pooler = getattr(self._base, "pooler", None)
        if pooler is None:
            return self._model.classifier(first)
        return self._model.classifier(self._model.dropout(pooler(first)))


def _parts(layer: Any) -> LayerParts:
    attention, after = layer.attention.self, layer.attention.output
    return LayerParts(
        attention=attention,
        heads=attention.num_attention_heads,
        query_key_value=[attention.query, attention.key, attention.value],
        dense=after.dense,
        middle=(after.dropout, after.LayerNorm),
        up=layer.intermediate.dense,
        activation=layer.intermediate.intermediate_act_fn,
        down=layer.output.dense,
        outer=(layer.output.dropout, layer.output.LayerNorm),
    )
