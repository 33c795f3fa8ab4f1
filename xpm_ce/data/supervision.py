"""What may be known about the documents of a training group, and under which names.

This module does not know where supervision comes from, nor which loss uses it; it does not load torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from xpm_ce.errors import ConfigurationError

if TYPE_CHECKING:
    from torch import Tensor

LABELS = "labels"
"""Relevance judgements: a grade for each judged document"""

TEACHER_SCORES = "teacher scores"
"""Real numbers of a teacher, whose differences mean something (higher is better)"""

TEACHER_ORDER = "teacher order"
"""A ranking by a teacher, whose positions alone mean something"""

KINDS = (LABELS, TEACHER_SCORES, TEACHER_ORDER)
"""Every kind of supervision"""

UNJUDGED = -1
"""The label of a document that nobody judged; every grade is greater"""


class Supervision(NamedTuple):
    """What is known about the documents of a step's groups; each tensor is float `[queries, group]`.

    A kind that the training set does not carry is None. Padding may hold any value.
    """

    labels: Tensor | None = None
    """Grade of each document; -1 where it is unjudged"""

    teacher_scores: Tensor | None = None
    """Score by the teacher, higher is better; nan where there is none"""

    teacher_ranks: Tensor | None = None
    """Rank by the teacher within the group, 1 is best, ties share their average; nan where there is none"""

    def of(self, kind: str) -> Tensor | None:
        """The tensor of one kind of supervision, None where it is missing."""
        return self[KINDS.index(kind)]


def carried(kinds: Iterable[str]) -> frozenset[str]:
    """Everything that data declared with `kinds` carries: teacher scores imply a teacher order.

    ConfigurationError for a kind that does not exist.
    """
    declared = frozenset(kinds)
    unknown = sorted(declared.difference(KINDS))
    if unknown:
        raise ConfigurationError(
            f"unknown kind of supervision: {', '.join(unknown)}", remedy=f"Kinds are {', '.join(KINDS)}."
        )
    return declared | {TEACHER_ORDER} if TEACHER_SCORES in declared else declared
