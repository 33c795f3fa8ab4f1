"""Dropout whose masks are a function of seed, step, sequence and place in the network, and of nothing else.

However a step's sequences are cut into batches, padded or packed, the same numbers are dropped. A mask bit is the
product of an odd random key of its row and one of its column, modulo 2^32, compared with a threshold: two passes over
the numbers, where a random stream takes a dozen. Masks are not kept for the backward pass, but made again, and there is
no state to save. Keys are murmur3's finaliser of keys above them. This module knows no model.
"""

import hashlib
import zlib
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_FIRST, _SECOND, _STRIDE = -2048144789, -1028477387, -1640531527
"""murmur3's two multipliers and 2^32 divided by the golden ratio, as signed 32-bit integers"""

_WHOLE = {2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Whole numbers by their size in bytes"""


def mixed(keys: Tensor) -> Tensor:
    """murmur3's 32-bit finaliser of each key, in place; int32, products wrap around."""
    for bits, factor in ((16, _FIRST), (13, _SECOND)):
        # an arithmetic shift copies the sign: the mask makes it a logical one
        keys.bitwise_xor_((keys >> bits).bitwise_and_((1 << (32 - bits)) - 1)).mul_(factor)
    return keys.bitwise_xor_((keys >> 16).bitwise_and_(0xFFFF))


def sequence_keys(count: int, *, seed: int, step: int) -> Tensor:
    """A key for each sequence of a training step, int32 `[sequences]`."""
    digest = hashlib.sha256(f"dropout:{seed}:{step}".encode()).digest()
    start = int.from_bytes(digest[:4], "little", signed=True)
    return mixed(_numbers(count, torch.device("cpu")).bitwise_xor_(start))


def _numbers(count: int, device: torch.device) -> Tensor:
    """Well separated int32 numbers `[count]`, the same for each index whatever the count."""
    return torch.arange(1, count + 1, dtype=torch.int32, device=device).mul_(_STRIDE)


def _numbers_at(positions: Tensor) -> Tensor:
    """The numbers of `_numbers` at some positions, int32."""
    return (positions.to(torch.int32) + 1).mul_(_STRIDE)


def kept(rows: Tensor, columns: int, *, probability: float) -> Tensor:
    """Which numbers of `[..., columns]` are not dropped, int32, 0 or 1; `rows` are the rows' keys, int32 `[...]`."""
    odd = mixed(_numbers(columns, rows.device)).bitwise_or_(1)
    threshold = round(probability * 2**32) - 2**31
    return ((rows | 1).unsqueeze(-1) * odd).ge_(threshold)


def row_keys(keys: Tensor, *axes: int) -> Tensor:
    """A key for each row below the given ones, int32 `[*keys.shape, *axes]`."""
    for length in axes:
        keys = mixed(keys.unsqueeze(-1) + _numbers(length, keys.device))
    return keys


def without(values: Tensor, rows: Tensor, probability: float) -> Tensor:
    """`values` `[..., columns]` with some set to 0, the others not scaled up; it has no gradient."""
    # bits times 0 or 1: whole numbers are multiplied where a mask of bytes takes five times as long
    whole = _WHOLE[values.element_size()]
    ones = kept(rows, values.shape[-1], probability=probability).to(whole)
    return torch.mul(values.view(whole), ones, out=ones).view(values.dtype)


class _Dropped(torch.autograd.Function):
    """Some numbers set to 0 and the others scaled up, added to `residual` where there is one."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, rows: Tensor, probability: float, residual: Tensor | None) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.probability = probability
        left, scale = without(values, rows, probability), 1 / (1 - probability)
        return left.mul_(scale) if residual is None else torch.add(residual, left, alpha=scale, out=left)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, None, None, Tensor | None]:  # type: ignore[override]
        (rows,) = ctx.saved_tensors
        left = without(slopes, rows, ctx.probability).mul_(1 / (1 - ctx.probability))
        return left, None, None, slopes if ctx.needs_input_grad[3] else None


class DropoutKeys:
    """The keys of the sequences that are being computed, shared by all places of a network."""

    def __init__(self) -> None:
        self._keys: Tensor | None = None
        self._met: dict[int, int] = {}

    def begin(self, keys: Tensor | None) -> None:
        """Give the keys of a forward pass, int32 `[sequences]`; None where nothing is to be dropped."""
        self._keys, self._met = keys, {}

    def take(self, site: int, *, shared: bool) -> tuple[Tensor, int]:
        """The keys, and the number of a place: another one at each visit within a forward pass.

        A tensor that all sequences share gets one key, for which the first sequence's would depend on the batch.
        """
        if self._keys is None:
            raise RuntimeError("dropout in training needs the keys of its sequences")
        visit = self._met[site] = self._met.get(site, 0) + 1
        keys = self._keys.new_zeros(1) if shared else self._keys
        return keys, _signed(zlib.crc32(visit.to_bytes(4, "little"), site))


class Place(NamedTuple):
    """Where in a network something is dropped."""

    keys: DropoutKeys
    site: int
    shared: bool = False
    """Whether the tensor has no axis of sequences"""

    def drop(self, values: Tensor, probability: float) -> Tensor:
        """`values` `[sequences, ..., columns]` with some set to 0 and the others scaled up."""
        keys = self._keys()
        shape = (1, *values.shape) if self.shared else values.shape
        if len(keys) != shape[0]:
            raise RuntimeError(f"{len(keys)} keys for {shape[0]} sequences")
        rows = row_keys(keys, *shape[1:-1])
        return _Dropped.apply(values, rows.view(values.shape[:-1]), probability, None)

    def in_pack(self, probability: float) -> "PackDropout":
        """What is dropped here where sequences are not padded."""
        return PackDropout(self._keys(), probability)

    def _keys(self) -> Tensor:
        keys, site = self.keys.take(self.site, shared=self.shared)
        return mixed(keys ^ site)


class PackDropout(NamedTuple):
    """What a place drops in sequences that are not padded: the same as in padded ones."""

    keys: Tensor
    """The keys of the sequences at this place, int32 `[sequences]`"""

    probability: float

    def drop(self, values: Tensor, rows: Tensor, *, residual: Tensor | None = None) -> Tensor:
        """Drop in `values` `[..., columns]`, whose rows have the keys `[...]`; `residual` is added to what is left."""
        return _Dropped.apply(values, rows, self.probability, residual)

    def rows_of_tokens(self, sequences: Tensor, positions: Tensor) -> Tensor:
        """The key of each token, int32 `[tokens]`: of which sequence it is, and where it stands in it."""
        return mixed(self.keys[sequences] + _numbers_at(positions))

    def rows_of_heads(self, heads: int, sequences: Tensor, positions: Tensor) -> Tensor:
        """The key of each token as a query of each head, int32 `[tokens, heads]`."""
        return mixed(row_keys(self.keys, heads)[sequences] + _numbers_at(positions).unsqueeze(1))


def site_of(name: str) -> int:
    """The number of a place, by its dotted name in the network."""
    return zlib.crc32(name.encode())


class KeyedDropout(nn.Module):
    """What stands where nn.Dropout stood."""

    def __init__(self, probability: float, place: Place):
        super().__init__()
        self.p, self.place = probability, place

    def forward(self, values: Tensor) -> Tensor:
        return self.place.drop(values, self.p) if self.training and self.p > 0 else values

    def in_pack(self) -> PackDropout | None:
        """What is dropped in sequences that are not padded; None where nothing is."""
        return self.place.in_pack(self.p) if self.training and self.p > 0 else None


def _signed(number: int) -> int:
    return number - 2**32 if number >= 2**31 else number
