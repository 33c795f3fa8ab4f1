"""What a training is validated on: sets of queries with a first stage, a depth, a measure, and how often.

This module does not know how the model is trained; `validating.py` computes.
"""

from experimaestro import Config, Constant, Meta, Param, field

from xpm_ce.data.parts import Qrels, Queries
from xpm_ce.data.runs import Run
from xpm_ce.data.store import DocumentStore
from xpm_ce.errors import ConfigurationError
from xpm_ce.measures import names
from xpm_ce.tokens.store import TokenStore


class ValidationSet(Config):
    """Queries that the model re-ranks while it is trained."""

    __xpmid__ = "xpm_ce.learn.validation_set"

    name: Meta[str]
    """Name in validation.csv"""

    queries: Param[Queries]
    """Texts of the queries"""

    qrels: Param[Qrels]
    """Their judgements"""

    run: Param[Run]
    """The first stage's run, made once"""

    store: Param[DocumentStore]
    """The documents of the run, by id"""

    tokens: Param[TokenStore]
    """The same documents as the scorer's tokenizer reads them"""


class Validation(Config):
    """Re-ranks sets of queries every so many steps; the mean of a measure over queries, then over sets, is what counts.

    The mean is that of the same step on all sets: a record on one of them alone is none.
    """

    __xpmid__ = "xpm_ce.learn.validation"

    version: Constant[int] = 1
    """Version of what is computed"""

    sets: Param[list[ValidationSet]]
    """Sets of queries, each of which weighs the same"""

    interval: Param[int]
    """Steps between validations; the last step is validated in any case"""

    depth: Param[int] = field(default=100)
    """Documents per query that are re-ranked, counted from the first stage's first"""

    measure: Param[str] = field(default="nDCG@10")
    """Measure in the spelling of ir-measures"""

    def __validate__(self) -> None:
        for name in ("interval", "depth"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}", remedy="Give 1 or more.")
        if not self.sets:
            raise ConfigurationError("sets is empty", remedy="Give at least one.")
        names.parse(self.measure)
