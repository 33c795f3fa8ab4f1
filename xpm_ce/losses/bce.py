"""Binary cross-entropy: each document by itself, relevant or not.

This module does not know how many negatives stand beside a positive.
"""

from typing import TYPE_CHECKING

from experimaestro import Constant, Param, field

from xpm_ce.data.supervision import LABELS, Supervision
from xpm_ce.losses.loss import Loss

if TYPE_CHECKING:
    from torch import Tensor


class Bce(Loss):
    """Pointwise loss on labels: ln(1 + exp(-s)) for a positive, ln(1 + exp(s)) for any other document.

    Reduction: mean over the documents of a query, then over queries; with one positive and one negative for
    each query, the mean over all documents.
    Unknown: an unjudged document is a negative.
    Ties: nothing to decide, documents do not meet.
    Counted out: a query without documents; one document is enough.
    Padding: no term.

    >>> import torch
    >>> known = Supervision(labels=torch.tensor([[1.0, 0.0]]))
    >>> loss = Bce.C().instance()(torch.tensor([[0.0, 0.0]]), known, torch.tensor([[True, True]]))
    >>> round(loss.item(), 6)  # ln 2
    0.693147
    """

    __xpmid__ = "xpm_ce.losses.bce"
    NAME = "bce"
    LABEL = "BCE"
    NEEDS = frozenset({LABELS})
    CITATION = """@article{nogueira2019passage,
  title = {Passage Re-ranking with {BERT}},
  author = {Rodrigo Nogueira and Kyunghyun Cho},
  journal = {arXiv:1901.04085},
  year = {2019},
}"""

    version: Constant[int] = 1
    """Raised when the same input gives another number"""

    positive_grade: Param[int] = field(default=1)
    """Least grade of a positive (1: every grade that is relevant at all, as with MS MARCO's binary labels)"""

    def __validate__(self) -> None:
        if self.positive_grade < 1:
            self.refuse("positive_grade", "a grade of at least 1")

    def terms(self, scores: "Tensor", supervision: Supervision, mask: "Tensor") -> "tuple[Tensor, Tensor]":
        from torch.nn.functional import binary_cross_entropy_with_logits

        scores = scores.float().masked_fill(~mask, 0.0)
        positive = (self.given(supervision, LABELS) >= self.positive_grade) & mask
        terms = binary_cross_entropy_with_logits(scores, positive.float(), reduction="none")
        return terms, mask
