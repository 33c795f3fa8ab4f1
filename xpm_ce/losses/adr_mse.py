"""ADR-MSE: the rank of each document by its score, made smooth, is to equal the teacher's rank.

This module does not know how far apart the teacher sees two documents.
"""

from math import inf
from typing import TYPE_CHECKING

from experimaestro import Constant, Param, field

from xpm_ce.data.supervision import TEACHER_ORDER, Supervision
from xpm_ce.losses.loss import Loss

if TYPE_CHECKING:
    from torch import Tensor

DISCOUNTS = {
    "log2": lambda ranks: 1 / (ranks + 1).log2(),
    "reciprocal": lambda ranks: 1 / ranks,
    "none": lambda ranks: ranks.new_ones(()),
}
"""Weight of a document by its teacher rank (1 is best)"""


class AdrMse(Loss):
    """Listwise loss on the teacher's order: w(r_i) (p_i - r_i)^2, p_i the smooth rank and r_i the teacher's.

    p_i = 1 + the sum over j != i of sigmoid((s_j - s_i) / T), ranks count from 1, the best.
    Reduction: mean over the ranked documents of a query, then over queries; with complete lists of one
    length, the mean over all documents (arXiv 2405.07920).
    Unknown: a document without a teacher rank is in no sum.
    Ties: documents that the teacher ties share their average rank, which equal scores attain.
    Counted out: a query with fewer than two ranked documents.
    Padding: in no sum.

    >>> import torch
    >>> known = Supervision(teacher_ranks=torch.tensor([[1.0, 2.0, 3.0]]))
    >>> loss = AdrMse.C().instance()(torch.zeros(1, 3), known, torch.ones(1, 3, dtype=torch.bool))
    >>> round(loss.item(), 6)  # every p is 2: (1 / log2(2) + 0 + 1 / log2(4)) / 3
    0.5
    """

    __xpmid__ = "xpm_ce.losses.adr_mse"
    NAME = "adr_mse"
    LABEL = "ADR-MSE"
    NEEDS = frozenset({TEACHER_ORDER})
    CITATION = """@inproceedings{schlatt2025rankdistillm,
  title = {Rank-{DistiLLM}: Closing the Effectiveness Gap Between Cross-Encoders and {LLMs} for Passage
           Re-Ranking},
  author = {Ferdinand Schlatt and Maik Fr{\\"o}be and Harrisen Scells and Shengyao Zhuang and Bevan Koopman
            and Guido Zuccon and Benno Stein and Martin Potthast and Matthias Hagen},
  booktitle = {ECIR},
  year = {2025},
  note = {arXiv:2405.07920},
}"""

    version: Constant[int] = 1
    """Raised when the same input gives another number"""

    temperature: Param[float] = field(default=1.0)
    """What differences of scores are divided by, T above (1: arXiv 2405.07920); near 0, p is the hard rank"""

    discount: Param[str] = field(default="log2")
    """Weight of a teacher rank r: log2, 1 / log2(r + 1), as arXiv 2405.07920; reciprocal, 1 / r; none, 1"""

    def __validate__(self) -> None:
        if not 0 < self.temperature < inf:
            self.refuse("temperature", "a positive number")
        if self.discount not in DISCOUNTS:
            self.refuse("discount", f"one of {', '.join(DISCOUNTS)}")

    def terms(self, scores: "Tensor", supervision: Supervision, mask: "Tensor") -> "tuple[Tensor, Tensor]":
        given = self.given(supervision, TEACHER_ORDER).float()
        ranked = mask & ~given.isnan()
        ranks = given.masked_fill(~ranked, 1.0)
        scores = scores.float().masked_fill(~ranked, 0.0) / self.temperature
        beaten = (scores.unsqueeze(1) - scores.unsqueeze(2)).sigmoid().masked_fill(~ranked.unsqueeze(1), 0.0)
        approximate = beaten.sum(2) + 0.5  # a document's sigmoid with itself is the other half of the 1
        terms = DISCOUNTS[self.discount](ranks) * (approximate - ranks).square()
        return terms, ranked & (ranked.sum(1, keepdim=True) > 1)
