"""A scorer that begins where another training ended, its head included.

This module does not know how that training was done; its checkpoint says it by its identity.
"""

from typing import TYPE_CHECKING

from experimaestro import Constant, Param

from xpm_ce.identity import HashCache
from xpm_ce.scorers.models import Checkpoint
from xpm_ce.scorers.scorer import Scorer
from xpm_ce.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from xpm_ce.scorers.transformer import TransformerScorer


class StartedScorer(Scorer):
    """The scorer of a learner's checkpoint, to be trained further; pairs are read as they were."""

    __xpmid__ = "xpm_ce.scorers.started_scorer"

    version: Constant[int] = 1
    """Version of how a checkpoint becomes initial weights"""

    checkpoint: Param[Checkpoint]
    """What the training before left"""

    origin: Param[Scorer]
    """What that training began with: it says how texts become tokens"""

    @property
    def untrained(self) -> Scorer:
        return self.origin.untrained

    def own_tokenizer(self, hashes: HashCache) -> Tokenizer:
        return self.origin.own_tokenizer(hashes)

    def build(self) -> "TransformerScorer":
        from xpm_ce.scorers.loading import saved_scorer

        return saved_scorer(self.checkpoint.path)
