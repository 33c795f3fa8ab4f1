"""InfoNCE: a positive is to be found among the negatives of its own query.

This module does not know the documents of other queries: a cross-encoder has no in-batch negatives.
"""

from math import inf
from typing import TYPE_CHECKING

from experimaestro import Constant, Param, field

from xpm_ce.data.supervision import LABELS, Supervision
from xpm_ce.losses.loss import Loss

if TYPE_CHECKING:
    from torch import Tensor


class InfoNCE(Loss):
    """Listwise loss on labels: -ln of the softmax of a positive among itself and the query's negatives.

    Reduction: mean over the positives of a query, then over queries. Each positive is set against the
    negatives alone, as if it were the only one, so that no positive pushes another down; with one positive
    this is localized contrastive estimation (arXiv 2101.08751).
    Unknown: an unjudged document is a negative.
    Ties: equal scores share the softmax equally.
    Counted out: a query without a positive or without a negative.
    Padding: in no softmax.

    >>> import torch
    >>> known = Supervision(labels=torch.tensor([[1.0, 0.0, 0.0, -1.0]]))
    >>> loss = InfoNCE.C().instance()(torch.zeros(1, 4), known, torch.ones(1, 4, dtype=torch.bool))
    >>> round(loss.item(), 6)  # ln 4
    1.386294
    """

    __xpmid__ = "xpm_ce.losses.infonce"
    NAME = "infonce"
    LABEL = "InfoNCE"
    NEEDS = frozenset({LABELS})
    CITATION = """@article{oord2018representation,
  title = {Representation Learning with Contrastive Predictive Coding},
  author = {Aaron van den Oord and Yazhe Li and Oriol Vinyals},
  journal = {arXiv:1807.03748},
  year = {2018},
}
@inproceedings{gao2021rethink,
  title = {Rethink Training of {BERT} Rerankers in Multi-Stage Retrieval Pipeline},
  author = {Luyu Gao and Zhuyun Dai and Jamie Callan},
  booktitle = {ECIR},
  year = {2021},
  note = {arXiv:2101.08751},
}"""

    version: Constant[int] = 1
    """Raised when the same input gives another number"""

    temperature: Param[float] = field(default=1.0)
    """What scores are divided by before the softmax (1: arXiv 2101.08751, arXiv 2603.03010)"""

    positive_grade: Param[int] = field(default=1)
    """Least grade of a positive (1: every grade that is relevant at all, as with MS MARCO's binary labels)"""

    def __validate__(self) -> None:
        if not 0 < self.temperature < inf:
            self.refuse("temperature", "a positive number")
        if self.positive_grade < 1:
            self.refuse("positive_grade", "a grade of at least 1")

    def terms(self, scores: "Tensor", supervision: Supervision, mask: "Tensor") -> "tuple[Tensor, Tensor]":
        from torch import finfo
        from torch.nn.functional import softplus

        scores = scores.float().masked_fill(~mask, 0.0) / self.temperature
        positive = self.given(supervision, LABELS) >= self.positive_grade
        negative = ~positive & mask
        # the least float32 instead of -inf, which makes nan within the backward pass of a query without negatives
        against = scores.masked_fill(~negative, finfo(scores.dtype).min).logsumexp(1, keepdim=True)
        counted = positive & mask & negative.any(1, keepdim=True)
        return softplus(against - scores), counted
