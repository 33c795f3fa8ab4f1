"""Forward passes without padding, by family of encoders: each computes what the transformers model computes.

A family that has none is computed by its transformers model, padded. This module does not know how packs are made.
"""

import importlib
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from xpm_ce.engine.dropout import KeyedDropout, PackDropout
from xpm_ce.engine.linears import Linear
from xpm_ce.engine.padding import Pack

MakeLinear = Callable[..., Linear]
"""`make(modules, activation)`: linear layers that read the same input, as one"""


class PackedForward(Protocol):
    """A network whose linear layers were made by one function, in one type."""

    def __call__(self, pack: Pack) -> tuple[Tensor, torch.dtype]:
        """Scores fp32 `[sequences]`, and the type of the hidden states that they come from."""


FAMILIES = {
    "bert": "xpm_ce.scorers.packed.bert.PackedBert",
    "electra": "xpm_ce.scorers.packed.bert.PackedBert",
    "roberta": "xpm_ce.scorers.packed.bert.PackedBert",
    "xlm-roberta": "xpm_ce.scorers.packed.bert.PackedBert",
    "distilbert": "xpm_ce.scorers.packed.distilbert.PackedDistilBert",
    "modernbert": "xpm_ce.scorers.packed.modernbert.PackedModernBert",
}
"""Where the packed forward of a `model_type` is"""


def packed_class(model: Any) -> Any:
    """The class of packed forwards that computes a transformers model; None where there is none for it."""
    path = FAMILIES.get(model.config.model_type)
    if path is None:
        return None
    module, _, name = path.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    return found if found.computes(model) else None


def drops(module: nn.Module | None) -> PackDropout | None:
    """What a dropout module drops in a pack; None where it drops nothing."""
    return module.in_pack() if isinstance(module, KeyedDropout) else None


def drop_tokens(module: nn.Module | None, values: Tensor, pack: Pack, *, first_only: bool = False) -> Tensor:
    """`values` `[tokens, columns]` through a dropout module.

    With `first_only` they are `[sequences, columns]`, of the first tokens.
    """
    dropout = drops(module)
    return values if dropout is None else dropout.drop(values, _rows(dropout, pack, first_only))


def add_to(
    residual: Tensor, dense: Linear, inputs: Tensor, pack: Pack, *, after: nn.Module | None, first_only: bool = False
) -> Tensor:
    """`residual` plus what a linear layer makes of `inputs`, through the dropout module `after` it.

    All are `[tokens, columns]`; with `first_only` `[sequences, columns]`, of the first tokens.
    """
    dropout = drops(after)
    if dropout is None:
        return dense(inputs, residual)
    return dropout.drop(dense(inputs), _rows(dropout, pack, first_only), residual=residual)


def _rows(dropout: PackDropout, pack: Pack, first_only: bool) -> Tensor:
    sequences, positions = pack.sequences, pack.positions
    if first_only:
        sequences, positions = sequences[pack.starts], positions[pack.starts]
    return dropout.rows_of_tokens(sequences, positions)


def dropped_probabilities(module: nn.Module, probability: float) -> PackDropout | None:
    """What an attention module drops of the weights of a mean; None where it drops nothing."""
    place = getattr(module, "dropout_place", None)
    if place is None or not module.training or probability == 0:
        return None
    return place.in_pack(probability)


def normed(module: nn.LayerNorm, values: Tensor) -> Tensor:
    """Layer normalisation in the type of `values`, whatever the type of its weights."""
    weight, bias = (None if each is None else each.to(values.dtype) for each in (module.weight, module.bias))
    return torch.nn.functional.layer_norm(values, module.normalized_shape, weight, bias, module.eps)
