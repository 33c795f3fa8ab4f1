"""Training queries divided by a seed and their own ids: in two parts, or in folds.

Where a query falls depends on the seed and its own id only, so queries that come or go move no other. This module
does not know what the parts and folds are used for.
"""

import hashlib

from experimaestro import Config, Constant, Param, field

from xpm_ce.data.parts import Qrels, Queries
from xpm_ce.errors import ConfigurationError

TRAIN, VALIDATION = "train", "validation"
PARTS = (TRAIN, VALIDATION)


def part_of(query_id: str, *, seed: int, fraction: float) -> str:
    """The part of a query: "validation" for about `fraction` of all ids, else "train"."""
    return VALIDATION if _drawn(f"{seed} {query_id}") < fraction * 2**64 else TRAIN


def fold_of(query_id: str, *, seed: int, folds: int) -> int:
    """The fold of a query, from 1 to `folds`; independent of its part."""
    return (_drawn(f"fold {seed} {query_id}") * folds >> 64) + 1


def _drawn(key: str) -> int:
    """A whole number below 2^64."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")


def _check(part: str, fraction: float) -> None:
    if part not in PARTS:
        raise ConfigurationError(f"unknown part {part!r}", remedy=f"Parts are {', '.join(PARTS)}.")
    if not 0 < fraction < 1:
        raise ConfigurationError(
            f"a fraction of {fraction} leaves one part without queries", remedy="Give one between 0 and 1, say 0.1."
        )


def check_folds(folds: int) -> None:
    """ConfigurationError for a number of folds of which none is outside another."""
    if folds < 2:
        raise ConfigurationError(f"folds is {folds}", remedy="Give 2 or more: a fold needs others outside it.")


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

    @property
    def on_disk(self) -> bool:
        return self.queries.on_disk

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


class Fold(Config):
    """One of several folds of the training queries, or all others: the queries that a model of this fold may see."""

    __xpmid__ = "xpm_ce.data.split.fold"
    version: Constant[int] = 1
    """Version of how queries are divided"""

    folds: Param[int]
    """Number of folds, about equally large"""

    number: Param[int]
    """Which fold, from 1"""

    outside: Param[bool]
    """The queries of all other folds instead of this one's"""

    seed: Param[int] = field(default=0)
    """Seed of the division"""

    def __validate__(self) -> None:
        check_folds(self.folds)
        if not 1 <= self.number <= self.folds:
            raise ConfigurationError(
                f"there is no fold {self.number} of {self.folds}", remedy=f"Folds count from 1 to {self.folds}."
            )

    def holds(self, query_id: str) -> bool:
        """Whether a query is in this fold, or outside it."""
        return (fold_of(query_id, seed=self.seed, folds=self.folds) != self.number) == self.outside


class QueriesOfFold(Queries):
    """The queries of one fold, or all those outside it."""

    __xpmid__ = "xpm_ce.data.split.fold_queries"

    queries: Param[Queries]
    """The queries to divide"""

    fold: Param[Fold]
    """Which of them"""

    @property
    def on_disk(self) -> bool:
        return self.queries.on_disk

    def read(self) -> dict[str, str]:
        return {query_id: text for query_id, text in self.queries.read().items() if self.fold.holds(query_id)}


class QrelsOfFold(Qrels):
    """The judgements of the queries of one fold, or of all those outside it."""

    __xpmid__ = "xpm_ce.data.split.fold_qrels"

    qrels: Param[Qrels]
    """The judgements to divide"""

    fold: Param[Fold]
    """Of which queries"""

    def read(self) -> dict[str, dict[str, int]]:
        return {query_id: grades for query_id, grades in self.qrels.read().items() if self.fold.holds(query_id)}
