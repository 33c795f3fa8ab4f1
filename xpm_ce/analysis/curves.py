"""The course of trainings from their files: loss and validation against documents seen, by learner and over seeds.

This module does not draw, nor know what the numbers mean.
"""

import csv
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from xpm_ce.analysis.plots.points import place
from xpm_ce.analysis.results import LEARN, Results

CURVE, VALIDATION, MEAN = "curve.csv", "validation.csv", "(mean)"
LOSS, VALUE = "loss", "validation"
"""Quantities"""
POINTS = 60
"""Points of a line: the loss is averaged over as many stretches of the training"""


class CoursePoint(NamedTuple):
    """A moment of a training."""

    documents: int
    """Documents seen so far"""
    value: float


@dataclasses.dataclass(frozen=True)
class TrainingCourse:
    """What one training has written so far: its loss, averaged over stretches, and the mean of each validation."""

    loss: tuple[CoursePoint, ...]
    validation: tuple[CoursePoint, ...]
    measure: str
    """Of the validations; empty where there is none"""


@dataclasses.dataclass(frozen=True)
class LearnerCourse:
    """The course of one learner of a plan."""

    job: str
    coordinates: Mapping[str, str]
    row: str
    column: str
    course: TrainingCourse


@dataclasses.dataclass(frozen=True)
class SystemCourse:
    """One quantity of one system: documents seen, and its mean, lowest and highest value over seeds."""

    row: str
    column: str
    quantity: str
    documents: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    seeds: int


def read_course(folder: Path) -> TrainingCourse:
    """What a training has written into its folder; without points where it has not begun."""
    losses = [CoursePoint(int(line["documents"]), float(line["loss"])) for line in _lines(folder / CURVE)]
    means = [line for line in _lines(folder / VALIDATION) if line["set"] == MEAN]
    validation = tuple(CoursePoint(int(line["documents"]), float(line["value"])) for line in means)
    return TrainingCourse(tuple(_stretches(losses)), validation, means[0]["measure"] if means else "")


def learner_courses(results: Results, *, read: Callable[[Path], TrainingCourse] = read_course) -> list[LearnerCourse]:
    """The learners of the plan that have begun, in its order; those of the stages before the last one are left out."""
    found = []
    for job in results.jobs.values():
        if job["kind"] == LEARN and "stage" not in job["coordinates"]:
            course = read(Path(job["folder"]))
            if course.loss or course.validation:
                row, column = place(job["coordinates"], results.layout)
                found.append(LearnerCourse(job["id"], job["coordinates"], row, column, course))
    return found


def over_seeds(learners: Iterable[LearnerCourse]) -> list[SystemCourse]:
    """Seeds side by side, as far as all of them have come: a course per quantity and system, in the order met."""
    curves: dict[tuple[str, str, str], list[Sequence[CoursePoint]]] = {}
    for learner in learners:
        for quantity, points in ((LOSS, learner.course.loss), (VALUE, learner.course.validation)):
            if points:
                curves.setdefault((learner.row, learner.column, quantity), []).append(points)
    return [_side_by_side(*where, seeds) for where, seeds in curves.items()]


def _side_by_side(row: str, column: str, quantity: str, seeds: list[Sequence[CoursePoint]]) -> SystemCourse:
    length = min(map(len, seeds))
    documents = tuple(sum(seed[step].documents for seed in seeds) / len(seeds) for step in range(length))
    values = [[seed[step].value for seed in seeds] for step in range(length)]
    return SystemCourse(
        row, column, quantity, documents, tuple(sum(each) / len(each) for each in values),
        tuple(map(min, values)), tuple(map(max, values)), len(seeds),
    )  # fmt: skip


def _lines(path: Path) -> list[dict[str, str]]:
    """The lines of a CSV file, none where it is not there; a last line that is being written is left out."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    return list(csv.DictReader(text[: text.rfind("\n") + 1].splitlines()))


def _stretches(points: Sequence[CoursePoint]) -> list[CoursePoint]:
    """Means over stretches of equal length, each at its last point; all points where there are few."""
    size = -(-len(points) // POINTS)
    parts = [points[first : first + size] for first in range(0, len(points), size)] if size else []
    return [CoursePoint(part[-1].documents, sum(each.value for each in part) / len(part)) for part in parts]
