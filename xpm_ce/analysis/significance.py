"""Which systems of a table differ from baselines by more than chance: paired tests, corrected over the table's family.

The family is all comparisons of one table: every competing system with every baseline, in every column. Systems whose
seeds are not all there are left out, and so are bounds, scorers before training, and means over protocols. This module
does not know where values per query lie.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from xpm_ce.analysis.layouts import Row
from xpm_ce.analysis.results import ResultRow, Results
from xpm_ce.analysis.statistics.frames import Frame, QueryValues, side_by_side
from xpm_ce.analysis.statistics.paired import effect_size, outcomes
from xpm_ce.analysis.statistics.procedure import DEFAULT, Procedure
from xpm_ce.analysis.tables import Table
from xpm_ce.errors import DataError, UnknownKeyError

BETTER, WORSE = "↑", "↓"
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Comparison(NamedTuple):
    """A system beside a baseline in one column; the difference is its mean minus the baseline's."""

    row: str
    column: str
    baseline: str
    """Row of the baseline"""
    letter: str
    difference: float
    p: float
    adjusted: float
    """p, adjusted for the family"""
    effect: float
    """Cohen's d of the paired differences; not a number where it is not defined"""
    wins: int
    ties: int
    losses: int

    @property
    def pair(self) -> tuple[str, str, str]:
        """What is compared, whichever of the two is the baseline."""
        return (self.column, *sorted((self.row, self.baseline)))  # type: ignore[return-value]


@dataclasses.dataclass(frozen=True)
class Family:
    """The comparisons of a table, and what was asked for."""

    procedure: Procedure
    baselines: tuple[str, ...]
    """As they were named; the first has the letter a"""
    rows: dict[str, str]
    """Rows that are a baseline for all others, and their letters"""
    size: int
    """Comparisons that p-values are adjusted for"""
    comparisons: tuple[Comparison, ...]
    missing: tuple[tuple[str, str, tuple[str, ...]], ...]
    """Row, column and the queries that are absent from its values and count as 0"""
    incomplete: int
    """Systems (cells) that are not compared because a seed is not there yet"""

    def significant(self, row: str, column: str) -> list[Comparison]:
        """The comparisons of a cell whose adjusted p-value is at most alpha."""
        own = self._by_cell.get((row, column), [])
        return [each for each in own if each.adjusted <= self.procedure.alpha]

    def marks(self, row: str, column: str) -> str:
        """Arrows; with several baselines, each with the letters of those that it is better or worse than."""
        found = self.significant(row, column)
        marks = []
        for arrow, sign in ((BETTER, 1), (WORSE, -1)):
            letters = "".join(each.letter for each in found if np.sign(each.difference) == sign)
            if letters:
                marks.append(arrow + (letters if len(self.baselines) > 1 else ""))
        return " ".join(marks)

    def letter_of(self, row: str) -> str:
        """How the label of a baseline ends, where there are several."""
        return f" ({self.rows[row]})" if row in self.rows and len(self.baselines) > 1 else ""

    @property
    def sentence(self) -> str:
        """Test, family and alpha, for captions."""
        named = [
            f"{name} ({LETTERS[at]})" if len(self.baselines) > 1 else name for at, name in enumerate(self.baselines)
        ]
        return (
            f"better or worse than {'; '.join(named)} by the {self.procedure.test_name} over queries (two-sided, seeds "
            f"averaged per query), {self.procedure.correction_name} over {self.size} comparisons, "
            f"alpha {self.procedure.alpha:g}"
        )

    def notes(self) -> list[str]:
        notes = [f"{BETTER} {WORSE}: {self.sentence}."]
        notes += [warning] if (warning := self.procedure.warning(self.size)) else []
        if self.incomplete:
            cells = f"{self.incomplete} cell{'' if self.incomplete == 1 else 's'}"
            notes.append(f"Not compared before all their seeds are there: {cells}.")
        for row, column, queries in self.missing:
            where = f"{row} | {column}" if column else row
            notes.append(f"Absent from the values of {where}, counted as 0: {len(queries)} queries ({queries[0]} ...).")
        return notes

    def as_json(self) -> dict[str, Any]:
        return {
            **self.procedure._asdict(), "baselines": list(self.baselines),
            "family": self.size,
            "comparisons": [
                {**each._asdict(), "effect": None if math.isnan(each.effect) else each.effect}
                for each in self.comparisons
            ],
            "missing": [
                {"row": row, "column": column, "queries": list(queries)} for row, column, queries in self.missing
            ],
            "incomplete": self.incomplete,
        }  # fmt: skip

    @functools.cached_property
    def _by_cell(self) -> dict[tuple[str, str], list[Comparison]]:
        found: dict[tuple[str, str], list[Comparison]] = {}
        for each in self.comparisons:
            found.setdefault((each.row, each.column), []).append(each)
        return found


def with_tests(table: Table, results: Results, *, baselines: Sequence[str], procedure: Procedure = DEFAULT) -> Table:
    """The table with its systems compared with baselines.

    A baseline is a row by its label, or `axis=value` for the row that has this value and is as the compared one
    otherwise (`loss=BCE`: each system beside the one of the same backbone). UnknownKeyError for a baseline that is no
    row; ConfigurationError for an alpha that is no probability; DataError where values per query cannot be read, or
    two systems share no query.
    """
    procedure = procedure.checked()
    resolved = [_Baseline(name, letter, table) for name, letter in zip(baselines, LETTERS, strict=False)]
    reader = _Reader(results, table)
    found: list[Comparison] = []
    missing: list[tuple[str, str, tuple[str, ...]]] = []
    incomplete = 0
    for column, key in table.column_keys.items():
        if key.is_mean:
            continue
        there = {row for row, cells in table.cells.items() if column in cells and cells[column].complete}
        pairs = [
            (row, base, each.letter)
            for each in resolved
            for row in table.rows
            if (base := each.of(table.rows[row])) in there and row in there and table.rows[row].competes and row != base
        ]
        incomplete += sum(
            table.rows[row].competes and column in cells and bool(cells[column].absent_jobs)
            for row, cells in table.cells.items()
        )
        if not pairs:
            continue
        systems = list(dict.fromkeys(name for row, base, _ in pairs for name in (base, row)))
        frame = side_by_side([reader.runs(row, column) for row in systems])
        _check_shared(frame, systems, column)
        missing += [(row, column, tuple(absent)) for row, absent in zip(systems, frame.missing, strict=True) if absent]
        found += _compared(frame, systems, pairs, column, procedure)
    # two baselines are compared with each other once, whichever is named first
    family = {each.pair: each.p for each in found}
    adjusted = dict(zip(family, procedure.adjusted(np.array([*family.values()])).tolist(), strict=True))
    comparisons = tuple(each._replace(adjusted=adjusted[each.pair]) for each in found)
    rows = {each.row: each.letter for each in resolved if each.row is not None}
    tests = Family(
        procedure, tuple(baselines), rows, len(family), comparisons, tuple(missing), incomplete
    )  # fmt: skip
    return dataclasses.replace(table, tests=tests)


def _compared(
    frame: Frame, systems: list[str], pairs: list[tuple[str, str, str]], column: str, procedure: Procedure
) -> list[Comparison]:
    at = {row: index for index, row in enumerate(systems)}
    differences = (
        frame.values[:, [at[row] for row, _, _ in pairs]] - frame.values[:, [at[base] for _, base, _ in pairs]]
    )
    found, effects, won = procedure.p_values(differences), effect_size(differences), outcomes(differences)
    return [
        Comparison(
            row, column, base, letter, float(differences[:, index].mean()), float(found[index]), math.nan,
            float(effects[index]), int(won.wins[index]), int(won.ties[index]), int(won.losses[index]),
        )
        for index, (row, base, letter) in enumerate(pairs)
    ]  # fmt: skip


def _check_shared(frame: Frame, systems: list[str], column: str) -> None:
    for row, absent in zip(systems, frame.missing, strict=True):
        if 2 * len(absent) > len(frame.query_ids):
            raise DataError(
                f"{row} has values for {len(frame.query_ids) - len(absent)} of the {len(frame.query_ids)} queries of "
                f"the column {column or row}",
                remedy="Two protocols never share a column: name the sets apart in the YAML.",
            )


class _Baseline:
    """A baseline as it was named: one row for all, or one for each row."""

    def __init__(self, name: str, letter: str, table: Table):
        self.letter, self.axes = letter, table.layout.rows
        self.row: str | None = None
        self.places: dict[str, str] = {}
        for same in (str, str.casefold):
            self.row = self.row or next((row for row in table.rows if same(row) == same(name)), None)
        if self.row is None and "=" in name:
            self.places = dict(part.strip().partition("=")[::2] for part in name.split(","))
            for axis, label in self.places.items():
                if axis not in self.axes:
                    raise UnknownKeyError(axis, self.axes, where=f"--baseline {name}", kind="axis of the rows")
                labels = table.layout.labels[axis]
                known = next((each for each in labels if each.casefold() == label.casefold()), None)
                if known is None:
                    raise UnknownKeyError(label, labels, where=f"--baseline {name}", kind=f"value of {axis}")
                self.places[axis] = known
        elif self.row is None:
            raise UnknownKeyError(name, table.rows, where="--baseline", kind="row")

    def of(self, row: Row) -> str:
        """The row that another one is compared with."""
        if self.row is not None:
            return self.row
        labels = tuple(self.places.get(axis, own) for axis, own in zip(self.axes, row.labels, strict=True))
        return row._replace(labels=labels).text


class _Reader:
    """Values per query of a table's cells; equal lists of query ids are held once."""

    def __init__(self, results: Results, table: Table):
        self.results, self.table = results, table
        self.rows = {(row.job, row.measure, row.depth, row.order): row for row in table.results}
        self._query_ids: Sequence[str] = []

    def runs(self, row: str, column: str) -> list[QueryValues]:
        """One per seed."""
        cell, order = self.table.cells[row][column], self.table.rows[row].order
        assert cell.measured is not None
        return [self._values(self.rows[job, *cell.measured, order]) for job in cell.jobs]

    def _values(self, row: ResultRow) -> QueryValues:
        read = self.results.query_values(row)
        if read.query_ids != self._query_ids:
            self._query_ids = read.query_ids
        return QueryValues(self._query_ids, read.values)
