"""Sequences of different lengths as tensors: one after the other, or as one rectangle.

This module knows token ids, no model.
"""

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from xpm_ce.tokens.sequences import Sequences, positions, starts_of


class Batch(NamedTuple):
    """What a model reads at once, padded on the right."""

    ids: Tensor
    """Token ids, int64 `[sequences, longest]`"""

    mask: Tensor
    """1 where there is a token, int64 `[sequences, longest]`"""

    token_types: Tensor | None
    """Token types, 0 in padding, int64 `[sequences, longest]`; None where the model has none"""

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        types = None if self.token_types is None else self.token_types.to(device)
        return Batch(self.ids.to(device), self.mask.to(device), types)


@dataclass(frozen=True)
class Span:
    """Sequences of one length that stand together in a pack."""

    count: int
    """Sequences"""

    length: int
    """Tokens of each"""


class Pack(NamedTuple):
    """What a model reads at once, without padding; sequences of one length stand together."""

    ids: Tensor
    """Token ids, int64 `[tokens]`"""

    positions: Tensor
    """Place of each token in its sequence, from 0, int64 `[tokens]`"""

    sequences: Tensor
    """Number of the sequence that each token belongs to, int64 `[tokens]`"""

    starts: Tensor
    """Place of the first token of each sequence, int64 `[sequences]`"""

    token_types: Tensor | None
    """Token types, int64 `[tokens]`; None where the model has none"""

    spans: tuple[Span, ...]
    """The sequences, in order"""

    def to(self, device: torch.device) -> "Pack":
        """The same pack on another device."""
        if device.type == "cpu":
            return self
        types = None if self.token_types is None else _moved(self.token_types, device)
        ids, positions, sequences, starts = (
            _moved(each, device) for each in (self.ids, self.positions, self.sequences, self.starts)
        )
        return Pack(ids, positions, sequences, starts, types, self.spans)


def _moved(values: Tensor, device: torch.device) -> Tensor:
    """The same on a GPU, which need not have arrived yet."""
    return values.pin_memory().to(device, non_blocking=True)


def packed(sequences: Sequences) -> Pack:
    """One or more sequences as a pack, in order."""
    lengths, starts = sequences.lengths, starts_of(sequences.lengths)
    changes = np.flatnonzero(np.diff(lengths)) + 1
    edges = [0, *changes.tolist(), len(lengths)]
    spans = tuple(Span(last - first, int(lengths[first])) for first, last in itertools.pairwise(edges))
    types = sequences.token_types
    return Pack(
        torch.from_numpy(sequences.ids.astype(np.int64)),
        torch.from_numpy(positions(np.zeros_like(lengths), lengths)),
        torch.from_numpy(np.repeat(np.arange(len(lengths)), lengths)),
        torch.from_numpy(starts),
        None if types is None else torch.from_numpy(types.astype(np.int64)),
        spans,
    )


def padded(sequences: Sequences, *, padding_id: int) -> Batch:
    """One or more sequences as a batch, in order."""
    mask = np.arange(sequences.lengths.max()) < sequences.lengths[:, None]
    ids = np.full(mask.shape, padding_id, np.int64)
    # a mask assigns in the order of rows, so that one array fills the rectangle
    ids[mask] = sequences.ids
    types = None
    if sequences.token_types is not None:
        types = np.zeros(mask.shape, np.int64)
        types[mask] = sequences.token_types
    return Batch(
        torch.from_numpy(ids),
        torch.from_numpy(mask.astype(np.int64)),
        None if types is None else torch.from_numpy(types),
    )
