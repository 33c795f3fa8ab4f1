"""What every scorer is: something that, built, gives a query and a document a number.

This module knows no particular scorer, nor how one is trained.
"""

from typing import TYPE_CHECKING, ClassVar

from experimaestro import Config

if TYPE_CHECKING:
    from xpm_ce.scorers.transformer import TransformerScorer


class Scorer(Config):
    """What is trained: an untrained model and how it reads pairs."""

    __xpmid__ = "xpm_ce.scorers.scorer"

    NAME: ClassVar[str]
    """Its `type` in a configuration file"""

    def build(self) -> "TransformerScorer":
        """The module, with its initial weights: the same at each call, whatever was drawn before."""
        raise NotImplementedError(f"{type(self).__name__}.build")
