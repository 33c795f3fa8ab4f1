"""The plan of an experiment: every job with its state and reason, where each result stands in the table, warnings.

Written to `plan.json`, which tables, status and monitor read. This module does not know how jobs are made.
"""

import collections
import dataclasses
import datetime
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from xpm_ce import atomic
from xpm_ce.data.need import Need
from xpm_ce.errors import DataError
from xpm_ce.extensions import Extension
from xpm_ce.graph.costs import Costs
from xpm_ce.graph.planner import PlannedJob, Planner
from xpm_ce.graph.states import State
from xpm_ce.workspace import Workspace, read_json

SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Result:
    """A measured system: which `Measure` job holds it, and its place in tables.

    `system` is one of: trained, untrained, model, run, first stage. `protocol` names the evaluation set.
    """

    job: str
    system: str
    protocol: str
    coordinates: dict[str, str]


@dataclasses.dataclass
class Plan:
    """Everything that is known about an experiment before it runs."""

    experiment: str
    title: str
    files: list[str]
    jobs: list[PlannedJob]
    results: list[Result]
    table: dict[str, Any]
    """How the summary table is laid out: rows, columns, aggregated axis, measures, depths"""
    counts_of_queries: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What planning counted in the data, such as training queries that are also test queries"""
    warnings: list[str] = dataclasses.field(default_factory=list)
    not_on_disk: list[Need] = dataclasses.field(default_factory=list)
    """What the jobs read that is not on this disk: data sets, published files, weights"""
    overrides: list[str] = dataclasses.field(default_factory=list)
    """What was set over the files with `-c`"""
    document: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The configuration with all that was imported and set, its grid included"""
    costs: Costs = dataclasses.field(default_factory=Costs)
    """What the jobs to run are expected to cost together"""
    command: dict[str, Any] | None = None
    """What runs it again: arguments of `xpm-ce run`, and the folder that they are relative to; None where unknown"""
    to_run: bool = False
    """Whether it was made to be run, not only to be looked at"""
    extensions: tuple[Extension, ...] = ()
    """The user's own files, to be copied into the workspace before a job is submitted"""

    @property
    def counts(self) -> dict[str, int]:
        """Jobs to reuse, to run and blocked."""
        counts = collections.Counter(job.state for job in self.jobs)
        return {state.value: counts[state] for state in State}

    @property
    def counts_by_kind(self) -> dict[str, dict[str, int]]:
        """The same, per kind of job, in the order of the graph."""
        kinds: dict[str, dict[str, int]] = {}
        for job in self.jobs:
            kinds.setdefault(job.kind, {state.value: 0 for state in State})[job.state.value] += 1
        return kinds

    def selected(
        self, *, kinds: Collection[str] = (), tags: Collection[tuple[str, str]] = (), states: Collection[str] = ()
    ) -> list[PlannedJob]:
        """The jobs of some kinds, at some places of the grid, in some states; an empty filter lets all through."""
        return [
            job
            for job in self.jobs
            if (not kinds or job.kind in kinds)
            and (not states or job.state.value in states)
            and all(job.coordinates.get(axis) == value for axis, value in tags)
        ]

    def as_json(self, jobs: Sequence[PlannedJob] | None = None) -> dict[str, Any]:
        """The documented form: schema 1, with all jobs or some of them."""
        return {
            "schema": SCHEMA,
            "experiment": self.experiment,
            "title": self.title,
            "planned": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "files": self.files,
            "overrides": self.overrides,
            "command": self.command,
            "to_run": self.to_run,
            "document": self.document,
            "counts": self.counts,
            "counts_by_kind": self.counts_by_kind,
            "data": self.counts_of_queries,
            "not_on_disk": [
                {
                    "name": need.name,
                    "kind": need.kind,
                    "expected": need.expected,
                    "remedy": need.remedy,
                    "downloadable": need.downloadable,
                }
                for need in self.not_on_disk
            ],
            "warnings": self.warnings,
            "table": self.table,
            "cost": self.costs.as_json(),
            "results": [
                {"job": each.job, "system": each.system, "protocol": each.protocol, "coordinates": each.coordinates}
                for each in self.results
            ],
            "jobs": [
                {
                    "kind": job.kind,
                    "task": job.task,
                    "id": job.identity,
                    "folder": str(job.folder),
                    "state": job.state.value,
                    "coordinates": job.coordinates,
                    "depends_on": job.depends_on,
                    "reason": job.reason.as_json(),
                    "cost": job.cost and job.cost.as_json(),
                }
                for job in (self.jobs if jobs is None else jobs)
            ],
        }

    def as_text(self, jobs: Sequence[PlannedJob] | None = None) -> str:
        """The documented form as JSON, a line for each job and each result."""
        plain = self.as_json(jobs)
        long = {name: plain.pop(name) for name in ("results", "jobs")}
        head = json.dumps(plain, indent=1, ensure_ascii=False).removesuffix("\n}")
        lists = [
            f' "{name}": [\n  ' + ",\n  ".join(json.dumps(each, ensure_ascii=False) for each in entries) + "\n ]"
            for name, entries in long.items()
        ]
        return ",\n".join([head, *lists]) + "\n}\n"

    def write(self, workspace: Workspace) -> None:
        """Write `plan.json` into the workspace, atomically; the plan of a run is replaced by that of a run only."""
        if not self.to_run and _of_a_run(workspace.plan_file(self.experiment)):
            return
        with atomic.writing(workspace.plan_file(self.experiment)) as stream:
            stream.write(self.as_text())


def _of_a_run(file: Path) -> bool:
    """Whether a plan on disk was made to be run."""
    try:
        return bool((read_json(file) or {}).get("to_run"))
    except (DataError, AttributeError):
        return False


def source_warnings(planner: Planner) -> list[str]:
    """A warning where the source of tasks differs from the one recorded with their results, which will be reused."""
    stale = collections.Counter(job.task for job in planner.jobs.values() if job.stale_source)
    if not stale:
        return []
    counted = ", ".join(f"{count} {task}" for task, count in sorted(stale.items()))
    return [
        f"source code differs from when reused results were computed ({counted}); if their numbers would change, raise "
        "the version of what was edited, or delete their folders"
    ]
