"""Triples as they are: a query with its positive and its negative, as pointwise and pairwise losses were trained on.

This module does not know who chose the negatives.
"""

from typing import TYPE_CHECKING

from experimaestro import Constant, Param, field

from xpm_ce.data.supervision import LABELS
from xpm_ce.data.training_set import TRIPLES, StoredGroups
from xpm_ce.errors import ConfigurationError
from xpm_ce.samplers.sampler import Sampler

if TYPE_CHECKING:
    from xpm_ce.samplers.steps import DrawnGroup, Order

SHUFFLED, FILE = "shuffled", "file"


class TripleSampler(Sampler):
    """Every triple once an epoch: in another random order in each, which takes no memory, or as in the file."""

    __xpmid__ = "xpm_ce.samplers.triples"
    NAME = "triples"
    NEEDS = frozenset({LABELS})
    USABLE = "a triple"
    HOLDS = TRIPLES

    version: Constant[int] = 1
    """Raised when the same training set, seed and step give other groups"""

    order: Param[str] = field(default=SHUFFLED)
    """"shuffled" by the seed, anew in each epoch, or "file" for the file's own order in every epoch (arXiv 2603.03010
    reads the triples of MarginMSE so)"""

    def __validate__(self) -> None:
        self.check_step()
        if self.order not in (SHUFFLED, FILE):
            raise ConfigurationError(f"order is {self.order!r}", remedy=f"Give {SHUFFLED} or {FILE}.")

    def documents_per_group(self) -> int:
        return 2

    def arranged(self, groups: StoredGroups, seed: int) -> "Order":
        from xpm_ce.samplers.steps import FileOrder, PermutedOrder

        return FileOrder(len(groups)) if self.order == FILE else PermutedOrder(len(groups), seed)

    def incomplete(self, groups: StoredGroups) -> int:
        return 0

    def draw(self, groups: StoredGroups, query: int, *key: object) -> "DrawnGroup":
        from xpm_ce.samplers.steps import DrawnGroup

        return DrawnGroup(query, groups.documents(query), groups.labels(query), groups.teacher_scores(query))
