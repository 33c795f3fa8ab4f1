"""Groups of different lengths as rectangles of numbers, with the teacher's ranks.

This module does not know torch; whoever trains turns the arrays into tensors.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from xpm_ce.data.supervision import LABELS, TEACHER_ORDER, TEACHER_SCORES, UNJUDGED, Supervision, carried
from xpm_ce.samplers.steps import DrawnGroup


class PaddedGroups(NamedTuple):
    """The groups of a step, each a row as long as the longest; a kind of supervision not carried is None."""

    documents: np.ndarray
    """Rows of the document store, -1 in padding, int64 `[queries, group]`"""

    mask: np.ndarray
    """True where there is a document, bool `[queries, group]`"""

    labels: np.ndarray | None
    """Grade of each document, -1 where unjudged and in padding, float32 `[queries, group]`"""

    teacher_scores: np.ndarray | None
    """Score by the teacher, nan where there is none and in padding, float32 `[queries, group]`"""

    teacher_ranks: np.ndarray | None
    """Rank by the teacher within the group, 1 is best, nan as above, float32 `[queries, group]`"""

    def supervision(self, tensor: Callable[[np.ndarray], Any]) -> Supervision:
        """What losses are given, each array through `tensor`, such as `torch.from_numpy`."""
        known = (self.labels, self.teacher_scores, self.teacher_ranks)
        return Supervision(*(None if array is None else tensor(array) for array in known))


def pad(groups: Sequence[DrawnGroup], kinds: Iterable[str]) -> PaddedGroups:
    """Bring groups to one length; `kinds` is the supervision that their training set carries."""
    available = carried(kinds)
    lengths = np.array([len(group.documents) for group in groups])
    mask = np.arange(lengths.max()) < lengths[:, None]
    documents = np.full(mask.shape, -1, np.int64)
    labels = np.full(mask.shape, UNJUDGED, np.float32)
    scores = np.full(mask.shape, np.nan, np.float32)
    # a mask assigns in the order of rows, so that one concatenation fills each rectangle
    documents[mask] = np.concatenate([group.documents for group in groups])
    labels[mask] = np.concatenate([group.labels for group in groups])
    scores[mask] = np.concatenate([group.teacher_scores for group in groups])
    return PaddedGroups(
        documents,
        mask,
        labels if LABELS in available else None,
        scores if TEACHER_SCORES in available else None,
        average_ranks(scores) if TEACHER_ORDER in available else None,
    )


def average_ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks within the last axis, 1 for the highest score, ties share their average; float32 `[..., group]`.

    A score of nan has the rank nan and does not count for the others. Memory: `[..., group, group]` bytes.
    """
    of, against = scores[..., :, None], scores[..., None, :]
    ranks = (against > of).sum(-1) + ((against == of).sum(-1) + 1) / 2
    return np.where(np.isnan(scores), np.nan, ranks).astype(np.float32)
