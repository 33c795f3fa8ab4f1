"""Where each result stands in a table: its row, its columns, and the axes that are averaged.

This module does not know values, nor how a table is written down.
"""

import dataclasses
import fnmatch
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from xpm_ce.analysis.results import Results
from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.workspace import FIRST_STAGE, MODEL, RUN, TRAINED, UNTRAINED

PROTOCOL, MEASURE, DEPTH = "protocol", "measure", "depth"
OF_RESULTS = (PROTOCOL, MEASURE, DEPTH)
"""Axes that every result stands on, besides those of the grid; one table each unless they are columns"""
ORDERS = {"given": "", "ceiling": "best order of its documents", "random": "random order of its documents"}
MEAN, MEAN_AND_SPREAD = "mean", "mean±std"
AGGREGATES = {MEAN: False, MEAN_AND_SPREAD: True, "mean+-std": True}
"""What --agg knows: whether the deviation is shown"""
NOT_AXES = (FIRST_STAGE, MODEL, RUN, "set")
"""Coordinates that name a system"""
COMPARED = (FIRST_STAGE, TRAINED, MODEL, RUN)
"""Systems that compete: the best is marked among them, and they are tested against baselines"""


class Row(NamedTuple):
    """A row of a table: its labels, one per axis, what kind of system it is, and in which order its documents are."""

    labels: tuple[str, ...]
    system: str
    order: str

    @property
    def text(self) -> str:
        return ", ".join(filter(None, self.labels))

    @property
    def competes(self) -> bool:
        """Whether it is a system that somebody would use: neither a bound nor a scorer before training."""
        return self.system in COMPARED and self.order == "given"


class ColumnKey(NamedTuple):
    """A column of a table: its place on each axis of the columns, and the protocols that its values are of."""

    labels: tuple[str, ...]
    protocols: tuple[str, ...]
    """Those of a mean, or the one"""
    is_mean: bool = False

    @property
    def text(self) -> str:
        return ", ".join(self.labels)


@dataclasses.dataclass(frozen=True)
class Layout:
    """Axes of rows and columns, averaged axes, labels of each axis in the grid's order, means over protocols."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    over: tuple[str, ...]
    spread: bool
    labels: Mapping[str, Sequence[str]]
    averages: Mapping[str, Sequence[str]]
    of_results: tuple[str, ...] = OF_RESULTS
    """Those of `OF_RESULTS` that no axis of the grid is named as"""

    @classmethod
    def of(
        cls, results: Results, *, rows: Sequence[str] = (), columns: Sequence[str] = (), aggregate: str = ""
    ) -> "Layout":
        """The experiment's own layout, with rows, columns and `AXIS:mean±std` as asked.

        UnknownKeyError for an axis that there is not; ConfigurationError for one in two places, and for protocols,
        measures or depths as rows, where one column would hold numbers that cannot be compared.
        """
        plan, labels = results.layout, _labels_of_the_grid(results)
        of_results = tuple(axis for axis in OF_RESULTS if axis not in labels)
        over, spread = _aggregated(aggregate) if aggregate else ((plan["over"],) if plan["over"] else (), True)
        if not aggregate and plan["over"]:
            labels.setdefault(plan["over"], [])
        free = [axis for axis in labels if axis not in (*rows, *columns, *over)]
        own = [[axis] if (axis := plan[key]) in free else [] for key in ("rows", "columns")]
        if not rows and not columns:
            rows, columns = own
        elif not columns:
            columns = own[1] or own[0]
        known = {PROTOCOL: plan["protocols"], MEASURE: plan["measures"], DEPTH: [str(each) for each in plan["depths"]]}
        labels |= {axis: known[axis] for axis in of_results}
        made = cls(
            tuple(rows or free), tuple(columns), over, spread, labels, plan.get("averages") or {}, of_results
        )  # fmt: skip
        made._check()
        return made

    def _check(self) -> None:
        named = (*self.rows, *self.columns, *self.over)
        for axis in named:
            if axis not in self.labels:
                raise UnknownKeyError(axis, self.labels, where="--rows, --cols, --agg", kind="axis")
            if named.count(axis) > 1:
                raise ConfigurationError(
                    f"the axis {axis} cannot stand in two places of a table",
                    remedy="Name it once, in --rows, --cols or --agg.",
                )
        mixed = [axis for axis in (*self.rows, *self.over) if axis in self.of_results]
        if mixed:
            raise ConfigurationError(
                f"two {mixed[0]}s never share a column of a table", remedy=f"Name {mixed[0]} in --cols."
            )

    def splits(self, axis: str) -> bool:
        """Whether protocols, measures or depths are columns, rather than tables of their own."""
        return axis in self.of_results and axis in self.columns

    # -- rows -------------------------------------------------------------------------------------------------

    def row(self, system: str, coordinates: Mapping[str, str], order: str) -> Row:
        """The row of a result: its places on the axes of the rows, and what it is unless it was trained here."""
        elsewhere = (*self.columns, *self.over, "set", FIRST_STAGE)
        places = [coordinates.get(axis, "") for axis in self.rows]
        others = [value for axis, value in coordinates.items() if axis not in (*elsewhere, *self.rows)]
        if system == TRAINED:
            return Row(_named(places, "", others) if any(places) or others else (TRAINED,), system, order)
        name = coordinates.get(FIRST_STAGE, system)
        own = [value for value in others if value]
        words = ", ".join([name, *own, *([ORDERS[order]] if order != "given" else [])])
        if not all(places):  # its name stands where it has no place
            free = places.index("")
            return Row((*places[:free], words, *places[free + 1 :]), system, order)
        parts = [name, *(place for place in places if place), *own, *([ORDERS[order]] if order != "given" else [])]
        return Row((", ".join(parts), *("" for _ in self.rows[1:])), system, order)

    def row_key(self, row: Row, coordinates: Mapping[str, str]) -> tuple[Any, ...]:
        """In reading order: first stage and its bounds, untrained, existing models and runs, then the grid's order."""
        rank = {FIRST_STAGE: 0, UNTRAINED: 1, TRAINED: 3}.get(row.system, 2)
        places = [coordinates.get(axis) for axis in self.rows]
        grid = [self._place(axis, place) for axis, place in zip(self.rows, places, strict=True)]
        among_trained = rank == 3 or (any(places) and not all(places))
        return (3 if among_trained else rank, grid, rank, list(ORDERS).index(row.order))

    # -- columns ----------------------------------------------------------------------------------------------

    def columns_of(self, protocol: str, measure: str, depth: int, coordinates: Mapping[str, str]) -> list[ColumnKey]:
        """The columns of a result: several where it does not depend on their axes, as a first stage on a loss."""
        told = {PROTOCOL: protocol, MEASURE: measure, DEPTH: str(depth)}
        own = {**coordinates, **{axis: told[axis] for axis in self.of_results}}
        places = [[own[axis]] if axis in own else list(self.labels[axis]) for axis in self.columns]
        return [ColumnKey(labels, (protocol,)) for labels in itertools.product(*places)]

    def all_columns(self, met: Iterable[ColumnKey]) -> list[ColumnKey]:
        """Columns in the grid's order: of one axis all that are planned, of several those that are met."""
        found = {key.labels: key for key in met}
        if len(self.columns) == 1:
            protocols = next(iter(found.values())).protocols if self.columns != (PROTOCOL,) else ()
            for label in self.labels[self.columns[0]]:
                found.setdefault((label,), ColumnKey((label,), protocols or (label,)))
        return sorted(found.values(), key=self.column_key)

    def column_key(self, column: ColumnKey) -> tuple[int, ...]:
        """In the grid's order; a mean over protocols after the protocols."""
        return tuple(self._place(axis, label) for axis, label in zip(self.columns, column.labels, strict=True))

    def _place(self, axis: str, label: str | None) -> int:
        labels = [*self.labels[axis], *(self.averages if axis == PROTOCOL else ())]
        return -1 if label is None else labels.index(label) if label in labels else len(labels)

    def averaged_columns(self, columns: Sequence[ColumnKey]) -> dict[ColumnKey, list[ColumnKey]]:
        """For each mean over protocols, in each other place of the columns: the columns that it is the mean of."""
        if not self.splits(PROTOCOL):
            return {}
        at, found = self.columns.index(PROTOCOL), {}
        others = dict.fromkeys((*column.labels[:at], "", *column.labels[at + 1 :]) for column in columns)
        whole = {name: each for name, each in self.averages.items() if set(each) <= set(self.labels[PROTOCOL])}
        for name, protocols in whole.items():
            for place in others:
                parts = [ColumnKey((*place[:at], each, *place[at + 1 :]), (each,)) for each in protocols]
                found[ColumnKey((*place[:at], name, *place[at + 1 :]), tuple(protocols), is_mean=True)] = parts
        return found


def seed_label(coordinates: Mapping[str, str], over: Sequence[str]) -> str:
    """Where a result stands on the averaged axes."""
    return ", ".join(coordinates[axis] for axis in over if axis in coordinates)


def chosen_protocols(known: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """The protocols that fit one of some patterns, in their order; all where there is no pattern."""
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            raise UnknownKeyError(pattern, known, where="--protocol", kind="protocol")
    return [each for each in known if not patterns or any(fnmatch.fnmatch(each, pattern) for pattern in patterns)]


def _named(places: Sequence[str], name: str, others: Sequence[str]) -> tuple[str, ...]:
    """Labels of a trained system; places on axes that are neither rows nor columns stand with the last one."""
    if not places:
        return (", ".join(others),)
    return (*places[:-1], ", ".join(filter(None, [places[-1], *others])))


def _labels_of_the_grid(results: Results) -> dict[str, list[str]]:
    """Labels of every axis of the grid, as they are planned or, in plans that do not say so, as they are met."""
    plan = results.layout
    labels: dict[str, list[str]] = {axis: list(found) for axis, found in (plan.get("axes") or {}).items()}
    for axis, found in ((plan["rows"], plan["row_labels"]), (plan["columns"], plan["column_labels"])):
        if axis:
            labels.setdefault(axis, list(found))
    met = [row.coordinates for row in results.rows] + [each["coordinates"] for each in results.missing]
    for coordinates in met:
        for axis, label in coordinates.items():
            if axis not in NOT_AXES and label not in labels.setdefault(axis, []):
                labels[axis].append(label)
    return labels


def _aggregated(text: str) -> tuple[tuple[str, ...], bool]:
    """What `AXIS:mean±std` says: the averaged axes (several with commas), and whether the deviation is shown."""
    axes, _, how = text.partition(":")
    if how not in AGGREGATES or not axes:
        raise ConfigurationError(
            f"--agg {text} is not understood", remedy=f"Write AXIS:HOW, HOW one of {', '.join(AGGREGATES)}."
        )
    return tuple(axis.strip() for axis in axes.split(",")), AGGREGATES[how]
