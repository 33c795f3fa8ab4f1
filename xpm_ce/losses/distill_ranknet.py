"""DistillRankNET: of two documents, the one that the teacher puts higher is to score higher.

This module does not know how far apart the teacher sees two documents.
"""

from math import inf
from typing import TYPE_CHECKING

from experimaestro import Constant, Param, field

from xpm_ce.data.supervision import TEACHER_ORDER, Supervision
from xpm_ce.losses.loss import Loss

if TYPE_CHECKING:
    from torch import Tensor


class DistillRankNet(Loss):
    """Pairwise loss on the teacher's order: ln(1 + exp(-(s_i - s_j) / T)) where the teacher ranks i above j.

    Reduction: mean over these pairs of a query, then over queries; with complete lists of one length, the
    mean over all pairs (arXiv 2405.07920).
    Unknown: a document without a teacher rank is in no pair.
    Ties: two documents that the teacher ties make no pair; equal scores cost ln 2.
    Counted out: a query without two documents that the teacher tells apart.
    Padding: in no pair.

    >>> import torch
    >>> known = Supervision(teacher_ranks=torch.tensor([[1.0, 2.0]]))
    >>> loss = DistillRankNet.C().instance()(torch.tensor([[0.0, 0.0]]), known, torch.tensor([[True, True]]))
    >>> round(loss.item(), 6)  # ln 2
    0.693147
    """

    __xpmid__ = "xpm_ce.losses.distill_ranknet"
    NAME = "distill_ranknet"
    LABEL = "DistillRankNET"
    NEEDS = frozenset({TEACHER_ORDER})
    CITATION = """@inproceedings{burges2005learning,
  title = {Learning to Rank using Gradient Descent},
  author = {Chris Burges and Tal Shaked and Erin Renshaw and Ari Lazier and Matt Deeds and Nicole Hamilton and
            Greg Hullender},
  booktitle = {ICML},
  year = {2005},
}
@inproceedings{schlatt2025rankdistillm,
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
    """What differences of scores are divided by (1: arXiv 2405.07920; 1 / sigma of the RankNet paper)"""

    def __validate__(self) -> None:
        if not 0 < self.temperature < inf:
            self.refuse("temperature", "a positive number")

    def terms(self, scores: "Tensor", supervision: Supervision, mask: "Tensor") -> "tuple[Tensor, Tensor]":
        from torch.nn.functional import softplus

        scores = scores.float().masked_fill(~mask, 0.0) / self.temperature
        ranks = self.given(supervision, TEACHER_ORDER)
        above = ranks.unsqueeze(2) < ranks.unsqueeze(1)
        pairs = above & mask.unsqueeze(2) & mask.unsqueeze(1)
        terms = softplus(scores.unsqueeze(1) - scores.unsqueeze(2))
        return terms, pairs
