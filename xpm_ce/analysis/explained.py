"""The jobs behind one cell of a table: what measured it, re-ranked for it, was trained for it.

This module does not know what those jobs do.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from xpm_ce.analysis.cells import Cell
from xpm_ce.analysis.results import Results
from xpm_ce.analysis.tables import Table
from xpm_ce.errors import ConfigurationError, UnknownKeyError

SHOWN = ("learn", "rerank", "retrieve", "measure")
"""Kinds of jobs that are told by their folder"""


@dataclasses.dataclass(frozen=True)
class Explained:
    """A cell and, for each of its values, the jobs that it comes from."""

    title: str
    row: str
    column: str
    cell: Cell
    values: tuple[dict[str, Any], ...]

    def render(self) -> str:
        where = " | ".join(filter(None, [self.row, self.column]))
        lines = [f"{where}: {self.cell.render()}  ({self.title})"]
        for each in self.values:
            value = "not there yet" if each["value"] is None else f"{each['value']!r}"
            lines += ["", f"{' '.join(f'{axis}={label}' for axis, label in each['coordinates'].items())}  {value}"]
            lines += [f"  {job['kind']:<9} {job['id'][:12]}  {job['folder']}" for job in each["jobs"]]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        return {"table": self.title, "row": self.row, "column": self.column, "values": list(self.values)}


def explained(tables: Sequence[Table], results: Results, text: str) -> list[Explained]:
    """The cell `ROW,COLUMN` (only `ROW` where there is one column) of each table that has it.

    UnknownKeyError for a row that there is not; ConfigurationError for a column that there is not.
    """
    found = []
    for table in tables:
        for row, column in _split(text, table):
            cell = table.cells[row].get(column)
            if cell is not None:
                found.append(Explained(table.title, row, column, cell, tuple(_values(table, row, column, results))))
    if not found:
        rows = list(dict.fromkeys(row for table in tables for row in table.rows))
        columns = list(dict.fromkeys(column for table in tables for column in table.columns))
        named = next((row for row in rows if _same(text).startswith(_same(row))), None)
        if named is None:
            raise UnknownKeyError(text.partition(",")[0], rows, where="--explain", kind="row")
        raise ConfigurationError(
            f"--explain {text}: no such cell", remedy=f"Columns: {', '.join(columns) or 'none, give the row alone'}."
        )
    return found


def _split(text: str, table: Table) -> list[tuple[str, str]]:
    """Every way to read the text as a row and a column of the table."""
    columns = list(table.column_keys)
    pairs = [(row, column) for row in table.rows for column in columns]
    return [
        (row, column)
        for row, column in pairs
        if _same(text) == _same(f"{row},{column}" if column else row)
        or (len(columns) == 1 and _same(text) == _same(row))
    ]


def _same(text: str) -> str:
    return ",".join(part.strip().casefold() for part in text.split(",") if part.strip())


def _values(table: Table, row: str, column: str, results: Results) -> list[dict[str, Any]]:
    """Each value of a cell, of a mean over protocols those that it is the mean of, then those that are not there."""
    cell, order = table.cells[row][column], table.rows[row].order
    means = {
        each.job: each.mean
        for each in table.results
        if ((each.measure, each.depth), each.order) == (cell.measured, order)
    }
    found = []
    for job in (*cell.jobs, *cell.absent_jobs):
        behind = [each for each in results.behind(job) if each["kind"] in SHOWN]
        found.append(
            {
                "coordinates": results.jobs.get(job, {}).get("coordinates", {}), "value": means.get(job),
                "jobs": [{name: each[name] for name in ("kind", "id", "folder")} for each in behind],
            }
        )  # fmt: skip
    return found
