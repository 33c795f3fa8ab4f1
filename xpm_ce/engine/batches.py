"""Which sequences are computed together: sorted by length, under a budget of padded tokens.

This module knows lengths only.
"""

from collections.abc import Sequence

import numpy as np

from xpm_ce.errors import ConfigurationError


def token_sorted_batches(lengths: Sequence[int] | np.ndarray, *, tokens_per_batch: int) -> list[np.ndarray]:
    """Batches of positions, int64 `[sequences]` each, which together hold every position once.

    Batches go from long sequences to short ones, so that memory runs out at once or never; within a batch the order
    is the given one. A batch padded to its longest sequence holds at most `tokens_per_batch` tokens;
    ConfigurationError where one sequence alone is longer.
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
    batches, first = [], 0
    while first < len(order):
        count = tokens_per_batch // max(1, int(lengths[order[first]]))
        batches.append(np.sort(order[first : first + count]))
        first += count
    return batches
