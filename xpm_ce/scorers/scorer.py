"""What every scorer is: something that, built, gives a query and a document a number.

This module knows no particular scorer, nor how one is trained.
"""

from typing import TYPE_CHECKING, ClassVar

from experimaestro import Config

from xpm_ce.data.collection import Submit
from xpm_ce.data.parts import Queries
from xpm_ce.data.store import DocumentStore
from xpm_ce.identity import HashCache
from xpm_ce.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from xpm_ce.scorers.transformer import TransformerScorer


class Scorer(Config):
    """What is trained: an untrained model and how it reads pairs."""

    __xpmid__ = "xpm_ce.scorers.scorer"

    NAME: ClassVar[str]
    """Its `type` in a configuration file"""

    def prepare(self, submit: Submit, *, store: DocumentStore, queries: Queries) -> "Scorer":
        """Fill in what identifies this scorer, while a study is planned; `store` and `queries` are its texts."""
        return self

    @property
    def untrained(self) -> "Scorer":
        """The scorer before any training; another one where this one starts from a learner's checkpoint."""
        return self

    def own_tokenizer(self, hashes: HashCache) -> Tokenizer:
        """The tokenizer that it reads texts with, while a study is planned and after `prepare`."""
        raise NotImplementedError(f"{type(self).__name__}.own_tokenizer")

    def build(self) -> "TransformerScorer":
        """The module, with its initial weights: the same at each call, whatever was drawn before."""
        raise NotImplementedError(f"{type(self).__name__}.build")
