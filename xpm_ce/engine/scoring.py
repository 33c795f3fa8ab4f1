"""Scores of many sequences: batches under a token budget, a forward function, and the order restored.

This module knows ids, lengths and a forward function, no model.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from xpm_ce.engine.batches import token_sorted_batches
from xpm_ce.engine.padding import Batch, padded
from xpm_ce.tokens.pairs import EncodedPair

Forward = Callable[[Batch], Tensor]
"""Scores fp32 `[sequences]` of a batch"""


class Scored(NamedTuple):
    """Scores and what they cost."""

    scores: np.ndarray
    """fp32 `[sequences]`, in the order of the input"""

    tokens: int
    """Tokens, without padding"""

    padded_tokens: int
    """Tokens, with padding"""


def score(
    pairs: Sequence[EncodedPair],
    forward: Forward,
    *,
    padding_id: int,
    tokens_per_batch: int,
    device: torch.device,
    progress: Callable[[int], object] | None = None,
) -> Scored:
    """Score sequences without gradients; `progress` is called with the number of sequences after each batch."""
    lengths = np.array([len(pair.ids) for pair in pairs], np.int64)
    scores, padded_tokens = np.empty(len(pairs), np.float32), 0
    with torch.inference_mode():
        for batch in token_sorted_batches(lengths, tokens_per_batch=tokens_per_batch):
            inputs = padded([pairs[place] for place in batch], padding_id=padding_id)
            scores[batch] = forward(inputs.to(device)).cpu().numpy()
            padded_tokens += inputs.ids.numel()
            if progress is not None:
                progress(len(batch))
    return Scored(scores, int(lengths.sum()), padded_tokens)
