"""The cross-encoder: one transformer reads a query and a document together and gives one number.

This module does not know where its backbone comes from, nor how it is trained.
"""

from typing import TYPE_CHECKING

from experimaestro import Constant, Param, field

from xpm_ce.data.collection import Submit
from xpm_ce.data.parts import Queries
from xpm_ce.data.store import DocumentStore
from xpm_ce.errors import ConfigurationError
from xpm_ce.identity import HashCache
from xpm_ce.scorers.backbones import Backbone
from xpm_ce.scorers.scorer import Scorer
from xpm_ce.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from xpm_ce.scorers.transformer import TransformerScorer


class CrossEncoder(Scorer):
    """A backbone with the sequence classification head of its family, one output, no activation."""

    __xpmid__ = "xpm_ce.scorers.cross_encoder"
    NAME = "cross_encoder"

    version: Constant[int] = 1
    """Version of how pairs are read and weights are drawn"""

    backbone: Param[Backbone]
    """Encoder and tokenizer"""

    max_length: Param[int]
    """Tokens of a pair, special tokens included; the document is cut to it"""

    max_query_length: Param[int] = field(default=32)
    """Tokens of a query, special tokens excluded (32: arXiv 2405.07920; queries that are documents need more)"""

    head_seed: Param[int] = field(default=0)
    """Seed of the head's initial weights, where the backbone brings none"""

    def __validate__(self) -> None:
        check_limits(self.max_length, self.max_query_length)

    def prepare(self, submit: Submit, *, store: DocumentStore, queries: Queries) -> "CrossEncoder":
        self.backbone = self.backbone.prepare(submit, store=store, queries=queries)
        return self

    def own_tokenizer(self, hashes: HashCache) -> Tokenizer:
        return self.backbone.own_tokenizer(hashes)

    def build(self) -> "TransformerScorer":
        from xpm_ce.scorers.transformer import TransformerScorer
        from xpm_ce.tokens.pairs import PairLimits

        limits = PairLimits(max_length=self.max_length, max_query_length=self.max_query_length)
        return TransformerScorer(self.backbone.load(head_seed=self.head_seed), limits)


def check_limits(max_length: int, max_query_length: int | None) -> None:
    """ConfigurationError for limits that no backbone can meet; what a given one can is checked when it is loaded."""
    if max_length < 1 or (max_query_length is not None and max_query_length < 1):
        raise ConfigurationError("max_length and max_query_length count tokens", remedy="Give 1 or more.")
    if max_query_length is not None and max_length <= max_query_length:
        raise ConfigurationError(
            f"max_length {max_length} leaves no document beside a query of {max_query_length} tokens",
            remedy="Raise max_length, or lower max_query_length.",
        )
