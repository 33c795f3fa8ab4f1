"""A random order of any number of rows that is never held: each place is computed by itself, in constant memory.

A Feistel network over pairs of numbers (J. Black and P. Rogaway, Ciphers with Arbitrary Finite Domains, CT-RSA 2002),
its rounds keyed by SHAKE-128; what falls outside of the rows is sent through again. This module does not know what the
rows are.
"""

import math

import numpy as np

from xpm_ce.samplers.randomness import integers

ROUNDS = 8
"""Half rounds; Luby and Rackoff need 3 to 4 of them where the round function is random, this one is only well mixed"""


class Permutation:
    """The numbers below `size` in an order that is a function of the key: `permutation(places)` are those that stand
    there, int64 `[places]`, each number once."""

    def __init__(self, size: int, *key: object):
        self._size = size
        self._left = max(1, math.isqrt(max(size, 1) - 1) + 1)
        self._right = max(1, -(-size // self._left))
        self._keys = integers(ROUNDS, *key)

    def __call__(self, places: np.ndarray) -> np.ndarray:
        numbers = self._once(np.asarray(places, np.int64))
        # fewer than one in the square root of `size` stands outside, so this ends after a round or two
        while len(outside := np.flatnonzero(numbers >= self._size)):
            numbers[outside] = self._once(numbers[outside])
        return numbers

    def _once(self, numbers: np.ndarray) -> np.ndarray:
        """A permutation of the numbers below left x right, the least rectangle that holds `size`."""
        left, right = np.divmod(numbers, self._right)
        for round, key in enumerate(self._keys):
            if round % 2:
                right = (right + _below(self._right, left, key)) % self._right
            else:
                left = (left + _below(self._left, right, key)) % self._left
        return left * self._right + right


def _below(bound: int, values: np.ndarray, key: np.uint64) -> np.ndarray:
    """A number below `bound` for each value, as if at random, int64; `bound` is below 2^32."""
    mixed = values.astype(np.uint64) + key  # arithmetic modulo 2^64; the constants are those of SplitMix64
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return ((mixed >> np.uint64(32)) * np.uint64(bound) >> np.uint64(32)).astype(np.int64)
