"""Which sequences are computed together: sorted by length, under a budget of tokens.

This module knows lengths only.
"""

from collections.abc import Sequence

import numpy as np

from xpm_ce.errors import ConfigurationError


def token_sorted_batches(
    lengths: Sequence[int] | np.ndarray, *, tokens_per_batch: int, padded: bool
) -> list[np.ndarray]:
    """Batches of positions, int64 `[sequences]` each, which together hold every position once.

    Batches go from long sequences to short ones, so that memory runs out at once or never; within a batch, too,
    equal lengths stand together, in the given order. A batch holds at most `tokens_per_batch` tokens, counted with
    the padding to its longest sequence where that is computed (`padded`). ConfigurationError where one sequence
    alone is longer.
    """
    lengths = np.asarray(lengths, np.int64)
    if not len(lengths):
        return []
    order = np.argsort(-lengths, kind="stable")
    if lengths[order[0]] > tokens_per_batch:
        raise ConfigurationError(
            f"tokens_per_batch is {tokens_per_batch}, but a sequence has {lengths[order[0]]} tokens",
            remedy="Raise tokens_per_batch to the max_length of the scorer or more, or lower max_length.",
        )
    ends = np.cumsum(lengths[order])
    batches, first = [], 0
    while first < len(order):
        if padded:
            last = first + tokens_per_batch // max(1, int(lengths[order[first]]))
        else:
            before = int(ends[first - 1]) if first else 0
            last = int(np.searchsorted(ends, before + tokens_per_batch, side="right"))
        batches.append(order[first:last])
        first = last
    return batches


def computed_tokens(lengths: np.ndarray, *, padded: bool) -> int:
    """Tokens that a batch of sequences of these lengths computes."""
    return int(lengths.max() * len(lengths) if padded else lengths.sum())
