"""The steps of a training: which queries each one passes, in which epoch, and the groups drawn for them.

This module does not know how a group is drawn, nor what is computed from it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from xpm_ce.data.training_set import StoredGroups
from xpm_ce.samplers.randomness import shuffled


class DrawnGroup(NamedTuple):
    """The documents of one query that a step scores together."""

    query_index: int
    """Number of the query in the training set"""

    documents: np.ndarray
    """Rows of the document store, int64 `[group]`"""

    labels: np.ndarray
    """Grade of each document, -1 where unjudged, int16 `[group]`"""

    teacher_scores: np.ndarray
    """Score by the teacher, nan where there is none, float32 `[group]`"""


class Steps:
    """The groups of any step, in any order of asking: there is no state to save or to restore.

    `draw(groups, query, *key)` gives a group. `usable` and `skipped` are numbers of queries, `incomplete` that of the
    documents that are never drawn. In memory are the usable queries and their order in two epochs.
    """

    def __init__(
        self,
        groups: StoredGroups,
        usable: np.ndarray,
        *,
        seed: int,
        queries: int,
        draw: Callable[..., DrawnGroup],
    ):
        self.supervision = groups.supervision
        self.usable = int(usable.sum())
        self.skipped = len(groups) - self.usable
        self.incomplete = groups.rows - int(groups.count(lambda labels, scores: groups.complete(scores)).sum())
        self._groups, self._seed, self._queries, self._draw = groups, seed, queries, draw
        self._usable = np.flatnonzero(usable)
        self._orders: dict[int, np.ndarray] = {}

    def epochs(self, step: int) -> float:
        """How many times all usable queries have been passed before a step."""
        return step * self._queries / self.usable

    def step(self, step: int) -> list[DrawnGroup]:
        """The groups of a step, counted from 0."""
        drawn = []
        for position in range(step * self._queries, (step + 1) * self._queries):
            epoch, place = divmod(position, self.usable)
            query = int(self._order(epoch)[place])
            drawn.append(self._draw(self._groups, query, self._seed, epoch, query))
        return drawn

    def _order(self, epoch: int) -> np.ndarray:
        """The usable queries in the order of an epoch; the last two epochs asked for are kept."""
        if epoch not in self._orders:
            while len(self._orders) > 1:
                del self._orders[next(iter(self._orders))]
            self._orders[epoch] = self._usable[shuffled(self.usable, self._seed, epoch, "order")]
        return self._orders[epoch]
