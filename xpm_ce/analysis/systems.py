"""Which measured system a word means, and the results that it has: a place in the grid, a name, an identity, a folder.

This module does not know what results say.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from xpm_ce.analysis.results import ResultRow, Results
from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.workspace import FIRST_STAGE, MODEL, RUN, TRAINED

NAMING = (FIRST_STAGE, MODEL, RUN)
"""Coordinates that name a system which is not in the grid"""

SHORTEST = 6
"""Characters from which a word is taken for an identity of a job that has no result"""


@dataclasses.dataclass(frozen=True)
class MeasuredSystem:
    """One system with all its results; `seeds` are its places on the averaged axis."""

    name: str
    system: str
    coordinates: dict[str, str]
    seeds: tuple[str, ...]
    rows: tuple[ResultRow, ...]

    @property
    def title(self) -> str:
        seeds = f"  (seeds {', '.join(self.seeds)}, averaged per query)" if len(self.seeds) > 1 else ""
        return self.name + seeds

    def results_at(self, protocol: str, depth: int, measure: str) -> list[ResultRow]:
        """One per seed."""
        return [row for row in self.rows if (row.protocol, row.depth, row.measure) == (protocol, depth, measure)]


def measured_system(results: Results, text: str, *, near: MeasuredSystem | None = None) -> MeasuredSystem:
    """The system that `text` means.

    `axis=value,axis=value` is a place in the grid, all seeds of it unless one is named; a first word without `=` says
    that it is another kind of system (`untrained,backbone=BERT`). Else it is the name of a first stage, a model or a
    run, or the folder or the first characters of the identity of a job: a learner, a re-ranking, a measuring. Of
    several systems it is the one most in common with `near`, then the first of the grid. UnknownKeyError where there
    is none; ConfigurationError where it was not measured yet.
    """
    over = results.layout["over"]
    given = [row for row in results.rows if row.order == "given"]
    fitting = _fitting(results, given, text)
    if not fitting:
        planned = _fitting_missing(results, text)
        if planned:
            raise ConfigurationError(
                f"{text} is not measured yet", where=results.experiment, remedy="`xpm-ce status` says why."
            )
        known = sorted(
            {f"{axis}={value}" for row in given for axis, value in row.coordinates.items() if axis not in NAMING}
        )
        raise UnknownKeyError(
            text,
            [*dict.fromkeys(_name(row) for row in given), *known],
            where=results.experiment,
            kind="system of the plan:",
        )
    points: dict[tuple[str, ...], list[ResultRow]] = {}
    for row in fitting:
        place = (f"{axis}={value}" for axis, value in row.coordinates.items() if axis != over)
        points.setdefault((row.system, *place), []).append(row)
    rows = max(points.values(), key=lambda rows: _in_common(rows[0], near))
    first = rows[0]
    coordinates = {axis: value for axis, value in first.coordinates.items() if axis != over}
    seeds = tuple(dict.fromkeys(row.coordinates[over] for row in rows if over in row.coordinates))
    places = [f"{axis}={value}" for axis, value in coordinates.items() if axis not in NAMING]
    name = " ".join([*([] if first.system == TRAINED and places else [_name(first)]), *places])
    if len(seeds) == 1:
        name += f" {over}={seeds[0]}"
    return MeasuredSystem(name, first.system, coordinates, seeds, tuple(rows))


def _fitting(results: Results, rows: list[ResultRow], text: str) -> list[ResultRow]:
    for same in (str, str.casefold, _letters_and_digits):
        if found := [row for row in rows if _means(text, row.system, row.coordinates, same)]:
            return found
    if "=" in text:
        return []
    if Path(text).is_dir():
        identity = Path(text).absolute().name
    else:
        jobs = [job for job in results.jobs if job.startswith(text)]
        if len(jobs) > 1:
            shown = ", ".join(f"{results.jobs[job]['kind']} {job[:12]}" for job in jobs[:5])
            raise ConfigurationError(
                f"{len(jobs)} jobs of the plan start with {text}",
                where=results.experiment,
                remedy=f"Among them {shown}.",
            )
        if not jobs:
            return []
        identity = jobs[0]
    return [row for row in rows if _comes_from(results, row, identity)]


def _fitting_missing(results: Results, text: str) -> bool:
    return any(
        _means(text, each["system"], each["coordinates"], _letters_and_digits)
        or (len(text) >= SHORTEST and any(job["id"].startswith(text) for job in results.behind(each["job"])))
        for each in results.missing
    )


def _means(text: str, system: str, coordinates: Mapping[str, str], same: Callable[[str], str]) -> bool:
    words = [word.strip() for word in text.split(",")]
    places = dict(word.partition("=")[::2] for word in words if "=" in word)
    named = [word for word in words if "=" not in word]
    if not all(axis in coordinates and same(coordinates[axis]) == same(label) for axis, label in places.items()):
        return False
    if not named:
        return bool(places) and system == TRAINED
    names = {same(system), *(same(coordinates[kind]) for kind in NAMING if kind in coordinates)}
    return len(named) == 1 and same(named[0]) in names


def _comes_from(results: Results, row: ResultRow, identity: str) -> bool:
    """Whether a job is what a result is of: the first of its kind among the jobs behind it."""
    kind = results.jobs.get(identity, {}).get("kind")
    first = next((job["id"] for job in results.behind(row.job) if job["kind"] == kind), None)
    return first == identity and (kind != "retrieve" or row.system == FIRST_STAGE)


def _in_common(row: ResultRow, near: MeasuredSystem | None) -> int:
    coordinates = near.coordinates if near is not None else {}
    return sum(row.coordinates.get(axis) == value for axis, value in coordinates.items())


def _name(row: ResultRow) -> str:
    return next((row.coordinates[kind] for kind in NAMING if kind in row.coordinates), row.system)


def _letters_and_digits(label: str) -> str:
    """So that margin_mse is found as MarginMSE."""
    return "".join(filter(str.isalnum, label)).casefold()
