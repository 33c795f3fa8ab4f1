"""Lists of documents of a query, as losses on a teacher's scores or order want them.

This module does not know which documents are relevant.
"""

from typing import TYPE_CHECKING

from experimaestro import Constant, Param

from xpm_ce.data.training_set import StoredGroups
from xpm_ce.samplers.sampler import Sampler

if TYPE_CHECKING:
    import numpy as np

    from xpm_ce.samplers.steps import DrawnGroup


class ListSampler(Sampler):
    """Documents drawn uniformly from the query's training group, in random order; all where it is short."""

    __xpmid__ = "xpm_ce.samplers.lists"
    NAME = "lists"
    NEEDS = frozenset()
    USABLE = "two documents, with a teacher score where the training set has a teacher"

    version: Constant[int] = 1
    """Raised when the same training set, seed and step give other groups"""

    documents: Param[int]
    """Documents of a list (arXiv 2405.07920 has 100, arXiv 2603.03010 has 50)"""

    def __validate__(self) -> None:
        self.at_least(2, "documents")
        self.check_step()

    def documents_per_group(self) -> int:
        return self.documents

    def usable(self, groups: StoredGroups) -> "np.ndarray":
        return groups.count(lambda labels, scores: groups.complete(scores)) > 1

    def draw(self, groups: StoredGroups, query: int, *key: object) -> "DrawnGroup":
        from xpm_ce.samplers.randomness import drawn
        from xpm_ce.samplers.steps import DrawnGroup

        labels, scores = groups.labels(query), groups.teacher_scores(query)
        complete = groups.complete(scores).nonzero()[0]
        chosen = complete[drawn(len(complete), self.documents, *key, "documents")]
        return DrawnGroup(query, groups.documents(query)[chosen], labels[chosen], scores[chosen])
