"""The means that several plots show: trained systems by row and column of the experiment's table, seeds gathered.

This module does not draw.
"""

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from xpm_ce.analysis.layouts import ORDERS
from xpm_ce.analysis.results import ResultRow, Results
from xpm_ce.errors import ConfigurationError
from xpm_ce.workspace import FIRST_STAGE, TRAINED


@dataclasses.dataclass(frozen=True)
class Shown:
    """Which numbers are plotted."""

    protocol: str
    measure: str
    depth: int

    @property
    def title(self) -> str:
        return f"{self.measure} x 100, {self.protocol}, depth {self.depth}"

    @property
    def label(self) -> str:
        return f"{self.measure} x 100"


@dataclasses.dataclass(frozen=True)
class Point:
    """One system: its results, one per seed."""

    row: str
    """Its place on the axis of rows, with those on other axes that are neither a column nor averaged"""
    column: str
    results: tuple[ResultRow, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(each.mean for each in self.results)

    @property
    def std(self) -> float:
        """Sample standard deviation over seeds; 0 for one."""
        return statistics.stdev(each.mean for each in self.results) if len(self.results) > 1 else 0.0


def shown(results: Results, *, protocol: str = "", measure: str = "", depth: int = 0) -> list[Shown]:
    """What is asked for; by default every protocol with the experiment's first measure at its largest depth.

    ConfigurationError where nothing of it was measured.
    """
    found = []
    there = {(row.protocol, row.measure, row.depth) for row in results.rows}
    for each in [protocol] if protocol else results.layout["protocols"]:
        measures = [name for name in results.layout["measures"] if (each, name) in {key[:2] for key in there}]
        name = measure or next(iter(measures), "")
        depths = [key[2] for key in there if key[:2] == (each, name)]
        if depths and (not depth or depth in depths):
            found.append(Shown(each, name, depth or max(depths)))
    if not found:
        measured = sorted({f"{row.measure} on {row.protocol} at {row.depth}" for row in results.rows})
        raise ConfigurationError(
            "nothing of what is to be plotted is measured yet",
            where=results.experiment,
            remedy=f"Measured: {', '.join(measured[:8]) or 'nothing; `xpm-ce status` says why'}.",
        )
    return found


def trained(results: Results, what: Shown) -> list[Point]:
    """The trained systems in the grid's order."""
    rows = [row for row in _of(results, what) if row.system == TRAINED and row.order == "given"]
    gathered: dict[tuple[str, str], list[ResultRow]] = {}
    for row in rows:
        gathered.setdefault(place(row.coordinates, results.layout), []).append(row)
    rank = {label: number for number, label in enumerate(results.layout["row_labels"])}
    columns = {label: number for number, label in enumerate(results.layout["column_labels"])}
    points = [Point(*key, tuple(found)) for key, found in gathered.items()]
    return sorted(points, key=lambda point: (rank.get(point.row, len(rank)), columns.get(point.column, len(columns))))


def first_stages(results: Results, what: Shown) -> dict[str, float]:
    """The first stages, and the best order of their documents, by name."""
    found: dict[str, float] = {}
    for row in _of(results, what):
        if row.system == FIRST_STAGE and row.order != "random":
            found[", ".join(filter(None, [row.coordinates.get(FIRST_STAGE, row.system), ORDERS[row.order]]))] = row.mean
    return found


def place(coordinates: Mapping[str, str], layout: Mapping[str, Any]) -> tuple[str, str]:
    """(row, column) of a trained system in the experiment's table."""
    elsewhere = (layout["columns"], layout["over"], "set", FIRST_STAGE)
    row = ", ".join(value for axis, value in coordinates.items() if axis not in elsewhere)
    return row or TRAINED, coordinates.get(layout["columns"] or "", "")


def in_order(labels: Iterable[str], first: Sequence[str] = ()) -> list[str]:
    """Each once, those of `first` before the others."""
    present = dict.fromkeys(labels)
    return [label for label in first if label in present] + [label for label in present if label not in first]


def _of(results: Results, what: Shown) -> list[ResultRow]:
    wanted = (what.protocol, what.measure, what.depth)
    return [row for row in results.rows if (row.protocol, row.measure, row.depth) == wanted]
