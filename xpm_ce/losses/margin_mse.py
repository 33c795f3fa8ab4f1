"""MarginMSE: differences of scores are to equal the teacher's.

This module does not know which of two documents is relevant.
"""

from math import inf
from typing import TYPE_CHECKING

from experimaestro import Constant, Param, field

from xpm_ce.data.supervision import TEACHER_SCORES, Supervision
from xpm_ce.losses.loss import Loss

if TYPE_CHECKING:
    from torch import Tensor


class MarginMSE(Loss):
    """Pairwise loss on teacher scores: ((s_i - s_j) - scale (t_i - t_j))^2 for each two documents of a query.

    Reduction: mean over all pairs i < j of a query, then over queries; with one positive and one negative for
    each query, the mean over queries of one pair (arXiv 2010.02666). The square is the same in both
    directions, so labels are not needed, and a longer group uses every pair, not only those with a positive.
    Unknown: a document without a teacher score is in no pair.
    Ties: two documents that the teacher ties are to get equal scores.
    Counted out: a query with fewer than two scored documents.
    Padding: in no pair.

    >>> import torch
    >>> known = Supervision(teacher_scores=torch.tensor([[5.0, 2.0]]))
    >>> loss = MarginMSE.C().instance()(torch.tensor([[1.0, 0.0]]), known, torch.tensor([[True, True]]))
    >>> round(loss.item(), 6)  # (1 - 3)^2
    4.0
    """

    __xpmid__ = "xpm_ce.losses.margin_mse"
    NAME = "margin_mse"
    LABEL = "MarginMSE"
    NEEDS = frozenset({TEACHER_SCORES})
    CITATION = """@article{hofstatter2020improving,
  title = {Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge Distillation},
  author = {Sebastian Hofst{\\"a}tter and Sophia Althammer and Michael Schr{\\"o}der and Mete Sertkan and
            Allan Hanbury},
  journal = {arXiv:2010.02666},
  year = {2020},
}"""

    version: Constant[int] = 1
    """Raised when the same input gives another number"""

    scale: Param[float] = field(default=1.0)
    """What the teacher's scores are multiplied by (1: its raw logits, arXiv 2010.02666)"""

    def __validate__(self) -> None:
        if not 0 < self.scale < inf:
            self.refuse("scale", "a positive number")

    def terms(self, scores: "Tensor", supervision: Supervision, mask: "Tensor") -> "tuple[Tensor, Tensor]":
        teacher = self.given(supervision, TEACHER_SCORES).float()
        known = mask & ~teacher.isnan()
        errors = scores.float().masked_fill(~known, 0.0) - self.scale * teacher.masked_fill(~known, 0.0)
        pairs = (known.unsqueeze(2) & known.unsqueeze(1)).triu(1)
        terms = (errors.unsqueeze(2) - errors.unsqueeze(1)).square()
        return terms, pairs
