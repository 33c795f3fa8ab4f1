"""Hinge: a positive is to stand above a negative by a margin.

This module does not know how much a document is relevant beyond being a positive or not.
"""

from math import inf
from typing import TYPE_CHECKING

from experimaestro import Constant, Param, field

from xpm_ce.data.supervision import LABELS, Supervision
from xpm_ce.losses.loss import Loss

if TYPE_CHECKING:
    from torch import Tensor


class Hinge(Loss):
    """Pairwise loss on labels: max(0, margin - s_i + s_j) for each positive i and each other document j.

    Reduction: mean over these pairs of a query, then over queries; with one positive and one negative for
    each query, the mean over queries of one pair (arXiv 2603.03010).
    Unknown: an unjudged document is a negative.
    Ties: two positives make no pair, nor do two negatives; equal scores cost the margin.
    Counted out: a query without a positive or without a negative.
    Padding: in no pair.

    >>> import torch
    >>> known = Supervision(labels=torch.tensor([[1.0, 0.0]]))
    >>> loss = Hinge.C().instance()(torch.tensor([[0.5, 0.25]]), known, torch.tensor([[True, True]]))
    >>> round(loss.item(), 6)  # 1 - 0.5 + 0.25
    0.75
    """

    __xpmid__ = "xpm_ce.losses.hinge"
    NAME = "hinge"
    LABEL = "Hinge"
    NEEDS = frozenset({LABELS})
    CITATION = """@inproceedings{xiong2017knrm,
  title = {End-to-End Neural Ad-hoc Ranking with Kernel Pooling},
  author = {Chenyan Xiong and Zhuyun Dai and Jamie Callan and Zhiyuan Liu and Russell Power},
  booktitle = {SIGIR},
  year = {2017},
  note = {arXiv:1706.06613},
}"""

    version: Constant[int] = 1
    """Raised when the same input gives another number"""

    margin: Param[float] = field(default=1.0)
    """Difference of scores beyond which a pair costs nothing (1: arXiv 1706.06613, arXiv 2603.03010)"""

    positive_grade: Param[int] = field(default=1)
    """Least grade of a positive (1: every grade that is relevant at all, as with MS MARCO's binary labels)"""

    def __validate__(self) -> None:
        if not 0 < self.margin < inf:
            self.refuse("margin", "a positive number")
        if self.positive_grade < 1:
            self.refuse("positive_grade", "a grade of at least 1")

    def terms(self, scores: "Tensor", supervision: Supervision, mask: "Tensor") -> "tuple[Tensor, Tensor]":
        scores = scores.float().masked_fill(~mask, 0.0)
        positive = self.given(supervision, LABELS) >= self.positive_grade
        pairs = (positive & mask).unsqueeze(2) & (~positive & mask).unsqueeze(1)
        terms = (self.margin - scores.unsqueeze(2) + scores.unsqueeze(1)).relu()
        return terms, pairs
