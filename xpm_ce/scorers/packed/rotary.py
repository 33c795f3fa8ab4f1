"""Positions as rotations: pairs of numbers of a query or a key turn by an angle that grows with the position.

This module does not know which layers turn by which angles.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Rotation(NamedTuple):
    """How far each token of a pack is turned; cosines and sines stay fp32 whatever the queries are."""

    cosines: Tensor
    """fp32 `[tokens, 1, 1, width / 2]`"""

    sines: Tensor
    """fp32 `[tokens, 1, 1, width / 2]`"""

    @classmethod
    def of(cls, positions: Tensor, frequencies: Tensor) -> "Rotation":
        """For tokens at `positions` `[tokens]`, by angles per position, fp32 `[width / 2]`."""
        angles = torch.outer(torch.arange(int(positions.max()) + 1, device=positions.device), frequencies)
        return cls(*(each[positions].unsqueeze(1).unsqueeze(1) for each in (angles.cos(), angles.sin())))

    def turn(self, values: Tensor) -> Tensor:
        """`[tokens, parts, heads, width]`, each number of the first half turned with one of the second."""
        return _Turn.apply(values, self.cosines, self.sines)


class _Turn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        ctx.save_for_backward(cosines, sines)
        return _turned(values, cosines, sines)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        cosines, sines = ctx.saved_tensors
        return _turned(slopes, cosines, -sines), None, None


def _turned(values: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    first, second = values.float().chunk(2, dim=-1)
    turned = torch.empty(values.shape, dtype=torch.float32, device=values.device)
    one, other = turned.chunk(2, dim=-1)
    torch.mul(first, cosines, out=one).addcmul_(second, sines, value=-1)
    torch.mul(second, cosines, out=other).addcmul_(first, sines)
    return turned.to(values.dtype)
