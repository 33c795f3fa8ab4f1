"""Which measured system a word means, and the results that it has: a place in the grid, a name, an identity, a folder.

This module does not know what results say.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from xpm_ce.analysis.labels import letters_and_digits
from xpm_ce.analysis.results import ResultRow, Results
from xpm_ce.analysis.statistics.frames import Frame, QueryValues, side_by_side
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
    return _in_full(results, max(gathered(results, fitting), key=lambda system: _in_common(system, near)))


def named_systems(results: Results) -> dict[str, MeasuredSystem]:
    """Every system that was measured, by its name in full, in the order of the results."""
    systems = gathered(results, (row for row in results.rows if row.order == "given"))
    return {each.name: each for each in (_in_full(results, system) for system in systems)}


def _in_full(results: Results, system: MeasuredSystem) -> MeasuredSystem:
    """The same, its name with its places in the grid, and its seed where it is the only one."""
    places = [f"{axis}={value}" for axis, value in system.coordinates.items() if axis not in NAMING]
    name = " ".join([*([] if system.system == TRAINED and places else [system.name]), *places])
    if len(system.seeds) == 1:
        name += f" {results.layout['over']}={system.seeds[0]}"
    return dataclasses.replace(system, name=name)


def gathered(results: Results, rows: Iterable[ResultRow]) -> list[MeasuredSystem]:
    """The systems that results are of, seeds together, in the order of the results; named by what kind they are."""
    points: dict[tuple[str, ...], list[ResultRow]] = {}
    for row in rows:
        points.setdefault((row.system, *itertools.chain(*results.place(row.coordinates).items())), []).append(row)
    over = results.layout["over"]
    return [
        MeasuredSystem(
            _name(found[0]), found[0].system, results.place(found[0].coordinates),
            tuple(dict.fromkeys(row.coordinates[over] for row in found if over in row.coordinates)), tuple(found),
        )
        for found in points.values()
    ]  # fmt: skip


def side_by_side_at(results: Results, systems: Iterable[MeasuredSystem], place: tuple[str, int, str]) -> Frame:
    """The values per query of systems at a (protocol, depth, measure), seeds averaged per query."""
    return side_by_side([values_at(results, each, place) for each in systems])


def values_at(results: Results, system: MeasuredSystem, place: tuple[str, int, str]) -> list[QueryValues]:
    """The values per query of a system at a (protocol, depth, measure), one run per seed."""
    return [results.query_values(row) for row in system.results_at(*place)]


def _fitting(results: Results, rows: list[ResultRow], text: str) -> list[ResultRow]:
    for same in (str, str.casefold, letters_and_digits):
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
        _means(text, each["system"], each["coordinates"], letters_and_digits)
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


def _in_common(system: MeasuredSystem, near: MeasuredSystem | None) -> int:
    coordinates = near.coordinates if near is not None else {}
    return sum(system.coordinates.get(axis) == value for axis, value in coordinates.items())


def _name(row: ResultRow) -> str:
    return next((row.coordinates[kind] for kind in NAMING if kind in row.coordinates), row.system)
