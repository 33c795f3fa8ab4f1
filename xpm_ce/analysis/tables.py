"""Tables of results: a row per loss (or any axes), a column per backbone (or any axes), mean ± std over seeds.

The first stage, its recall ceiling, a random order and untrained scorers are rows like any other. Two protocols never
share a column: there is a table each, or a column each. This module does not read files.
"""

import collections
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xpm_ce.analysis.cells import ABSENT, Cell, mean_over_protocols
from xpm_ce.analysis.environments import Differing, Environment, differing, environments, note
from xpm_ce.analysis.layouts import DEPTH, MEASURE, PROTOCOL, ColumnKey, Layout, Row, chosen_protocols, seed_label
from xpm_ce.analysis.results import ResultRow, Results
from xpm_ce.errors import ConfigurationError

if TYPE_CHECKING:
    from xpm_ce.analysis.significance import Family

LISTED = 12
"""Absent cells that the text lists; the JSON form lists all"""


@dataclasses.dataclass(frozen=True)
class Table:
    """One table: `cells[row][column]`, by their texts; cells that nothing was planned for are left out."""

    protocol: str | None
    """None where protocols are columns"""
    depth: int | None
    measure: str | None
    queries: dict[str, int]
    """Of each protocol shown"""
    layout: Layout
    abbreviations: Mapping[str, str]
    """Short names of protocols, for headings in print"""
    rows: dict[str, Row]
    column_keys: dict[str, ColumnKey]
    cells: dict[str, dict[str, Cell]]
    results: tuple[ResultRow, ...]
    """What the cells are made of"""
    without_result: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """Row, protocol and the queries that its run did not answer and that count as 0"""
    differing: Differing = dataclasses.field(default_factory=dict)
    """In what the environments differ that the rows were computed in"""
    tests: "Family | None" = None

    @property
    def columns(self) -> list[str]:
        return list(self.column_keys) if self.layout.columns else []

    @property
    def row_axes(self) -> tuple[str, ...]:
        return self.layout.rows or ("system",)

    @property
    def title(self) -> str:
        measure = f"{self.measure or 'Results'} x 100"
        count = self.queries.get(self.protocol or "")
        protocol = f" on {self.protocol} ({count} queries)" if self.protocol else ""
        return measure + protocol + (f", depth {self.depth}" if self.depth else "")

    def heading(self, label: str) -> str:
        """The short name of a protocol, where it has one that no other protocol shown has; else the label itself."""
        short = self.abbreviations.get(label)
        shown = [self.abbreviations.get(each) for each in self.queries]
        return short if short is not None and shown.count(short) == 1 else label

    def best(self, column: str) -> tuple[set[str], set[str]]:
        """The rows whose printed value is the highest and the second highest of a column, among systems that compete.

        None before all that is planned is there: the best is not known yet.
        """
        competing = {
            row: cells[column] for row, cells in self.cells.items() if self.rows[row].competes and column in cells
        }
        if any(cell.absent_jobs for cell in competing.values()):
            return set(), set()
        values = {row: float(cell.printed) for row, cell in competing.items()}
        ranked = sorted(set(values.values()), reverse=True)
        if len(ranked) < 2:
            return set(), set()
        of_rank = [{row for row, value in values.items() if value == each} for each in ranked[:2]]
        return of_rank[0], of_rank[1] if len(values) > 2 else set()

    def absent(self) -> list[tuple[str, str, Cell]]:
        """Planned cells (row, column) of which a result is not there, means over protocols left out."""
        return [
            (row, column, cell)
            for row, cells in self.cells.items()
            for column, cell in cells.items()
            if cell.absent_jobs
        ]

    def text_of(self, row: str, column: str) -> str:
        """A cell as text, with its marks of significance."""
        cell = self.cells[row].get(column)
        if cell is None:
            return ABSENT
        marks = self.tests.marks(row, column) if self.tests else ""
        return cell.render(spread=self.layout.spread) + (f" {marks}" if marks else "")

    def notes(self, *, short: bool = False) -> list[str]:
        """What the reader has to know besides the numbers: counts, means, tests, gaps. Empty where there is nothing.

        `short` is for tables whose columns have the short names of protocols.
        """
        notes = []
        heading = self.heading if short else str
        if self.protocol is None:
            names = {name: name if heading(name) == name else f"{heading(name)} = {name}" for name in self.queries}
            notes.append(
                "Queries: " + ", ".join(f"{names[name]} {count}" for name, count in self.queries.items()) + "."
            )
            at, keys = self.layout.columns.index(PROTOCOL), self.column_keys.values()
            means = {key.labels[at]: key.protocols for key in keys if key.is_mean}
            notes += [
                f"{name} is the mean over {', '.join(map(heading, each))}, only where all are there."
                for name, each in means.items()
            ]
        notes += self.tests.notes() if self.tests else []
        by_gap: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for row, protocol, queries in self.without_result:
            by_gap.setdefault((protocol, queries), []).append(row)
        for (protocol, queries), rows in by_gap.items():
            whose = rows[0] if len(rows) == 1 else f"{len(rows)} rows"
            some = f"{', '.join(queries[:5])}{', ...' if len(queries) > 5 else ''}"
            notes.append(f"Without a result, counted as 0: {len(queries)} queries of {protocol} for {whose} ({some}).")
        notes += [note(self.differing)] if self.differing else []
        absent = self.absent()
        for row, column, cell in absent[:LISTED]:
            seeds = [seed for seed in cell.absent if seed]
            over = f" ({', '.join(self.layout.over)} {', '.join(seeds)})" if seeds else ""
            notes.append(f"Not there yet: {row}{f' | {column}' if column else ''}{over}.")
        if len(absent) > LISTED:
            notes.append(f"And {len(absent) - LISTED} more cells; --format json lists all.")
        return notes

    def render(self) -> str:
        """The table as aligned text (Markdown), with its notes below."""
        from xpm_ce.analysis.tables_text import aligned

        return aligned(self)

    def as_json(self) -> dict[str, Any]:
        queries: Any = self.queries[self.protocol] if self.protocol else self.queries
        described = {
            "protocol": self.protocol, "depth": self.depth, "measure": self.measure, "queries": queries,
            "rows": ", ".join(self.row_axes), "columns": self.columns,
            "cells": {
                row: {column: cell.as_json() for column, cell in cells.items() if cell.values}
                for row, cells in self.cells.items()
            },
            "missing": [
                {"row": row, "column": column, "over": list(cell.absent), "jobs": list(cell.absent_jobs)}
                for row, column, cell in self.absent()
            ],
            "queries_without_result": [
                {"row": row, "protocol": protocol, "queries": list(queries)}
                for row, protocol, queries in self.without_result
            ],
            "environments": self.differing,
        }  # fmt: skip
        return {**described, "tests": self.tests.as_json()} if self.tests else described


def make_tables(
    results: Results,
    *,
    measures: Sequence[str] = (),
    depths: Sequence[int] = (),
    protocols: Sequence[str] = (),
    layout: Layout | None = None,
) -> list[Table]:
    """One table per protocol, depth and measure that is not a column; those without any result are left out.

    By default the experiment's own layout with its main measure at its largest depth. Two sets of queries of one name
    are two protocols, with a table each; ConfigurationError where they would stand in one column. `protocols` are
    patterns, as `*@bm25-100`; UnknownKeyError for one that no protocol fits.
    """
    layout, plan = layout or Layout.of(results), results.layout
    main = _Main(plan)
    of_measures: list[list[str]] = [[each] for each in measures]
    if layout.splits(MEASURE):
        of_measures = [list(measures) or list(plan["measures"])]
    of_depths: list[list[int]] = [[each] for each in depths]
    if layout.splits(DEPTH):
        of_depths = [list(depths) or list(plan["depths"])]
    tables, computed_in = [], environments(results)
    chosen = chosen_protocols(plan["protocols"], protocols)
    for beside in [chosen] if layout.splits(PROTOCOL) else [[each] for each in chosen]:
        shown = itertools.product(of_depths or [main.depths(beside)], of_measures or [[main.measure(beside)]])
        for depths_here, measures_here in shown:
            at = {each: depths_here if of_depths else [main.depth(each)] for each in beside}
            rows = [
                row
                for row in results.rows
                if row.protocol in beside and row.depth in at[row.protocol] and row.measure in measures_here
            ]
            labels = {
                PROTOCOL: beside, MEASURE: measures_here,
                DEPTH: [str(depth) for depth in dict.fromkeys(itertools.chain(*at.values()))],
            }  # fmt: skip
            own = {axis: labels[axis] for axis in layout.of_results}
            here = dataclasses.replace(layout, labels={**layout.labels, **own})
            sizes = [None] if layout.splits(PROTOCOL) else list(dict.fromkeys(row.queries for row in rows))
            tables += [
                _table(results, [row for row in rows if size in (None, row.queries)], here, depths=at,
                       measures=measures_here, computed_in=computed_in)
                for size in sizes
                if rows
            ]  # fmt: skip
    return tables


class _Main:
    """The measure and the depth that a protocol is shown with where none is asked for."""

    def __init__(self, plan: Mapping[str, Any]):
        self.by_protocol = plan.get("main") or {}
        self.otherwise = {"measure": plan["measures"][0], "depth": max(plan["depths"])}

    def depth(self, protocol: str) -> int:
        return int(self.by_protocol.get(protocol, self.otherwise)["depth"])

    def depths(self, protocols: Sequence[str]) -> list[int]:
        return list(dict.fromkeys(map(self.depth, protocols)))

    def measure(self, protocols: Sequence[str]) -> str:
        """That of most of them: a table beside each other holds one measure."""
        return collections.Counter(
            str(self.by_protocol.get(each, self.otherwise)["measure"]) for each in protocols
        ).most_common(1)[0][0]


@dataclasses.dataclass
class _Gathered:
    """What belongs to one cell, as far as it was met."""

    found: list[ResultRow] = dataclasses.field(default_factory=list)
    absent: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def cell(self, over: Sequence[str]) -> Cell:
        measured = (self.found[0].measure, self.found[0].depth) if self.found else None
        return Cell(
            tuple(row.mean for row in self.found), tuple(row.job for row in self.found),
            tuple(seed_label(row.coordinates, over) for row in self.found),
            tuple(seed_label(each["coordinates"], over) for each in self.absent),
            tuple(each["job"] for each in self.absent), measured,
        )  # fmt: skip


def _table(
    results: Results, rows: list[ResultRow], layout: Layout, *, depths: dict[str, list[int]], measures: list[str],
    computed_in: Mapping[str, Environment],
) -> Table:  # fmt: skip
    protocols = list(depths)
    gathered: dict[Row, dict[ColumnKey, _Gathered]] = {}
    order: dict[Row, Any] = {}

    def at(row: Row, coordinates: dict[str, str], key: ColumnKey) -> _Gathered:
        order.setdefault(row, layout.row_key(row, coordinates))
        return gathered.setdefault(row, {}).setdefault(key, _Gathered())

    for each in rows:
        row = layout.row(each.system, each.coordinates, each.order)
        for key in layout.columns_of(each.protocol, each.measure, each.depth, each.coordinates):
            at(row, each.coordinates, key).found.append(each)
    for planned in (each for each in results.missing if each["protocol"] in protocols):
        row = layout.row(planned["system"], planned["coordinates"], "given")
        for measure, depth in itertools.product(measures, depths[planned["protocol"]]):
            for key in layout.columns_of(planned["protocol"], measure, depth, planned["coordinates"]):
                at(row, planned["coordinates"], key).absent.append(planned)
    queries = _queries(gathered)
    cells = {
        row: {key: each.cell(layout.over) for key, each in gathered[row].items()}
        for row in sorted(gathered, key=lambda row: order[row])
    }
    columns = layout.all_columns(key for by_column in gathered.values() for key in by_column)
    averages = layout.averaged_columns(columns)
    for by_column in cells.values():
        for key, parts in averages.items():
            if (mean := mean_over_protocols([by_column.get(part) for part in parts])) is not None:
                by_column[key] = mean
    columns = sorted([*columns, *averages], key=layout.column_key)
    return Table(
        protocol=None if layout.splits(PROTOCOL) else protocols[0],
        depth=one[0] if len(one := list(dict.fromkeys(itertools.chain(*depths.values())))) == 1 else None,
        measure=None if layout.splits(MEASURE) else measures[0],
        queries={protocol: queries[protocol] for protocol in protocols if protocol in queries},
        layout=layout,
        abbreviations=results.layout.get("abbreviations") or {},
        rows={row.text: row for row in cells},
        column_keys={key.text: key for key in columns},
        cells={row.text: {key.text: cell for key, cell in by_column.items()} for row, by_column in cells.items()},
        results=tuple(rows),
        without_result=_without_result(results, gathered),
        differing=differing(
            {
                row.text: [computed_in.get(each.job, frozenset()) for found in by_column.values() for each in found.found]
                for row, by_column in gathered.items()
                if row.order == "given"
            }
        ),
    )


def _queries(gathered: Mapping[Row, Mapping[ColumnKey, _Gathered]]) -> dict[str, int]:
    """Queries of each protocol; ConfigurationError where one column would hold results of different ones."""
    counts: dict[ColumnKey, int] = {}
    for by_column in gathered.values():
        for key, each in by_column.items():
            for row in each.found:
                if counts.setdefault(key, row.queries) != row.queries:
                    raise ConfigurationError(
                        f"two protocols are named {row.protocol}, one of {counts[key]} queries, one of {row.queries}, "
                        "and never share a column",
                        remedy="Name the sets apart in the YAML, or the axis that sets them apart in --cols.",
                    )
    return {key.protocols[0]: count for key, count in counts.items()}


def _without_result(
    results: Results, gathered: Mapping[Row, Mapping[ColumnKey, _Gathered]]
) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    found: dict[tuple[str, str, tuple[str, ...]], None] = {}
    if results.without_result:
        for row, by_column in gathered.items():
            for each in (each for one in by_column.values() for each in one.found if row.order == "given"):
                if each.job in results.without_result:
                    found[row.text, each.protocol, tuple(results.without_result[each.job])] = None
    return tuple(found)
