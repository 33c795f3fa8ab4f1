"""What a ranking is, and how scores become an order that every evaluator agrees with.

This module does not know where scores come from, nor files.
"""

from typing import TYPE_CHECKING, NamedTuple

from xpm_ce.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike


class Ranking(NamedTuple):
    """The documents of one query, best first; no document stands twice."""

    documents: list[str]
    """Document ids, best first"""
    scores: "np.ndarray"
    """float32 [documents], not increasing"""


Rankings = dict[str, Ranking]
"""Rankings by query id"""


class Separated(NamedTuple):
    """Scores without ties."""

    scores: "np.ndarray"
    """float32 [documents], strictly decreasing"""
    ties: int
    """Documents whose score equalled that of the document before them, in float32"""


def trec_order(documents: list[str], scores: "ArrayLike") -> Ranking:
    """trec_eval's and pytrec_eval's order of a run: float32 score descending, ties by descending document id.

    Neither looks at the rank column. Scores `[documents]` in any order. DataError for a score that float32
    cannot hold.
    """
    import numpy as np

    values = _float32(scores)
    # Python compares code points, trec_eval bytes: UTF-8 keeps the order of the former in the latter.
    by_id = np.array(sorted(range(len(documents)), key=documents.__getitem__, reverse=True), dtype=np.int64)
    order = by_id[np.argsort(-values[by_id], kind="stable")]
    return Ranking([documents[position] for position in order.tolist()], values[order])


def separate(scores: "ArrayLike") -> Separated:
    """Lower each tied score to the next float32 below the one before it, so that no evaluator reorders them.

    Scores `[documents]`, best first. A score that was not tied moves only where the ones above were pushed
    onto it. DataError where scores increase, are not finite, or leave no room below.
    """
    import numpy as np

    values = _float32(scores)
    if np.any(values[1:] > values[:-1]):
        position = int(np.flatnonzero(values[1:] > values[:-1])[0])
        raise DataError(
            f"the score {values[position + 1]} at rank {position + 2} is above {values[position]} before it",
            remedy="Sort the documents by score before writing them.",
        )
    # Floats of one sign are ordered as their bit patterns are: in these integers neighbours differ by 1, +0
    # and -0 are one, and "at least 1 below the previous" is a running minimum once each rank has been added.
    bits = values.view(np.int32).astype(np.int64)
    steps = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    ranks = np.arange(len(steps))
    lowered = np.minimum.accumulate(steps + ranks) - ranks if len(steps) else steps
    if np.any(lowered <= -0x7F800000):
        raise DataError(
            "tied scores at the lowest float32 leave no room to separate them", remedy="Rescale the scores."
        )
    separated = np.where(lowered < 0, -lowered | 0x80000000, lowered).astype(np.uint32).view(np.float32)
    return Separated(separated, int(np.count_nonzero(steps[1:] == steps[:-1])))


def _float32(scores: "ArrayLike") -> "np.ndarray":
    """Scores as float32 `[documents]`; DataError for NaN, infinity and what float32 cannot hold."""
    import numpy as np

    with np.errstate(over="ignore"):
        values = np.asarray(scores).astype(np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        position = int(np.flatnonzero(~finite)[0])
        raise DataError(
            f"score {position + 1} is {np.asarray(scores)[position]}, which float32 cannot hold",
            remedy="The model that gave it has overflowed or diverged: look at its training curve.",
        )
    return values
