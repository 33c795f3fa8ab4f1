"""Tables of results: a row per loss (or any axis), a column per backbone (or any axis), mean ± std over seeds.

The first stage, its recall ceiling, a random order and untrained scorers are rows like any other. A table holds one
protocol, one depth and one measure: two protocols never share a column. This module does not read files.
"""

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

from xpm_ce.analysis.results import ResultRow, Results
from xpm_ce.workspace import FIRST_STAGE, TRAINED, UNTRAINED

ABSENT = "–"
ORDERS = {"given": "", "ceiling": "best order of its documents", "random": "random order of its documents"}


@dataclasses.dataclass(frozen=True)
class Cell:
    """The values of one cell, one per seed, and the jobs behind them."""

    values: tuple[float, ...]
    jobs: tuple[str, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def std(self) -> float | None:
        """Sample standard deviation over seeds; None for a single value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def render(self) -> str:
        """x 100, one decimal, as tables in the field are printed."""
        spread = "" if self.std is None else f" ± {100 * self.std:.1f}"
        return f"{100 * self.mean:.1f}{spread}"

    def as_json(self) -> dict[str, Any]:
        return {"mean": self.mean, "std": self.std, "values": list(self.values), "jobs": list(self.jobs)}


@dataclasses.dataclass(frozen=True)
class Table:
    """One table: `cells[row][column]`, absent cells left out."""

    protocol: str
    depth: int
    measure: str
    queries: int
    row_axis: str
    columns: list[str]
    cells: dict[str, dict[str, Cell]]

    @property
    def title(self) -> str:
        return f"{self.measure} x 100 on {self.protocol} ({self.queries} queries), depth {self.depth}"

    def render(self) -> str:
        """The table as aligned text (Markdown)."""
        columns = self.columns or [""]
        lines = [[self.row_axis, *columns]]
        for row, cells in self.cells.items():
            lines.append([row, *(cells[column].render() if column in cells else ABSENT for column in columns)])
        widths = [max(len(line[index]) for line in lines) for index in range(len(lines[0]))]
        rendered = [
            "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |"
            for line in lines
        ]
        rendered.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join([self.title, "", *rendered])

    def as_json(self) -> dict[str, Any]:
        return {
            "protocol": self.protocol, "depth": self.depth, "measure": self.measure, "queries": self.queries,
            "rows": self.row_axis, "columns": self.columns,
            "cells": {
                row: {column: cell.as_json() for column, cell in cells.items()} for row, cells in self.cells.items()
            },
        }  # fmt: skip


def make_tables(results: Results, *, measures: Sequence[str] = (), depths: Sequence[int] = ()) -> list[Table]:
    """One table per protocol, depth and measure; by default the protocol's main measure at its largest depth."""
    layout = results.layout
    tables = []
    for protocol in layout["protocols"]:
        main = layout.get("main", {}).get(protocol, {})
        for depth in depths or [main.get("depth", max(layout["depths"]))]:
            for measure in measures or [main.get("measure", layout["measures"][0])]:
                rows = [
                    row for row in results.rows if (row.protocol, row.depth, row.measure) == (protocol, depth, measure)
                ]
                if rows:
                    tables.append(_table(rows, layout))
    return tables


def _table(rows: list[ResultRow], layout: dict[str, Any]) -> Table:
    columns = layout["column_labels"]
    gathered: dict[str, dict[str, list[ResultRow]]] = {}
    for label in _row_labels(rows, layout):
        gathered[label] = {}
    for row in rows:
        column = row.coordinates.get(layout["columns"]) if layout["columns"] else None
        for target in [column] if column is not None else (columns or [""]):
            gathered[_label(row, layout)].setdefault(target, []).append(row)
    cells = {
        label: {
            column: Cell(tuple(row.mean for row in found), tuple(row.job for row in found))
            for column, found in by_column.items()
        }
        for label, by_column in gathered.items()
    }
    first = rows[0]
    return Table(first.protocol, first.depth, first.measure, first.queries, layout["rows"] or "system", columns, cells)


def _label(row: ResultRow, layout: dict[str, Any]) -> str:
    """The row that a result belongs to: what it is, unless it was trained here, and its places on the free axes."""
    elsewhere = (layout["columns"], layout["over"], "set", FIRST_STAGE)
    places = [value for axis, value in row.coordinates.items() if axis not in elsewhere]
    if row.system == TRAINED:
        return ", ".join(places) or TRAINED
    name = row.coordinates.get(FIRST_STAGE, row.system)
    return ", ".join([name, *places, *([ORDERS[row.order]] if row.order != "given" else [])])


def _row_labels(rows: list[ResultRow], layout: dict[str, Any]) -> list[str]:
    """Rows in reading order: first stage and its bounds, untrained, existing models and runs, then the grid's order."""
    rank = {FIRST_STAGE: 0, UNTRAINED: 1, TRAINED: 3}
    grid = {label: place for place, label in enumerate(layout["row_labels"])}
    order = {"given": 0, "ceiling": 1, "random": 2}
    keys = {
        _label(row, layout): (
            rank.get(row.system, 2), grid.get(row.coordinates.get(layout["rows"], ""), -1), order[row.order],
        )
        for row in rows
    }  # fmt: skip
    return sorted(keys, key=lambda label: keys[label])
