"""Training queries divided into two parts that share none: one to train on, one to validate on.

Which part a query is in depends on the seed and its own id only, so queries that come or go move no other. This module
does not know what the parts are used for.
"""

import hashlib

from experimaestro import Constant, Param, field

from xpm_ce.data.parts import Qrels, Queries
from xpm_ce.errors import ConfigurationError

TRAIN, VALIDATION = "train", "validation"
PARTS = (TRAIN, VALIDATION)


def part_of(query_id: str, *, seed: int, fraction: float) -> str:
    """The part of a query: "validation" for about `fraction` of all ids, else "train"."""
    digest = hashlib.sha256(f"{seed} {query_id}".encode()).digest()
    return VALIDATION if int.from_bytes(digest[:8], "big") < fraction * 2**64 else TRAIN


def _check(part: str, fraction: float) -> None:
    if part not in PARTS:
        raise ConfigurationError(f"unknown part {part!r}", remedy=f"Parts are {', '.join(PARTS)}.")
    if not 0 < fraction < 1:
        raise ConfigurationError(
            f"a fraction of {fraction} leaves one part without queries", remedy="Give one between 0 and 1, say 0.1."
        )


class QueriesOfPart(Queries):
    """The queries of one part."""

    __xpmid__ = "xpm_ce.data.split.queries"
    version: Constant[int] = 1
    """Version of how queries are divided"""

    queries: Param[Queries]
    """The queries to divide"""

    part: Param[str]
    """train or validation"""

    fraction: Param[float] = field(default=0.1)
    """Share of the validation part; parts of different fractions are nested"""

    seed: Param[int] = field(default=0)
    """Seed of the division"""

    def __validate__(self) -> None:
        _check(self.part, self.fraction)

    def read(self) -> dict[str, str]:
        return {
            query_id: text
            for query_id, text in self.queries.read().items()
            if part_of(query_id, seed=self.seed, fraction=self.fraction) == self.part
        }


class QrelsOfPart(Qrels):
    """The judgements of the queries of one part."""

    __xpmid__ = "xpm_ce.data.split.qrels"
    version: Constant[int] = 1
    """Version of how queries are divided"""

    qrels: Param[Qrels]
    """The judgements to divide"""

    part: Param[str]
    """train or validation"""

    fraction: Param[float] = field(default=0.1)
    """Share of the validation part; parts of different fractions are nested"""

    seed: Param[int] = field(default=0)
    """Seed of the division"""

    def __validate__(self) -> None:
        _check(self.part, self.fraction)

    def read(self) -> dict[str, dict[str, int]]:
        return {
            query_id: grades
            for query_id, grades in self.qrels.read().items()
            if part_of(query_id, seed=self.seed, fraction=self.fraction) == self.part
        }
