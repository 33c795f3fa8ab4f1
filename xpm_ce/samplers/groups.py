"""Groups of a few positives and a few negatives, as losses on labels want them.

This module does not know how the training set chose the documents from which it draws.
"""

from typing import TYPE_CHECKING

from experimaestro import Constant, Param, field

from xpm_ce.data.supervision import LABELS, UNJUDGED
from xpm_ce.data.training_set import StoredGroups
from xpm_ce.samplers.sampler import Sampler

if TYPE_CHECKING:
    import numpy as np

    from xpm_ce.samplers.steps import DrawnGroup


class GroupSampler(Sampler):
    """Positives, then negatives, both drawn uniformly; fewer where the query has fewer.

    Negatives are unjudged documents of the query's own training group. A judged document is never a negative:
    one judged below the grade of a positive is not drawn at all.
    """

    __xpmid__ = "xpm_ce.samplers.groups"
    NAME = "groups"
    NEEDS = frozenset({LABELS})
    USABLE = "a positive and an unjudged document, with a teacher score where the training set has a teacher"

    version: Constant[int] = 1
    """Raised when the same training set, seed and step give other groups"""

    negatives: Param[int]
    """Unjudged documents of a group (arXiv 2405.07920 has 7, arXiv 2603.03010 has 7 or 1)"""

    positives: Param[int] = field(default=1)
    """Positives of a group (1: arXiv 2405.07920, arXiv 2603.03010)"""

    positive_grade: Param[int] = field(default=1)
    """Least grade of a positive (1: every grade that is relevant at all, as with MS MARCO's binary labels)"""

    def __validate__(self) -> None:
        self.at_least(1, "negatives", "positives", "positive_grade")
        self.check_step()

    def documents_per_group(self) -> int:
        return self.positives + self.negatives

    def usable(self, groups: StoredGroups) -> "np.ndarray":
        positives = groups.count(lambda labels, scores: self._positive(labels) & groups.complete(scores))
        negatives = groups.count(lambda labels, scores: (labels == UNJUDGED) & groups.complete(scores))
        return (positives > 0) & (negatives > 0)

    def draw(self, groups: StoredGroups, query: int, *key: object) -> "DrawnGroup":
        import numpy as np

        from xpm_ce.samplers.randomness import drawn
        from xpm_ce.samplers.steps import DrawnGroup

        labels, scores = groups.labels(query), groups.teacher_scores(query)
        complete = groups.complete(scores)
        positives = (self._positive(labels) & complete).nonzero()[0]
        negatives = ((labels == UNJUDGED) & complete).nonzero()[0]
        chosen = np.concatenate(
            [
                positives[drawn(len(positives), self.positives, *key, "positives")],
                negatives[drawn(len(negatives), self.negatives, *key, "negatives")],
            ]
        )
        return DrawnGroup(query, groups.documents(query)[chosen], labels[chosen], scores[chosen])

    def _positive(self, labels: "np.ndarray") -> "np.ndarray":
        return labels >= self.positive_grade
