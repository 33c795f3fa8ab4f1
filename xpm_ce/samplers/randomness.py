"""Random choices that are a function of a key alone, the same with any version of any library.

The bits are SHAKE-128 (FIPS 202) of the key's text: no state to store, any draw can be repeated by itself.
This module does not know what is chosen.
"""

import hashlib

import numpy as np


def integers(count: int, *key: object) -> np.ndarray:
    """Random 64-bit integers of a key, uint64 `[count]`."""
    text = ":".join(map(str, key))
    return np.frombuffer(hashlib.shake_128(text.encode()).digest(8 * count), "<u8")


def shuffled(count: int, *key: object) -> np.ndarray:
    """The numbers below `count` in random order, int64 `[count]`."""
    return np.argsort(integers(count, *key), kind="stable")


def drawn(count: int, size: int, *key: object) -> list[int]:
    """`size` distinct numbers below `count` in random order; all of them where `count` is smaller.

    The first steps of a Fisher-Yates shuffle, in time and memory of `size`. Taking 64 bits modulo `count`
    changes a probability by less than 2^-32 of it while `count` is below 2^32.
    """
    chosen: list[int] = []
    moved: dict[int, int] = {}
    for position, integer in enumerate(integers(min(count, size), *key).tolist()):
        other = position + integer % (count - position)
        chosen.append(moved.get(other, other))
        moved[other] = moved.get(position, position)
    return chosen
