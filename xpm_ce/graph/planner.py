"""The planning submitter: names jobs by experimaestro's own identifier and reads their state, without running anything.

experimaestro's dry run gives the same identifiers at several times the cost. This module does not know what jobs do.
"""

import dataclasses
import enum
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from experimaestro import Config, Task
from experimaestro.generators import PathGenerator

from xpm_ce.identity import HashCache, source_fingerprint
from xpm_ce.workspace import JobFolder, Workspace


class State(enum.StrEnum):
    """What a run would do with a job."""

    REUSE = "reuse"
    RUN = "run"
    BLOCKED = "blocked"


class Why(enum.StrEnum):
    """Why a job has its state: a closed set."""

    DONE = "done"
    NEVER_RUN = "never run"
    FAILED = "failed before"
    INTERRUPTED = "interrupted"
    DAMAGED = "outputs missing"
    NO_CAPABILITY = "machine lacks a capability"
    UNAVAILABLE = "what it reads cannot be had here"
    UPSTREAM_BLOCKED = "an input is blocked"


@dataclasses.dataclass(frozen=True)
class Reason:
    """Why, and the values that go with it (damaged files, the missing capability, what cannot be had, the inputs)."""

    why: Why
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.why.value}: {', '.join(self.values)}" if self.values else self.why.value


@dataclasses.dataclass
class PlannedJob:
    """One job of a plan; `depends_on` holds identities, `coordinates` says where in the grid it stands."""

    kind: str
    task: str
    identity: str
    folder: Path
    coordinates: dict[str, str]
    depends_on: list[str]
    state: State
    reason: Reason
    config: Any
    output: Any
    stale_source: bool = False
    after: list[str] = dataclasses.field(default_factory=list)
    """Those of `depends_on` that it takes no argument from, but waits for"""


def configurations_below(value: Any) -> Iterator[Any]:
    """The configurations that the arguments of one hold directly, through lists and mappings."""
    held = value.__xpm__.values if isinstance(value, Config) else value
    for below in held.values() if isinstance(held, dict) else held:
        if isinstance(below, Config):
            yield below
        elif isinstance(below, (list, dict)):
            yield from configurations_below(below)


def upstream_tasks(config: Any) -> list[Task]:
    """The tasks that a configuration takes inputs from, directly, each once."""
    found: dict[int, Task] = {}

    def walk(holder: Any) -> None:
        for below in configurations_below(holder):
            task = below.__xpm__.task
            if task is None:
                walk(below)
            else:
                found[id(task)] = task

    walk(config)
    return list(found.values())


def named(config: Any, workspace: Workspace) -> tuple[JobFolder, Any]:
    """Name a task by its identifier: fills in its generated paths; gives its folder and its output, marked as such."""
    information, value_type = config.__xpm__, type(config).__xpmtype__.value_type
    information.validate()
    # experimaestro 2.7 calls the `__validate__` of its own mixin, which does nothing, instead of the class's.
    getattr(value_type, "__validate__", lambda config: None)(config)
    _freeze(config)
    folder = workspace.job(str(information.xpmtype.identifier.name), information.identifier.all.hex())
    for name, generator in _generated(information.xpmtype):
        if isinstance(generator, PathGenerator):
            information.values[name] = folder.path / generator.path
    information.task = config
    if hasattr(value_type, "task_outputs"):
        return folder, value_type.task_outputs(config, information.mark_output)
    return folder, config


@functools.cache
def _generated(xpmtype: Any) -> list[tuple[str, Any]]:
    """Arguments of a type whose values are generated; experimaestro's own look-up takes half of a plan's time."""
    return [(name, each.generator) for name, each in xpmtype.arguments.items() if each.generator is not None]


def _freeze(config: Any) -> None:
    """Seal a configuration and those below, so that identifiers are computed once; fills in `default_factory`."""

    information = config.__xpm__
    if information._sealed:
        return
    for name, generator in _generated(information.xpmtype):
        if information.values.get(name) is None and not isinstance(generator, PathGenerator):
            information.values[name] = generator()
    for below in configurations_below(config):
        _freeze(below)
    information._identifier, information._sealed = information.identifier, True


def obstacles(task: Any) -> tuple[str, ...]:
    """What keeps a task, or configurations that it holds and no other task makes, from being read here.

    Each is a sentence with a remedy: the `obstacle` of a configuration that has one.
    """
    found: dict[str, None] = {}

    def look(config: Any) -> None:
        if obstacle := getattr(config, "obstacle", None):
            found[obstacle] = None
        for below in configurations_below(config):
            if below.__xpm__.task is None:
                look(below)

    look(task)
    return tuple(found)


Lacking = Callable[[str, Any], tuple[str, ...]]
"""What the machine of a job lacks for it (a precision, a GPU), by the job's kind and configuration"""


def beyond_fp32(_kind: str, config: Any) -> tuple[str, ...]:
    """What a machine of which nothing is known lacks: every other precision."""
    precision = config.__xpm__.values.get("precision")
    return (precision,) if precision not in (None, "fp32") else ()


class Planner:
    """A submitter that plans: call it with a task, it gives the task's output; `jobs` holds every job once."""

    def __init__(self, workspace: Workspace, *, lacking: Lacking = beyond_fp32):
        self.workspace, self.lacking = workspace, lacking
        self.hashes = HashCache(workspace.hashes)
        self.jobs: dict[str, PlannedJob] = {}

    def __call__(self, config: Any, *, kind: str, coordinates: dict[str, str] | None = None) -> Any:
        folder, output = named(config, self.workspace)
        identity = folder.identity
        if identity in self.jobs:
            return self.jobs[identity].output
        inputs = [task.__xpm__.identifier.all.hex() for task in upstream_tasks(config)]
        state, reason = self._state(config, folder, inputs, kind=kind)
        record = folder.record if state is State.REUSE else None
        self.jobs[identity] = PlannedJob(
            kind, folder.task, identity, folder.path, dict(coordinates or {}), inputs, state, reason, config, output,
            stale_source=bool(record and record["source"] != source_fingerprint(record["task"])),
        )  # fmt: skip
        return output

    def _state(self, config: Any, folder: JobFolder, inputs: list[str], *, kind: str) -> tuple[State, Reason]:
        if folder.marked_done:
            damaged = folder.damaged() if folder.record else ["outputs.json"]
            if not damaged:
                return State.REUSE, Reason(Why.DONE)
            return self._blocked(config, inputs, kind=kind) or (State.RUN, Reason(Why.DAMAGED, tuple(damaged)))
        why = {"failed": Why.FAILED, "interrupted": Why.INTERRUPTED}.get(folder.state, Why.NEVER_RUN)
        return self._blocked(config, inputs, kind=kind) or (State.RUN, Reason(why))

    def _blocked(self, config: Any, inputs: list[str], *, kind: str) -> tuple[State, Reason] | None:
        blocked = tuple(key for key in inputs if self.jobs[key].state is State.BLOCKED)
        if blocked:
            return State.BLOCKED, Reason(Why.UPSTREAM_BLOCKED, blocked)
        if unavailable := obstacles(config):
            return State.BLOCKED, Reason(Why.UNAVAILABLE, unavailable)
        if lacking := self.lacking(kind, config):
            return State.BLOCKED, Reason(Why.NO_CAPABILITY, lacking)
        return None

    def of_kind(self, kind: str) -> Iterator[PlannedJob]:
        return (job for job in self.jobs.values() if job.kind == kind)
