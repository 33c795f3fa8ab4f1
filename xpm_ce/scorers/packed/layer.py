"""A layer of the kind that BERT began, without padding: attention, then the feed-forward block, a norm after each.

This module does not know under which names a family keeps the parts, nor how linear layers compute.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn
from transformers.activations import GELUActivation

from xpm_ce.engine.attention import attend
from xpm_ce.engine.linears import GELU
from xpm_ce.engine.padding import Pack
from xpm_ce.scorers.packed.forward import MakeLinear, add_to, dropped_probabilities, normed


class LayerParts(NamedTuple):
    """The modules of a layer."""

    attention: Any
    """What drops probabilities: its `dropout` says how many"""

    heads: int
    """Heads of the attention"""

    query_key_value: list[nn.Linear]
    """The three linear layers before attention"""

    dense: nn.Linear
    """The linear layer after attention"""

    middle: tuple[nn.Module | None, nn.LayerNorm]
    """Dropout, where there is one, and norm after attention"""

    up: nn.Linear
    """The first linear layer of the feed-forward block"""

    activation: nn.Module
    """What comes between"""

    down: nn.Linear
    """The second one"""

    outer: tuple[nn.Module, nn.LayerNorm]
    """Dropout and norm after the feed-forward block"""


class PackedLayer:
    """The forward pass of a layer; the last one computes the first token of each sequence only."""

    def __init__(self, parts: LayerParts, make: MakeLinear, *, last: bool):
        query, *key_value = parts.query_key_value
        self._parts, self._last = parts, last
        self._scale = (query.out_features // parts.heads) ** -0.5
        self._fused = isinstance(parts.activation, GELUActivation)
        if last:
            self._query, self._key_value = make([query]), make(key_value)
        else:
            self._query_key_value = make([query, *key_value])
        self._dense, self._down = make([parts.dense]), make([parts.down])
        self._up = make([parts.up], GELU if self._fused else None)

    def __call__(self, hidden: Tensor, pack: Pack) -> Tensor:
        """`[tokens, hidden]` to the same; to `[sequences, hidden]`, of the first tokens, in the last layer."""
        parts, shape = self._parts, (self._parts.heads, hidden.shape[-1] // self._parts.heads)
        if self._last:
            residual = hidden[pack.starts]
            query = self._query(residual).unflatten(-1, shape)
            key, value = self._key_value(hidden).unflatten(-1, (2, *shape)).unbind(1)
        else:
            residual = hidden
            query, key, value = self._query_key_value(hidden).unflatten(-1, (3, *shape)).unbind(1)
        dropped = dropped_probabilities(parts.attention, parts.attention.dropout.p)
        taken = attend(query, key, value, pack, scale=self._scale, first_only=self._last, dropout=dropped)
        dropout, norm = parts.middle
        middle = normed(norm, add_to(residual, self._dense, taken, pack, after=dropout, first_only=self._last))
        inner = self._up(middle)
        if not self._fused:
            inner = parts.activation(inner)
        dropout, norm = parts.outer
        return normed(norm, add_to(middle, self._down, inner, pack, after=dropout, first_only=self._last))


def packed_layers(parts: Sequence[LayerParts], make: MakeLinear) -> list[PackedLayer]:
    """The layers of an encoder whose head reads the first token."""
    return [PackedLayer(each, make, last=number == len(parts)) for number, each in enumerate(parts, start=1)]
