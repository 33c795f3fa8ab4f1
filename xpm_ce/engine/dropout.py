"""Dropout whose masks are a function of seed, step, sequence and place in the network, and of nothing else.

However a step's sequences are cut into batches or padded, the same numbers are dropped. A mask bit is murmur3's
finaliser of a key of its row and a key of its column, compared with a threshold: cheaper than a random stream, and
there is no state to save. This module knows no model.
"""

import hashlib
import zlib
from typing import NamedTuple

import torch
from torch import Tensor, nn

_FIRST, _SECOND, _STRIDE = -2048144789, -1028477387, -1640531527
"""murmur3's two multipliers and 2^32 divided by the golden ratio, as signed 32-bit integers"""


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


def dropped(shape: torch.Size, keys: Tensor, *, site: int, probability: float) -> Tensor:
    """Which numbers of a tensor `[sequences, ..., columns]` are dropped, bool; `keys` int32 `[sequences]`."""
    keys = mixed(keys ^ site)
    for length in shape[1:-1]:
        keys = mixed(keys.unsqueeze(-1) + _numbers(length, keys.device))
    columns = mixed(_numbers(shape[-1], keys.device))
    threshold = round(probability * 2**32) - 2**31
    return mixed(keys.unsqueeze(-1) ^ columns) < threshold


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
        keys, site = self.keys.take(self.site, shared=self.shared)
        shape = torch.Size((1, *values.shape)) if self.shared else values.shape
        if len(keys) != shape[0]:
            raise RuntimeError(f"{len(keys)} keys for {shape[0]} sequences")
        mask = dropped(shape, keys, site=site, probability=probability).view(values.shape)
        return values.masked_fill(mask, 0.0).mul_(1 / (1 - probability))  # keeps a byte a number for backward


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


def _signed(number: int) -> int:
    return number - 2**32 if number >= 2**31 else number
