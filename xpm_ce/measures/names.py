"""How measures are spelt and which ones exist: `nDCG@10`, `RR(rel=2)@10`, as ir_measures writes them.

This module does not know how a measure is computed; a new one is a row of `MEASURES` and a function of
`formulas`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from xpm_ce.errors import ConfigurationError, UnknownKeyError

DEFAULT_REL = 1
"""Lowest grade that counts as relevant where a name does not say (trec_eval's and ir_measures' default)"""


@dataclass(frozen=True, kw_only=True)
class MeasureRow:
    """What is known about one measure without computing it."""

    name: str
    """Spelling, as in ir_measures"""
    formula: str
    """Function of `xpm_ce.measures.formulas` that computes it"""
    sentence: str
    """What its value says, for people"""
    cutoff: Literal["required", "allowed", "none"]
    """Whether `@k` belongs to the name; where it is allowed, none means the whole ranking"""
    takes_rel: bool
    """Whether `(rel=grade)` may follow the name"""
    other_names: tuple[str, ...] = ()
    """Names used elsewhere: refused, with this row as the remedy, so that one measure has one spelling"""


MEASURES = {
    row.name: row
    for row in (
        MeasureRow(
            name="nDCG",
            formula="ndcg",
            sentence="Gain (the grade) discounted by log2(rank + 1), relative to the best possible order.",
            cutoff="allowed",
            takes_rel=False,
        ),
        MeasureRow(
            name="RR",
            formula="reciprocal_rank",
            sentence="1 / rank of the first relevant document.",
            cutoff="allowed",
            takes_rel=True,
            other_names=("MRR",),
        ),
        MeasureRow(
            name="AP",
            formula="average_precision",
            sentence="Mean precision at the ranks of all relevant documents, 0 for those not retrieved.",
            cutoff="allowed",
            takes_rel=True,
            other_names=("MAP",),
        ),
        MeasureRow(
            name="Rprec",
            formula="r_precision",
            sentence="Relevant documents among the first R, divided by R, the number of relevant documents.",
            cutoff="none",
            takes_rel=True,
            other_names=("RPrec",),
        ),
        MeasureRow(
            name="Bpref",
            formula="bpref",
            sentence="Share of the judged pairs (relevant, not relevant) in the right order; unjudged are left out.",
            cutoff="none",
            takes_rel=True,
        ),
        MeasureRow(
            name="P",
            formula="precision",
            sentence="Relevant documents among the first k, divided by k.",
            cutoff="required",
            takes_rel=True,
            other_names=("Precision",),
        ),
        MeasureRow(
            name="R",
            formula="recall",
            sentence="Share of the relevant documents that are among the first k.",
            cutoff="required",
            takes_rel=True,
            other_names=("Recall",),
        ),
        MeasureRow(
            name="Success",
            formula="success",
            sentence="1 where a relevant document is among the first k, else 0.",
            cutoff="required",
            takes_rel=True,
        ),
        MeasureRow(
            name="Judged",
            formula="judged",
            sentence="Share of the documents shown (at most k) that have a judgement.",
            cutoff="allowed",
            takes_rel=False,
        ),
    )
}
"""Every measure, by name"""

_SPELLING = re.compile(r"(?P<name>[A-Za-z]+)(?:\((?P<key>\w+)=(?P<rel>[1-9][0-9]*)\))?(?:@(?P<cutoff>[1-9][0-9]*))?")


@dataclass(frozen=True)
class Measure:
    """A measure with its parameters; `str()` is its canonical name."""

    name: str
    """Name of a row of `MEASURES`"""
    cutoff: int | None = None
    """How many documents are looked at; None: all of the ranking"""
    rel: int = DEFAULT_REL
    """Lowest grade that counts as relevant; without effect where the row takes none"""

    def __str__(self) -> str:
        rel = f"(rel={self.rel})" if self.rel != DEFAULT_REL else ""
        return f"{self.name}{rel}{f'@{self.cutoff}' if self.cutoff else ''}"

    @property
    def sort_key(self) -> tuple[str, int, float]:
        """By name, threshold, cutoff (none last); the order of `MEASURES` must not enter a hash."""
        return self.name, self.rel, self.cutoff or float("inf")


def parse(text: str, *, where: str = "") -> Measure:
    """The measure that `text` spells.

    UnknownKeyError or ConfigurationError, naming the nearest spelling, where it spells none; `where` is the
    file:line that the message names.
    """
    match = _SPELLING.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ConfigurationError(
            f"{text!r} is not the name of a measure",
            where=where,
            remedy="Write NAME@cutoff or NAME(rel=grade)@cutoff, for example nDCG@10 or RR(rel=2)@10.",
        )
    row = _row(match["name"], where)
    if match["key"] is not None and not (row.takes_rel and match["key"] == "rel"):
        raise UnknownKeyError(
            match["key"], ["rel"] if row.takes_rel else [], where=where, kind=f"parameter of {row.name}:"
        )
    if row.cutoff == "required" and match["cutoff"] is None:
        raise ConfigurationError(f"{row.name} needs a cutoff", where=where, remedy=f"For example {text.strip()}@10.")
    if row.cutoff == "none" and match["cutoff"] is not None:
        raise ConfigurationError(
            f"{row.name} takes no cutoff", where=where, remedy=f"Write {text.strip().partition('@')[0]}."
        )
    return Measure(row.name, int(match["cutoff"]) if match["cutoff"] else None, int(match["rel"] or DEFAULT_REL))


def _row(name: str, where: str) -> MeasureRow:
    if name in MEASURES:
        return MEASURES[name]
    for row in MEASURES.values():
        if name.casefold() in (other.casefold() for other in (row.name, *row.other_names)):
            raise ConfigurationError(f"unknown measure {name}", where=where, remedy=f"It is spelt {row.name} here.")
    raise UnknownKeyError(name, MEASURES, where=where, kind="measure")


def sorted_unique(names: Iterable[str], *, where: str = "") -> list[str]:
    """Canonical names, each once, in an order that depends on the set only, so that equal sets hash alike."""
    measures = {parse(name, where=where) for name in names}
    return [str(measure) for measure in sorted(measures, key=lambda measure: measure.sort_key)]
