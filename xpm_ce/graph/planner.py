"""The planning submitter: names jobs by experimaestro's own identifier and reads their state, without running anything.

experimaestro's dry run gives the same identifiers at several times the cost. This module does not know what jobs do.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpm_ce.graph.naming import configurations_below, named, upstream_tasks
from xpm_ce.graph.states import Change, Reason, State, Why
from xpm_ce.identity import HashCache, short, source_fingerprint
from xpm_ce.workspace import JobFolder, Workspace

if TYPE_CHECKING:
    from xpm_ce.graph.costs import Cost

__all__ = ["Change", "PlannedJob", "Planner", "Reason", "State", "Why", "configurations_below", "named"]

NEEDERS = 3
"""Jobs that need what was pruned, and that a reason names"""


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
    pruned: bool = False
    """Whether files of it were freed: it is reused until a job needs them"""
    cost: "Cost | None" = None
    """What it is expected to cost; None where it does not run, or nothing comparable has run"""


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
        self.records: dict[str, dict[str, Any]] = {}
        """outputs.json of jobs that will be reused"""
        self._present: dict[str, frozenset[str]] = {}
        self._obstacles: dict[int, tuple[str, ...]] = {}

    def __call__(self, config: Any, *, kind: str, coordinates: dict[str, str] | None = None) -> Any:
        folder, output = named(config, self.workspace)
        identity = folder.identity
        if identity in self.jobs:
            return self.jobs[identity].output
        inputs = [task.__xpm__.identifier.all.hex() for task in upstream_tasks(config)]
        state, reason = self._state(config, folder, inputs, kind=kind)
        record = folder.record if state is State.REUSE else None
        if record:
            self.records[identity] = record
        self.jobs[identity] = PlannedJob(
            kind, folder.task, identity, folder.path, dict(coordinates or {}), inputs, state, reason, config, output,
            stale_source=bool(record and record["source"] != source_fingerprint(record["task"])),
            pruned=reason.why is Why.PRUNED,
        )  # fmt: skip
        return output

    def _state(self, config: Any, folder: JobFolder, inputs: list[str], *, kind: str) -> tuple[State, Reason]:
        if folder.identity not in self._folders(folder.task):
            return self._blocked(config, inputs, kind=kind) or (State.RUN, Reason(Why.NEVER_RUN))
        if folder.marked_done:
            damaged = folder.damaged() if folder.record else ["outputs.json"]
            if not damaged:
                return State.REUSE, Reason(Why.PRUNED if folder.pruned else Why.DONE)
            return self._blocked(config, inputs, kind=kind) or (State.RUN, Reason(Why.DAMAGED, tuple(damaged)))
        why = {"failed": Why.FAILED, "interrupted": Why.INTERRUPTED}.get(folder.state, Why.NEVER_RUN)
        return self._blocked(config, inputs, kind=kind) or (State.RUN, Reason(why))

    @property
    def any_folder(self) -> bool:
        """Whether any job of the types planned has a folder."""
        return any(self._present.values())

    def _folders(self, task: str) -> frozenset[str]:
        """Identities of the jobs of a type that have a folder."""
        if task not in self._present:
            try:
                self._present[task] = frozenset(os.listdir(self.workspace.path / "jobs" / task))
            except (FileNotFoundError, NotADirectoryError):
                self._present[task] = frozenset()
        return self._present[task]

    def _blocked(self, config: Any, inputs: list[str], *, kind: str) -> tuple[State, Reason] | None:
        blocked = tuple(key for key in inputs if self.jobs[key].state is State.BLOCKED)
        if blocked:
            return State.BLOCKED, Reason(Why.UPSTREAM_BLOCKED, blocked)
        if unavailable := self._obstacles_of(config):
            return State.BLOCKED, Reason(Why.UNAVAILABLE, unavailable)
        if lacking := self.lacking(kind, config):
            return State.BLOCKED, Reason(Why.NO_CAPABILITY, lacking)
        return None

    def _obstacles_of(self, config: Any) -> tuple[str, ...]:
        """What keeps a task, or configurations that it holds and no other task makes, from being read here.

        Each is a sentence with a remedy: the `obstacle` of a configuration that has one.
        """
        known = self._obstacles.get(id(config))
        if known is None:
            found: dict[str, None] = {}
            if obstacle := getattr(config, "obstacle", None):
                found[obstacle] = None
            for below in configurations_below(config):
                if below.__xpm__.task is None:
                    found.update(dict.fromkeys(self._obstacles_of(below)))
            known = self._obstacles[id(config)] = tuple(found)
        return known

    def run_what_is_needed(self) -> None:
        """Have pruned jobs run whose files a job that must run takes in, and what these need in turn.

        To be asked when all jobs are known. Where one of them cannot run here, it is blocked, and so are those below.
        """
        needed: dict[str, list[PlannedJob]] = {}
        for job in reversed(self.jobs.values()):
            if job.identity in needed:
                by = needed[job.identity][::-1]
                first = [f"{each.kind} {short(each.identity)}" for each in by[:NEEDERS]]
                others = [f"{len(by) - NEEDERS} more"] if len(by) > NEEDERS else []
                job.state, job.reason = State.RUN, Reason(Why.PRUNED, (*first, *others))
                self.records.pop(job.identity, None)
            if job.state is State.RUN:
                for identity in job.depends_on:
                    if self.jobs[identity].pruned and identity not in job.after:
                        needed.setdefault(identity, []).append(job)
        if needed:
            for job in self.jobs.values():
                if job.state is State.RUN:
                    job.state, job.reason = self._blocked(job.config, job.depends_on, kind=job.kind) or (
                        job.state,
                        job.reason,
                    )

    def of_kind(self, kind: str) -> Iterator[PlannedJob]:
        return (job for job in self.jobs.values() if job.kind == kind)
