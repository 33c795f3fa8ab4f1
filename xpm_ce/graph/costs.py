"""What the jobs to run are expected to cost: seconds with an interval, bytes, seconds of GPUs, from past jobs.

Past jobs of the same shape say a rate: the seconds that grow with the work, per unit of it, and those that do not. The
shape is what decides the rate and not the result: a seed has no part in it. Where nothing comparable has run, the cost
is unknown. This module does not know what a job computes.
"""

import dataclasses
import functools
import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from xpm_ce.graph.past import PastJobs, Spent
from xpm_ce.graph.planner import PlannedJob
from xpm_ce.graph.signature import Signature
from xpm_ce.graph.states import State
from xpm_ce.makespan import makespan

LEARNER, RERANK = "xpm_ce.learn.learner", "xpm_ce.evaluate.rerank"

WITHOUT_EFFECT = frozenset({"seed", "head_seed", "sha256", "version", "rule"})
"""Last words of fields that do not change how long a job takes"""
READ_AT_MOST = 12
"""Past jobs of a shape whose times are looked at"""
SAME, ALIKE = 0.25, 1.0
"""How much more a job may take than expected, at least: where all of its shape is the same, and where only the model is
(times the machine's noise: three runs of the quickstart differed by up to a fifth)"""


class Cost(NamedTuple):
    """What one job is expected to take."""

    low: float
    expected: float
    high: float
    """Seconds of its computation"""

    around: float
    """Seconds before and after it: starting the process, ending it"""

    bytes: int
    """Of its outputs"""

    gpus: int
    """GPUs that it holds meanwhile"""

    comparable: int
    """Past jobs that it is expected from"""

    @property
    def gpu_seconds(self) -> float | None:
        return self.expected * self.gpus if self.gpus else None

    def as_json(self) -> dict[str, Any]:
        return {
            "seconds": [round(each, 2) for each in (self.low, self.expected, self.high)],
            "bytes": self.bytes,
            "gpu_seconds": round(self.gpu_seconds, 2) if self.gpu_seconds is not None else None,
        }


@dataclasses.dataclass(frozen=True)
class Costs:
    """What the jobs to run are expected to cost together."""

    jobs: int = 0
    """Jobs whose cost is known"""
    unknown: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Jobs with which nothing comparable has run, by kind"""
    low: float = 0.0
    expected: float = 0.0
    high: float = 0.0
    """Seconds of computation"""
    bytes: int = 0
    gpu_seconds: float = 0.0
    wall: float = 0.0
    """Seconds until all that is known of has run, on as many slots as the machine has"""
    slots: int = 1
    by_kind: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Expected seconds, by kind of job"""

    def as_json(self) -> dict[str, Any]:
        return {
            "jobs": self.jobs,
            "unknown": dict(self.unknown),
            "seconds": [round(each, 1) for each in (self.low, self.expected, self.high)],
            "wall_seconds": round(self.wall, 1),
            "slots": self.slots,
            "bytes": self.bytes,
            "gpu_seconds": round(self.gpu_seconds, 1),
            "seconds_by_kind": {kind: round(seconds, 1) for kind, seconds in self.by_kind.items()},
        }


# -- shapes -------------------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """What decides how long a type of job takes."""

    work: Callable[[Mapping[str, Any]], float] = lambda fields: 1.0
    """Its work, from its fields: the seconds that scale are proportional to it"""
    scales: frozenset[str] = frozenset()
    """Fields that `work` is made of"""
    decides: tuple[str, ...] = ("",)
    """Beginnings of the fields that decide its rate"""
    given: tuple[str, ...] = ("",)
    """Beginnings of its fields that decide the rate of jobs that take it in"""
    passes: tuple[str, ...] = ("",)
    """Beginnings of the inputs that do so, too"""
    grows: bool = False
    """Whether its outputs grow with its work"""
    alike: tuple[str, ...] = ()
    """Beginnings of the fields and inputs that decide its rate where its data is another; none where all of it does"""


def _documents(fields: Mapping[str, Any]) -> float:
    """Documents that a training sees."""
    per_step = fields.get("sampler.documents_per_step")
    if per_step is None:
        group = fields.get("sampler.documents") or sum(
            fields.get(f"sampler.{each}") or 0 for each in ("positives", "negatives")
        )
        per_step = (fields.get("sampler.queries") or 1) * (group or 2)
    return float(fields["steps"] * per_step)


RULES: Mapping[str, Rule] = {
    LEARNER: Rule(
        work=_documents,
        decides=("scorer", "precision", "validation"),
        given=("scorer",),
        passes=("scorer",),
        alike=("scorer", "precision", "validation"),
    ),
    RERANK: Rule(
        work=lambda fields: float(fields["depth"]),
        scales=frozenset({"depth"}),
        given=("depth", "queries"),
        passes=("run", "queries", "store"),
        grows=True,
        alike=("model", "precision"),
    ),
}
"""By type of job; others take as long as any one with the same fields and inputs, seeds and checksums aside"""
OTHERS = Rule()

Shape = tuple[Any, ...]


class _Shapes:
    """The shapes of jobs, by what they are; what several take in is looked at once."""

    def __init__(self, past: PastJobs):
        self._past = past
        self._given: dict[str, int] = {}
        self._scorers: dict[str, frozenset[Any]] = {}

    def same(self, signature: Signature) -> Shape:
        """The key of jobs that take as long per unit of work."""
        rule = RULES.get(signature.task, OTHERS)
        return self._shape(signature, self._fields(signature, rule.decides, rule.scales), ("",))

    def alike(self, signature: Signature) -> Shape | None:
        """The key of jobs with the same model on other data; None for a type where that says nothing."""
        rule = RULES.get(signature.task, OTHERS)
        if not rule.alike:
            return None
        own = self._fields(signature, rule.alike, rule.scales)
        return self._shape(signature, own, _models(rule.alike))

    def _shape(self, signature: Signature, own: frozenset[Any], inputs: tuple[str, ...]) -> Shape:
        places = tuple(sorted(signature.places.items()))
        return (signature.task, places, own | self._inputs(signature, inputs))

    def _fields(self, signature: Signature, beginnings: tuple[str, ...], scales: frozenset[str]) -> frozenset[Any]:
        return frozenset(
            [
                (name, value)
                for path, value in signature.fields.items()
                if (name := _of_shape(path, beginnings, scales)) is not None
            ]
        )

    def _inputs(self, signature: Signature, beginnings: tuple[str, ...]) -> frozenset[Any]:
        found: set[Any] = set()
        for path, identity in signature.inputs.items():
            if path.startswith(beginnings):
                if path == "model":
                    found |= self._scorer(identity)
                else:
                    found.add((_as_scorer(path), self._of_input(identity)))
        return frozenset(found)

    def _scorer(self, learner: str) -> frozenset[Any]:
        """What a learner trains, as if it stood in the job that takes it in."""
        if learner not in self._scorers:
            known = self._past.signature(learner)
            self._scorers[learner] = (
                self._fields(known, ("scorer",), frozenset()) | self._inputs(known, ("scorer",))
                if known is not None
                else frozenset({learner})
            )
        return self._scorers[learner]

    def _of_input(self, identity: str) -> int:
        """A number for what an input gives to those that take it in, equal for those that give alike."""
        if identity not in self._given:
            self._given[identity] = 0
            known = self._past.signature(identity)
            if known is None:
                self._given[identity] = hash(identity)
            else:
                rule = RULES.get(known.task, OTHERS)
                own = self._fields(known, rule.given, frozenset())
                self._given[identity] = hash((known.task, own, self._inputs(known, rule.passes)))
        return self._given[identity]


def _models(beginnings: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are of a model, whose tokenizer is an input."""
    return tuple(each for each in beginnings if each in ("scorer", "model"))


@functools.cache
def _of_shape(path: str, beginnings: tuple[str, ...], scales: frozenset[str]) -> str | None:
    """What a field is called in a shape; None where it has no part in it."""
    if not path.startswith(beginnings) or path in scales or path == "model":
        return None
    return None if path.rpartition(".")[2] in WITHOUT_EFFECT else _as_scorer(path)


def _as_scorer(path: str) -> str:
    """The path of a scorer's field wherever the scorer stands: in a learner, in a model before training."""
    return path.removeprefix("model.")


# -- estimates ----------------------------------------------------------------------------------------------


class _Known(NamedTuple):
    """A finished job that others are expected from."""

    spent: Spent
    work: float


class Estimator:
    """Expects what jobs take, from the finished ones of the workspace."""

    def __init__(self, past: PastJobs):
        self._past = past
        shapes = _Shapes(past)
        self._levels = ((shapes.same, SAME), (shapes.alike, ALIKE))
        self._by_shape: dict[tuple[str, float], dict[Shape, list[str]]] = {}
        self._known: dict[Shape, list[_Known]] = {}

    def cost(self, job: PlannedJob) -> Cost | None:
        """What a job is expected to take; None where nothing comparable has run."""
        signature = self._past.signature(job.identity)
        if signature is None:
            return None
        rule = RULES.get(signature.task, OTHERS)
        for shape_of, spread in self._levels:
            shape = shape_of(signature)
            if shape is None:
                continue
            level = (signature.task, spread)
            if level not in self._by_shape:
                self._by_shape[level] = {}
                for identity, finished in self._past.finished(signature.task):
                    key = shape_of(finished)
                    if key is not None:
                        self._by_shape[level].setdefault(key, []).append(identity)
            if known := self._of_shape(signature.task, shape, self._by_shape[level].get(shape, [])):
                return _expected(known, rule.work(signature.fields), spread, rule, _gpus(signature))
        return None

    def _of_shape(self, task: str, shape: Shape, jobs: list[str]) -> list[_Known]:
        """What the first of some jobs of one shape took, read once."""
        if shape not in self._known:
            found = []
            for identity in jobs[:READ_AT_MOST]:
                spent, known = self._past.spent(task, identity), self._past.signature(identity)
                if spent is not None and known is not None:
                    found.append(_Known(spent, RULES.get(task, OTHERS).work(known.fields)))
            self._known[shape] = found
        return self._known[shape]


def _expected(known: list[_Known], work: float, spread: float, rule: Rule, gpus: int) -> Cost:
    """What work takes where jobs took what they took."""
    seconds = [each.spent.seconds - each.spent.scaled + each.spent.scaled * work / each.work for each in known]
    expected = statistics.median(seconds)
    low, high = min(*seconds, expected / (1 + spread)), max(*seconds, expected * (1 + spread))
    size = statistics.median(each.spent.bytes * (work / each.work if rule.grows else 1) for each in known)
    around = statistics.median(each.spent.around for each in known)
    return Cost(low, expected, high, around, round(size), gpus, len(known))


def _gpus(signature: Signature) -> int:
    """GPUs that a job asks for."""
    on_gpu = str(signature.places.get("device", "")).startswith("cuda")
    return int(signature.places.get("processes", 1)) if on_gpu else 0


def expect(jobs: Iterable[PlannedJob], past: PastJobs, *, slots: int) -> Costs:
    """Set the `cost` of the jobs that must run, and sum them up; `slots` is how many run at once."""
    estimator = Estimator(past)
    known: list[tuple[PlannedJob, Cost]] = []
    unknown: dict[str, int] = {}
    by_kind: dict[str, float] = {}
    for job in jobs:
        if job.state is State.RUN:
            job.cost = estimator.cost(job)
            if job.cost is None:
                unknown[job.kind] = unknown.get(job.kind, 0) + 1
            else:
                known.append((job, job.cost))
                by_kind[job.kind] = by_kind.get(job.kind, 0.0) + job.cost.expected
    costs = [cost for _, cost in known]
    whole = [(job.identity, cost.expected + cost.around, job.depends_on) for job, cost in known]
    return Costs(
        jobs=len(known), unknown=unknown, low=sum(each.low for each in costs),
        expected=sum(each.expected for each in costs), high=sum(each.high for each in costs),
        bytes=sum(each.bytes for each in costs), gpu_seconds=sum(each.gpu_seconds or 0.0 for each in costs),
        wall=makespan(whole, slots=slots), slots=slots, by_kind=by_kind,
    )  # fmt: skip
