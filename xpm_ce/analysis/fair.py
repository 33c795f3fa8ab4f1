"""What two learners differ in besides the factor under study, from the files of their jobs.

This module does not know how differences are found.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from xpm_ce.analysis.differences import Difference, configured_differences, group, ledger_differences
from xpm_ce.analysis.labels import letters_and_digits
from xpm_ce.analysis.results import LEARN, LEDGER
from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.parameters import Given, read_parameters
from xpm_ce.workspace import JobFolder, Workspace, read_json

LEARNER = "xpm_ce.learn.learner"
"""The task of a learner"""

COST = (
    "seconds", "examples_per_second", "gflops", "matmul_peak_gflops", "share_of_peak", "peak_memory_mib", "last_loss",
    "resumptions",
)  # fmt: skip
"""Fields of a ledger in which any two trainings differ: they are shown apart"""


@dataclasses.dataclass(frozen=True)
class ComparedLearner:
    """A learner: its job's folder, its place in the plan, what it was given and what it has seen."""

    job: JobFolder
    coordinates: dict[str, str]
    given: Given
    ledger: dict[str, Any] | None
    """None where the training has not ended"""

    @property
    def title(self) -> str:
        return " ".join([self.job.identity[:12], *(f"{axis}={value}" for axis, value in self.coordinates.items())])


@dataclasses.dataclass(frozen=True)
class FairComparison:
    """Two learners, the fields that are under study, those beside them, and what the trainings cost."""

    a: ComparedLearner
    b: ComparedLearner
    factor: tuple[str, ...]
    under_study: list[Difference]
    beside: list[Difference]
    cost: list[Difference]

    @property
    def notes(self) -> list[str]:
        """What could not be compared."""
        ledgers = {"A": self.a.ledger, "B": self.b.ledger}
        missing = [name for name, ledger in ledgers.items() if ledger is None]
        if missing:
            return [f"No ledger of {' and '.join(missing)} yet: what was really seen is not compared."]
        schemas = {ledger["schema"] for ledger in ledgers.values() if ledger is not None}
        return ["The ledgers are of different versions: fields of one alone are left out."] if len(schemas) > 1 else []

    def render(self) -> str:
        lines = [f"A  {self.a.title}", f"B  {self.b.title}", ""]
        lines += [f"Under study: {', '.join(self.factor) or 'nothing'}", *_lines(self.under_study)]
        count = f"{len(self.beside)} more field{'' if len(self.beside) == 1 else 's'}" if self.beside else "nothing"
        lines += ["", f"Beside it, they differ in {count}", *_lines(self.beside)]
        if self.cost:
            lines += ["", "What it cost and came to", *_lines(self.cost)]
        return "\n".join([*lines, *(["", *self.notes] if self.notes else [])])

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            **{
                name: {"id": each.job.identity, "folder": str(each.job.path), "coordinates": each.coordinates}
                for name, each in (("a", self.a), ("b", self.b))
            },
            "factor": list(self.factor),
            "under_study": [each.as_json() for each in self.under_study],
            "beside": [each.as_json() for each in self.beside],
            "cost": [each.as_json() for each in self.cost],
            "notes": self.notes,
        }


def compare_fairly(workspace: Workspace, a: str, b: str, *, factor: str | None = None) -> FairComparison:
    """Two learners, each given by its folder, the first characters of its identity, or `axis=value` of the last plan.

    `factor` is a field of a learner (loss, scorer.backbone) or an axis of the plan; by default every axis on which they
    stand apart. ConfigurationError where a learner is not found, or was never started.
    """
    first = find_learner(workspace, a)
    second = find_learner(workspace, b, near=first.coordinates)
    axes = [axis for axis, value in first.coordinates.items() if second.coordinates.get(axis) != value]
    factors = (factor.removeprefix("learner."),) if factor is not None else tuple(axes)
    fields = {name: _place(name, first.given, second.given) for name in factors}
    if factor is not None and factors[0] not in axes and fields[factors[0]] is None:
        names = {path for path, _ in [*_paths(first.given), *_paths(second.given)]}
        raise UnknownKeyError(factors[0], sorted({*names, *axes}), where=str(first.job.path), kind="field of a learner")
    differences = configured_differences(first.given, second.given)
    cost: list[Difference] = []
    if first.ledger is not None and second.ledger is not None:
        seen = ledger_differences(first.ledger, second.ledger)
        cost = [each for each in seen if each.field.removeprefix("ledger.") in COST]
        differences += [each for each in seen if each not in cost]
    grouped = group(differences)
    studied = [place for place in fields.values() if place is not None]
    under_study = [each for each in grouped if any(each.under(place) for place in studied)]
    beside = [each for each in grouped if each not in under_study]
    return FairComparison(first, second, factors, under_study, beside, cost)


# -- learners -----------------------------------------------------------------------------------------------


def find_learner(workspace: Workspace, text: str, *, near: Mapping[str, str] = MappingProxyType({})) -> ComparedLearner:
    """The learner that `text` means: a folder, the first characters of its identity, or `axis=value` of the last plan.

    Of several places of the last plan, it is the one most in common with `near`. ConfigurationError where none is
    found, or it was never started.
    """
    if "=" in text:
        folder = _at_place(workspace, text, near=near)
    else:
        folder = JobFolder(Path(text).absolute()) if Path(text).is_dir() else workspace.find_job(text)
    if folder.task != LEARNER:
        raise ConfigurationError(
            f"{text} is a job of {folder.task}, not a learner", remedy="`xpm-ce status --jobs` lists the learners."
        )
    given = read_parameters(folder.path)
    if given is None:
        raise ConfigurationError(
            f"the learner {text} was never started", where=str(folder.path), remedy="Run its experiment first."
        )
    # The last plan that holds it: another experiment may have been planned since.
    plans = (_learners(workspace, experiment) for experiment in workspace.experiments())
    coordinates: dict[str, str] = next(
        (plan[folder.identity]["coordinates"] for plan in plans if folder.identity in plan), {}
    )
    return ComparedLearner(folder, coordinates, given, read_json(folder.path / LEDGER))


def _learners(workspace: Workspace, experiment: str) -> dict[str, dict[str, Any]]:
    """The learners of an experiment's plan, by identity."""
    return {job["id"]: job for job in workspace.read_plan(experiment)["jobs"] if job["kind"] == LEARN}


def _at_place(workspace: Workspace, text: str, *, near: Mapping[str, str]) -> JobFolder:
    """The learner at `axis=value,axis=value` of the last plan."""
    places = [job for name in workspace.experiments()[:1] for job in _learners(workspace, name).values()]
    wanted = dict(each.partition("=")[::2] for each in text.split(","))
    fitting: list[dict[str, Any]] = []
    for same in (str.casefold, letters_and_digits):
        fitting = fitting or [job for job in places if _stands_at(job["coordinates"], wanted, same)]
    if not fitting:
        known = {f"{axis}={value}" for job in places for axis, value in job["coordinates"].items()}
        raise UnknownKeyError(text, sorted(known), where=str(workspace.path), kind="place in the last plan")
    best = max(fitting, key=lambda job: sum(near.get(axis) == value for axis, value in job["coordinates"].items()))
    return workspace.job(best["task"], best["id"])


def _stands_at(coordinates: Mapping[str, str], wanted: Mapping[str, str], same: Callable[[str], str]) -> bool:
    return all(same(coordinates.get(axis, "")) == same(value) for axis, value in wanted.items())


def _place(name: str, *givens: Given) -> str | None:
    """The shortest dotted path that is `name`, or whose last part it is; None where there is none."""
    paths = [path for given in givens for path, _ in _paths(given)]
    return next((path for path in paths if path == name), None) or next(
        (path for path in sorted(paths, key=lambda path: path.count(".")) if path.endswith(f".{name}")), None
    )


def _paths(given: Given, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a configuration and of those below it."""
    for name, value in given.fields.items():
        yield f"{prefix}{name}", value
        if isinstance(value, Given):
            yield from _paths(value, f"{prefix}{name}.")


def _lines(differences: list[Difference]) -> list[str]:
    return [line for each in differences for line in each.lines()]
