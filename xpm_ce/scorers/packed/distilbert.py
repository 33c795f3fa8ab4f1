"""DistilBERT without padding: the modules of transformers, another path.

The last layer computes queries, feed-forward and norms of the first token only, which is all that the head reads. This
module does not know how its linear layers compute.
"""

from typing import Any

import torch
from torch import Tensor

from xpm_ce.engine.padding import Pack
from xpm_ce.scorers.packed.forward import MakeLinear, drop_tokens, normed
from xpm_ce.scorers.packed.layer import LayerParts, packed_layers


class PackedDistilBert:
    """The forward pass of a sequence classifier of this family, in the type `compute`."""

    def __init__(self, model: Any, make: MakeLinear, *, compute: torch.dtype):
        self._model, self._compute = model, compute
        self._layers = packed_layers([_parts(layer) for layer in model.base_model.transformer.layer], make)

    @staticmethod
    def computes(model: Any) -> bool:
        """Whether a model has nothing that this path leaves out."""
        return all(layer.ffn.chunk_size_feed_forward == 0 for layer in model.base_model.transformer.layer)

    def __call__(self, pack: Pack) -> tuple[Tensor, torch.dtype]:
        """Scores fp32 `[sequences]`, and the type of the hidden states."""
        model, embeddings = self._model, self._model.base_model.embeddings
        hidden = embeddings.word_embeddings(pack.ids) + embeddings.position_embeddings(pack.positions)
        hidden = drop_tokens(embeddings.dropout, normed(embeddings.LayerNorm, hidden), pack).to(self._compute)
        for layer in self._layers:
            hidden = layer(hidden, pack)
        first = model.pre_classifier(hidden).relu()
        return model.classifier(model.dropout(first))[:, 0].float(), hidden.dtype


def _parts(layer: Any) -> LayerParts:
    attention, block = layer.attention, layer.ffn
    return LayerParts(
        attention=attention,
        heads=attention.n_heads,
        query_key_value=[attention.q_lin, attention.k_lin, attention.v_lin],
        dense=attention.out_lin,
        middle=(None, layer.sa_layer_norm),
        up=block.lin1,
        activation=block.activation,
        down=block.lin2,
        outer=(block.dropout, layer.output_layer_norm),
    )
