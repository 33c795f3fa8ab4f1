"""BERT, ELECTRA, MiniLM, RoBERTa and XLM-RoBERTa without padding: the modules of transformers, another path.

The last layer computes queries, feed-forward and norms of the first token only, which is all that the head reads. This
module does not know how its linear layers compute.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import GELUActivation

from xpm_ce.engine.attention import attend
from xpm_ce.engine.linears import GELU
from xpm_ce.engine.padding import Pack
from xpm_ce.scorers.packed.forward import MakeLinear, drop_tokens, dropped_probabilities, normed


class PackedBert:
    """The forward pass of a sequence classifier of this family, in the type `compute`."""

    def __init__(self, model: Any, make: MakeLinear, *, compute: torch.dtype):
        self._model, self._base, self._compute = model, model.base_model, compute
        project = getattr(self._base, "embeddings_project", None)
        self._project = None if project is None else make([project])
        self._layers = [PackedLayer(layer, make) for layer in self._base.encoder.layer]

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
        for layer in self._layers[:-1]:
            hidden = layer(hidden, pack)
        first = self._layers[-1](hidden, pack, first_only=True)
        return self._head(first.unsqueeze(1))[:, 0].float(), hidden.dtype

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


class PackedLayer:
    """One layer: attention among the tokens of each sequence, then the feed-forward block."""

    def __init__(self, layer: Any, make: MakeLinear):
        attention = layer.attention.self
        self._attention, self._after, self._output = attention, layer.attention.output, layer.output
        self._activation: nn.Module = layer.intermediate.intermediate_act_fn
        self._fused = isinstance(self._activation, GELUActivation)
        self._query_key_value = make([attention.query, attention.key, attention.value])
        self._query, self._key_value = make([attention.query]), make([attention.key, attention.value])
        self._dense, self._down = make([layer.attention.output.dense]), make([layer.output.dense])
        self._up = make([layer.intermediate.dense], GELU if self._fused else None)

    def __call__(self, hidden: Tensor, pack: Pack, *, first_only: bool = False) -> Tensor:
        """`[tokens, hidden]` to the same; `[sequences, hidden]`, of the first tokens, with `first_only`."""
        shape = (self._attention.num_attention_heads, self._attention.attention_head_size)
        if first_only:
            residual = hidden[pack.starts]
            query = self._query(residual).unflatten(-1, shape)
            key, value = self._key_value(hidden).unflatten(-1, (2, *shape)).unbind(1)
        else:
            residual = hidden
            query, key, value = self._query_key_value(hidden).unflatten(-1, (3, *shape)).unbind(1)
        taken = attend(
            query,
            key,
            value,
            pack.spans,
            scale=self._attention.scaling,
            first_only=first_only,
            dropout=dropped_probabilities(self._attention, self._attention.dropout.p),
        )
        middle = drop_tokens(self._after.dropout, self._dense(taken), pack, first_only=first_only)
        middle = normed(self._after.LayerNorm, middle + residual)
        inner = self._up(middle)
        if not self._fused:
            inner = self._activation(inner)
        outer = drop_tokens(self._output.dropout, self._down(inner), pack, first_only=first_only)
        return normed(self._output.LayerNorm, outer + middle)
