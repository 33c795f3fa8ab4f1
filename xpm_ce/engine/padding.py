"""Sequences of different lengths as one rectangle of token ids.

This module knows token ids, no model.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from xpm_ce.tokens.pairs import EncodedPair


class Batch(NamedTuple):
    """What a model reads at once."""

    ids: Tensor
    """Token ids, padded on the right, int64 `[sequences, longest]`"""

    mask: Tensor
    """1 where there is a token, int64 `[sequences, longest]`"""

    token_types: Tensor | None
    """Token types, 0 in padding, int64 `[sequences, longest]`; None where the model has none"""

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        types = None if self.token_types is None else self.token_types.to(device)
        return Batch(self.ids.to(device), self.mask.to(device), types)


def padded(pairs: Sequence[EncodedPair], *, padding_id: int) -> Batch:
    """One or more sequences as a batch, in order."""
    lengths = np.array([len(pair.ids) for pair in pairs])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, padding_id, np.int64)
    # a mask assigns in the order of rows, so that one concatenation fills the rectangle
    ids[mask] = np.concatenate([pair.ids for pair in pairs])
    types = None
    if pairs[0].token_types is not None:
        types = np.zeros(mask.shape, np.int64)
        types[mask] = np.concatenate([pair.token_types for pair in pairs if pair.token_types is not None])
    return Batch(
        torch.from_numpy(ids),
        torch.from_numpy(mask.astype(np.int64)),
        None if types is None else torch.from_numpy(types),
    )
