"""The steps of a training: which groups each one passes, in which epoch, and the documents drawn for them.

This module does not know how documents are drawn, nor what is computed from them.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from xpm_ce.data.training_set import StoredGroups
from xpm_ce.samplers.permutation import Permutation
from xpm_ce.samplers.randomness import shuffled


class DrawnGroup(NamedTuple):
    """The documents of one query that a step scores together."""

    query_index: int
    """Number of the group in the training set"""

    documents: np.ndarray
    """Rows of the document store, int64 `[group]`"""

    labels: np.ndarray
    """Grade of each document, -1 where unjudged, int16 `[group]`"""

    teacher_scores: np.ndarray
    """Score by the teacher, nan where there is none, float32 `[group]`"""


class Order(Protocol):
    """The groups of an epoch, each once; `len` is their number."""

    def __len__(self) -> int: ...

    def at(self, epoch: int, places: np.ndarray) -> np.ndarray:
        """The groups at some places of an epoch, int64 `[places]`."""
        ...


class ShuffledOrder:
    """Some groups in another random order in each epoch; in memory are the groups and their order in two epochs."""

    def __init__(self, usable: np.ndarray, seed: int):
        """`usable` says which groups there are, bool `[groups]`."""
        self._usable, self._seed = np.flatnonzero(usable), seed
        self._orders: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._usable)

    def at(self, epoch: int, places: np.ndarray) -> np.ndarray:
        if epoch not in self._orders:
            while len(self._orders) > 1:
                del self._orders[next(iter(self._orders))]
            self._orders[epoch] = self._usable[shuffled(len(self), self._seed, epoch, "order")]
        return self._orders[epoch][places]


class PermutedOrder:
    """All groups in another random order in each epoch; nothing is in memory, however many there are."""

    def __init__(self, groups: int, seed: int):
        self._groups, self._seed = groups, seed

    def __len__(self) -> int:
        return self._groups

    def at(self, epoch: int, places: np.ndarray) -> np.ndarray:
        return Permutation(self._groups, self._seed, epoch, "permuted order")(places)


class FileOrder:
    """All groups as they are stored, the same in every epoch."""

    def __init__(self, groups: int):
        self._groups = groups

    def __len__(self) -> int:
        return self._groups

    def at(self, epoch: int, places: np.ndarray) -> np.ndarray:
        return places


class Steps:
    """The groups of any step, in any order of asking: there is no state to save or to restore.

    `draw(groups, group, *key)` gives a group. `usable` and `skipped` are numbers of groups, `incomplete` that of the
    documents that are never drawn.
    """

    def __init__(
        self,
        groups: StoredGroups,
        order: Order,
        *,
        seed: int,
        groups_per_step: int,
        incomplete: int,
        draw: Callable[..., DrawnGroup],
    ):
        self.supervision = groups.supervision
        self.usable, self.skipped, self.incomplete = len(order), len(groups) - len(order), incomplete
        self._groups, self._order, self._seed, self._draw = groups, order, seed, draw
        self._groups_per_step = groups_per_step

    def epochs(self, step: int) -> float:
        """How many times all usable groups have been passed before a step."""
        return step * self._groups_per_step / self.usable

    def step(self, step: int) -> list[DrawnGroup]:
        """The groups of a step, counted from 0."""
        first = step * self._groups_per_step
        epochs, places = np.divmod(np.arange(first, first + self._groups_per_step), self.usable)
        drawn = []
        for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
            for group in self._order.at(epoch, places[epochs == epoch]).tolist():
                drawn.append(self._draw(self._groups, group, self._seed, epoch, group))
        return drawn
