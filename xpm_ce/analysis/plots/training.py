"""The course of trainings: loss and validation against documents seen, a panel per row, a line per column.

Seeds are a band from lowest to highest. Losses of different kinds are not comparable, so each has a panel of its own;
validation shares one scale. This module does not know what the numbers mean.
"""

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xpm_ce.analysis.plots.figure import COLUMN, Plot, counted, grid, looks
from xpm_ce.analysis.plots.points import in_order, place
from xpm_ce.analysis.results import Results
from xpm_ce.errors import ConfigurationError

CURVE, VALIDATION, MEAN = "curve.csv", "validation.csv", "(mean)"
POINTS = 60
"""Points of a line: the loss is averaged over as many stretches of the training"""


@dataclasses.dataclass(frozen=True)
class _Course:
    """One quantity of one system: documents seen, and its mean, lowest and highest value over seeds."""

    row: str
    column: str
    quantity: str
    documents: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    seeds: int


def training(results: Results) -> Plot:
    """Loss and validation against documents seen; ConfigurationError where no training has begun."""
    curves: dict[tuple[str, str, str], list[list[tuple[int, float]]]] = {}
    measures: list[str] = []
    for job in results.jobs.values():
        if job["kind"] != "learn" or "stage" in job["coordinates"]:
            continue
        where, folder = place(job["coordinates"], results.layout), Path(job["folder"])
        losses = [(int(line["documents"]), float(line["loss"])) for line in _lines(folder / CURVE)]
        if losses:
            curves.setdefault((*where, "loss"), []).append(_stretches(losses))
        validated = [line for line in _lines(folder / VALIDATION) if line["set"] == MEAN]
        if validated:
            measures += [line["measure"] for line in validated[:1]]
            values = [(int(line["documents"]), float(line["value"])) for line in validated]
            curves.setdefault((*where, "validation"), []).append(values)
    if not curves:
        raise ConfigurationError(
            "no training has begun",
            where=results.experiment,
            remedy="`xpm-ce status` says where the experiment stands.",
        )
    courses = [_over_seeds(*where, found) for where, found in curves.items()]
    rows = in_order((course.row for course in courses), results.layout["row_labels"])
    columns = in_order((course.column for course in courses), results.layout["column_labels"])
    quantities = [each for each in ("loss", "validation") if any(course.quantity == each for course in courses)]
    named = {"loss": "training loss", "validation": f"validation {'/'.join(dict.fromkeys(measures))} x 100"}
    data = tuple(
        (course.row, course.column, course.quantity, *values, course.seeds)
        for course in courses
        for values in zip(course.documents, course.mean, course.low, course.high, strict=True)
    )

    def draw(figure: Any) -> None:
        panels = figure.subplots(len(quantities), len(rows), squeeze=False, sharex="col")
        look = looks(columns)
        for line, quantity in zip(panels, quantities, strict=True):
            scale = 100 if quantity == "validation" else 1
            for axes, row in zip(line, rows, strict=True):
                for course in courses:
                    if (course.row, course.quantity) == (row, quantity):
                        place_of_marks = columns.index(course.column) / len(columns)
                        _drawn(axes, course, look[course.column].line, scale=scale, first_mark=place_of_marks)
                grid(axes)
            if quantity == "validation":
                low = min(axes.get_ylim()[0] for axes in line)
                high = max(axes.get_ylim()[1] for axes in line)
                for axes in line:
                    axes.set_ylim(low, high)
                for axes in line[1:]:
                    axes.tick_params(labelleft=False)
            line[0].set_ylabel(named[quantity])
        for axes, row in zip(panels[0], rows, strict=True):
            axes.set_title(row)
        for axes in panels[-1]:
            axes.set_xlabel("documents seen")
            counted(axes.xaxis)
        if len(columns) > 1:
            handles, labels = panels[0][0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=min(len(columns), 5))

    size = (max(COLUMN, 0.5 + 1.5 * len(rows)), 0.7 + 1.5 * len(quantities))
    header = ("row", "column", "quantity", "documents", "mean_over_seeds", "lowest", "highest", "seeds")
    return Plot("training", header, data, size, draw)


def _drawn(axes: Any, course: _Course, look: dict[str, Any], *, scale: float, first_mark: float) -> None:
    """One line and its band; `first_mark` shifts the markers, so that those of several lines do not coincide."""
    mean, low, high = ([scale * value for value in values] for values in (course.mean, course.low, course.high))
    every = max(1, len(mean) // 5)
    axes.plot(
        course.documents, mean, label=course.column, markevery=(int(every * first_mark), every), linewidth=0.9,
        markersize=3.5, **look,
    )  # fmt: skip
    if course.seeds > 1:
        axes.fill_between(course.documents, low, high, color=look["color"], alpha=0.2, linewidth=0)


def _lines(path: Path) -> list[dict[str, str]]:
    """The lines of a CSV file, none where it is not there; a last line that is being written is left out."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    return list(csv.DictReader(text[: text.rfind("\n") + 1].splitlines()))


def _stretches(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Means over stretches of equal length, each at its last point; all points where there are few."""
    size = -(-len(points) // POINTS)
    parts = [points[first : first + size] for first in range(0, len(points), size)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]


def _over_seeds(row: str, column: str, quantity: str, seeds: list[list[tuple[int, float]]]) -> _Course:
    """Seeds side by side, as far as all of them have come."""
    length = min(map(len, seeds))
    documents = tuple(sum(seed[step][0] for seed in seeds) / len(seeds) for step in range(length))
    values = [[seed[step][1] for seed in seeds] for step in range(length)]
    return _Course(
        row, column, quantity, documents, tuple(sum(each) / len(each) for each in values),
        tuple(map(min, values)), tuple(map(max, values)), len(seeds),
    )  # fmt: skip
