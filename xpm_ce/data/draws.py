"""Reproducible random choices, made from the raw integers of a PCG64 bit stream.

numpy promises that bit streams stay as they are, but not what its distributions make of them; so nothing here uses
one. Streams of different purposes are independent. This module does not know what is drawn.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")

BLOCK = 1024
"""Integers that are taken from the stream together"""


class Draws:
    """A stream of choices for one purpose, the same for equal `seed` and `purpose` on every machine."""

    def __init__(self, seed: int, purpose: str):
        entropy = int.from_bytes(hashlib.sha256(f"xpm-ce {seed} {purpose}".encode()).digest(), "little")
        self._stream = np.random.PCG64(np.random.SeedSequence(entropy))
        self._block: list[int] = []

    def below(self, bound: int) -> int:
        """A whole number from 0 to `bound` - 1, where `bound` is below 2^32; its bias is below `bound` / 2^32."""
        if not self._block:
            self._block = self._stream.random_raw(BLOCK).tolist()
        return ((self._block.pop() >> 32) * bound) >> 32

    def many_below(self, bound: int, size: int) -> np.ndarray:
        """The same `size` times at once, int64 `[size]`."""
        raw = self._stream.random_raw(size) >> np.uint64(32)
        return ((raw * np.uint64(bound)) >> np.uint64(32)).astype(np.int64)

    def happens(self, percent: int) -> bool:
        """True in so many of a hundred cases."""
        return self.below(100) < percent

    def one_of(self, items: Sequence[Item]) -> Item:
        """An item, each with equal chance."""
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """The items in a random order (Fisher-Yates)."""
        shuffled = list(items)
        for last in range(len(shuffled) - 1, 0, -1):
            other = self.below(last + 1)
            shuffled[last], shuffled[other] = shuffled[other], shuffled[last]
        return shuffled

    def bell(self, size: int) -> np.ndarray:
        """Whole numbers around 0 with standard deviation 65536, nearly normal, int64 `[size]`.

        Each is the sum of 12 numbers of 16 bits less their mean, so it lies within 6 deviations.
        """
        raw = self._stream.random_raw(3 * size).reshape(size, 3, 1)
        shifts = np.arange(0, 64, 16, dtype=np.uint64)
        return ((raw >> shifts) & np.uint64(0xFFFF)).astype(np.int64).sum(axis=(1, 2)) - 6 * 0xFFFF
