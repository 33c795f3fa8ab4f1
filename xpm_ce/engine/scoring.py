"""Scores of many sequences: batches under a token budget, a forward function, and the order restored.

This module knows ids, lengths and a forward function, no model.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from xpm_ce.engine.batches import computed_tokens, token_sorted_batches
from xpm_ce.tokens.sequences import Sequences


class Forward(Protocol):
    """What gives sequences their scores."""

    @property
    def pads(self) -> bool:
        """Whether it fills sequences up to the longest that is computed with them."""

    def __call__(self, sequences: Sequences, dropout_keys: Tensor | None = None) -> Tensor:
        """Scores fp32 `[sequences]`; `dropout_keys` int32 `[sequences]` say what is dropped, None for nothing."""


class Scored(NamedTuple):
    """Scores and what they cost."""

    scores: np.ndarray
    """fp32 `[sequences]`, in the order of the input"""

    tokens: int
    """Tokens, without padding"""

    padded_tokens: int
    """Tokens computed, with padding where there is any"""


def score(
    sequences: Sequences,
    forward: Forward,
    *,
    tokens_per_batch: int,
    progress: Callable[[int], object] | None = None,
) -> Scored:
    """Score sequences without gradients; `progress` is called with the number of sequences after each batch.

    Scores stay on their device until the last batch is under way, so that nothing waits for it.
    """
    batches = token_sorted_batches(sequences.lengths, tokens_per_batch=tokens_per_batch, padded=forward.pads)
    if not batches:
        return Scored(np.empty(0, np.float32), 0, 0)
    order, parts, computed = np.concatenate(batches), [], 0
    with torch.inference_mode():
        for part in sequences.take(order).split([len(batch) for batch in batches]):
            parts.append(forward(part))
            computed += computed_tokens(part.lengths, padded=forward.pads)
            if progress is not None:
                progress(part.count)
    scores = np.empty(sequences.count, np.float32)
    scores[order] = torch.cat(parts).cpu().numpy()
    return Scored(scores, sequences.tokens, computed)
