"""What two learners differ in besides the factor under study, from the files of their jobs.

What was configured is compared field by field, what was really seen and spent by the ledgers. A field that follows from
another one is grouped with it. This module does not know whether a difference matters.
"""

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.parameters import Given, read_parameters
from xpm_ce.workspace import JobFolder, Workspace, read_json

LEARNER, LEARN = "xpm_ce.learn.learner", "learn"
"""The task of a learner, and its kind in plan.json"""
LEDGER = "ledger.json"

FOLLOWS = {
    "tokens.tokenizer": ("scorer",),
    "training_set.supervision": ("training_set.teacher",),
    "ledger.steps": ("steps",),
    "ledger.queries": ("ledger.queries_per_step", "steps", "ledger.steps"),
    "ledger.epochs": ("ledger.queries_per_step", "steps", "ledger.steps", "training_set"),
    "ledger.documents": ("ledger.documents_per_step", "steps", "ledger.steps"),
    "ledger.tokens": ("ledger.documents_per_step", "steps", "ledger.steps", "scorer.max_length"),
    "ledger.squared_tokens": ("ledger.tokens", "ledger.documents_per_step", "steps", "scorer.max_length"),
    "ledger.rectangle_tokens": ("ledger.tokens",),
    "ledger.padded_tokens": ("ledger.tokens",),
    "ledger.recomputed_tokens": ("ledger.tokens",),
    "ledger.padding_avoided": ("ledger.tokens", "ledger.rectangle_tokens"),
    "ledger.training_queries": ("training_set",),
    "ledger.skipped_queries": ("sampler", "training_set"),
    "ledger.pairs_truncated": ("ledger.truncation_rate", "ledger.documents"),
    "ledger.queries_truncated": ("ledger.query_truncation_rate", "ledger.documents"),
    "ledger.documents_truncated": ("ledger.document_truncation_rate", "ledger.documents"),
    "ledger.max_length": ("scorer.max_length",),
    "ledger.max_query_length": ("scorer.max_query_length",),
    "ledger.parameters": ("scorer",),
    "ledger.initial_head": ("scorer",),
    "ledger.new_weights": ("scorer",),
    "ledger.teacher": ("loss", "training_set"),
    "ledger.precision": ("precision",),
    "ledger.precision_used": ("precision",),
    "ledger.device": ("device",),
    "ledger.tokens_per_batch": ("tokens_per_batch",),
    "ledger.environment.threads": ("ledger.threads",),
}
"""Fields that follow, they and what is below them, from another one where that differs: the first such is the cause"""

COST = (
    "seconds", "examples_per_second", "gflops", "matmul_peak_gflops", "share_of_peak", "peak_memory_mib", "last_loss",
    "resumptions",
)  # fmt: skip
"""Fields of a ledger in which any two trainings differ: they are shown apart"""
NOT_COMPARED = ("schema", "negatives", "seeds", "executions", "checkpoint")
"""Fields of a ledger that say again what is configured, or what differs by what a learner is"""

ABSENT = "–"
SHOWN_CHARACTERS = 34
"""Width of a value in the text; the JSON form has it whole"""


@dataclasses.dataclass(frozen=True)
class Difference:
    """A field that differs, with those that follow from it; a field that one side lacks is None there."""

    field: str
    a: Any
    b: Any
    follows: tuple["Difference", ...] = ()

    @property
    def relative(self) -> float | None:
        """How much more B has than A, as a share of A; None where they are not numbers, or A is 0."""
        if any(isinstance(each, bool) or not isinstance(each, int | float) for each in (self.a, self.b)) or not self.a:
            return None
        return (self.b - self.a) / abs(self.a)

    def under(self, prefix: str) -> bool:
        """Whether it is a field, or below it."""
        return self.field == prefix or self.field.startswith(f"{prefix}.")

    def lines(self, indent: str = "  ") -> list[str]:
        """As text: name, both values, how much more."""
        more = "" if self.relative is None else f"{100 * self.relative:+.3g} %"
        values = " ".join(f"{_shown(each):<{SHOWN_CHARACTERS}}" for each in (self.a, self.b))
        own = f"{indent + self.field:<40} {values} {more}"
        return [own.rstrip(), *(line for each in self.follows for line in each.lines(indent + "  "))]

    def as_json(self) -> dict[str, Any]:
        return {
            "field": self.field, "a": self.a, "b": self.b, "relative": self.relative,
            "follows": [each.as_json() for each in self.follows],
        }  # fmt: skip


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
    plan = workspace.read_plan(workspace.experiments()[0]) if workspace.experiments() else {"jobs": []}
    first = _learner(workspace, plan, a, near={})
    second = _learner(workspace, plan, b, near=first.coordinates)
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


def configured_differences(a: Given, b: Given) -> list[Difference]:
    """Fields in which two configurations differ, by dotted path, the shortest for what stands at several places.

    Where two configurations are of different classes, the fields that differ below follow from that.
    """
    compared: set[tuple[str, str]] = set()
    found: list[Difference] = []
    waiting: deque[tuple[str, Any, Any]] = deque([("", a, b)])
    while waiting:
        path, left, right = waiting.popleft()
        if isinstance(left, Given) and isinstance(right, Given):
            if (left.identity, right.identity) in compared or left.identity == right.identity:
                continue
            compared.add((left.identity, right.identity))
            if left.type != right.type:
                follows = tuple(_below_other_classes(path, left, right))
                found.append(Difference(path or "type", left.type, right.type, follows))
                continue
        ours, theirs = _parts(left), _parts(right)
        if ours is not None and theirs is not None:
            prefix = f"{path}." if path else ""
            waiting.extend((f"{prefix}{name}", ours.get(name), theirs.get(name)) for name in _names(ours, theirs))
        elif left != right:
            found.append(Difference(path, _value(left), _value(right)))
    return found


def ledger_differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    """Fields in which two ledgers differ, of different schemas those that both have; a teacher is told by its class."""
    left, right = dict(_flat(a)), dict(_flat(b))
    names = _names(left, right)
    if a["schema"] != b["schema"]:
        names = [name for name in left if name in right]
    return [
        Difference(f"ledger.{name}", left.get(name), right.get(name))
        for name in names
        if left.get(name) != right.get(name)
    ]


def group(differences: list[Difference]) -> list[Difference]:
    """The same, each that follows from another one with its cause."""
    causes: dict[str, str] = {}
    for each in differences:
        for cause in next((causes for field, causes in FOLLOWS.items() if each.under(field)), ()):
            above = [other.field for other in differences if other is not each and other.under(cause)]
            if above:
                causes[each.field] = above[0]
                break

    def with_followers(each: Difference) -> Difference:
        followers = [with_followers(other) for other in differences if causes.get(other.field) == each.field]
        return dataclasses.replace(each, follows=(*each.follows, *followers))

    return [with_followers(each) for each in differences if each.field not in causes]


# -- learners -----------------------------------------------------------------------------------------------


def _learner(workspace: Workspace, plan: Mapping[str, Any], text: str, *, near: Mapping[str, str]) -> ComparedLearner:
    """The learner that `text` means; of several places of a plan, the one that has most in common with `near`."""
    places = {job["id"]: job for job in plan["jobs"] if job["kind"] == LEARN}
    if "=" in text:
        wanted = dict(each.partition("=")[::2] for each in text.split(","))
        fitting: list[Any] = []
        for same in (str.casefold, _letters_and_digits):
            fitting = fitting or [job for job in places.values() if _stands_at(job["coordinates"], wanted, same)]
        if not fitting:
            known = {f"{axis}={value}" for job in places.values() for axis, value in job["coordinates"].items()}
            raise UnknownKeyError(text, sorted(known), where=str(workspace.path), kind="place in the last plan")
        best = max(fitting, key=lambda job: sum(near.get(axis) == value for axis, value in job["coordinates"].items()))
        folder = workspace.job(best["task"], best["id"])
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
    coordinates = places.get(folder.identity, {}).get("coordinates", {})
    return ComparedLearner(folder, coordinates, given, read_json(folder.path / LEDGER))


def _stands_at(coordinates: Mapping[str, str], wanted: Mapping[str, str], same: Callable[[str], str]) -> bool:
    return all(same(coordinates.get(axis, "")) == same(value) for axis, value in wanted.items())


def _letters_and_digits(label: str) -> str:
    """So that margin_mse is found as MarginMSE."""
    return "".join(filter(str.isalnum, label)).casefold()


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


# -- values -------------------------------------------------------------------------------------------------


def _names(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[str]:
    """Names of either, in their order."""
    return [*left, *(name for name in right if name not in left)]


def _parts(value: Any) -> Mapping[str, Any] | None:
    """What can be looked into: the fields of a configuration, the places of a list of configurations."""
    if isinstance(value, Given):
        return value.fields
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list) and any(isinstance(each, Given) for each in value):
        return {str(place): each for place, each in enumerate(value)}
    return None


def _below_other_classes(path: str, left: Given, right: Given) -> Iterator[Difference]:
    """Plain fields, and classes of configurations, that one class has and the other has not or has otherwise."""
    for name in _names(left.fields, right.fields):
        one, other = _value(left.fields.get(name)), _value(right.fields.get(name))
        if one != other and name != "version":
            yield Difference(f"{path}.{name}" if path else name, one, other)


def _value(value: Any) -> Any:
    """As plain data: a configuration is told by its class."""
    if isinstance(value, Given):
        return value.type
    return [_value(each) for each in value] if isinstance(value, list) else value


def _flat(ledger: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in ledger.items():
        if prefix + name in NOT_COMPARED:
            continue
        if name == "teacher":
            yield name, value and value["type"]
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _shown(value: Any) -> str:
    text = ABSENT if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def _lines(differences: list[Difference]) -> list[str]:
    return [line for each in differences for line in each.lines()]
