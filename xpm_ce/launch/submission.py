"""Hands the missing jobs of a plan to experimaestro's scheduler, and tells afterwards what became of them.

A finished job is never handed over: its outputs are marked as loaded, so that nothing waits for it.
"""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from xpm_ce.graph.planner import PlannedJob, State, configurations_below
from xpm_ce.launch.local import LocalLauncher
from xpm_ce.launch.site import Site
from xpm_ce.launch.slurm import PartitionLauncher
from xpm_ce.workspace import JobFolder

UNLIMITED_RETRIES = 10**9
"""experimaestro refuses for ever a resumable task that failed `max_retries` times, even when its cause was mended"""


@dataclasses.dataclass(frozen=True)
class Failure:
    """The root cause of one failed job."""

    task: str
    identity: str
    coordinates: dict[str, str]
    exception: str
    what: str
    where: str
    remedy: str
    frame: str
    log: Path


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of the jobs of a run: identities of those that ran, root causes, identities of those they blocked."""

    ran: list[str]
    failures: list[Failure]
    blocked: list[str]


def submit(jobs: Iterable[PlannedJob], *, experiment: Any, site: Site) -> None:
    """Submit the jobs that a plan says must run, in the plan's order (inputs first), each to its machine."""
    jobs = list(jobs)
    reused = frozenset(job.identity for job in jobs if job.state is State.REUSE)
    launchers = {job.identity: site.launcher(job) for job in jobs if job.state is State.RUN}
    for slots in site.slots:
        experiment.scheduler.addlistener(slots)
    submitted: dict[str, Any] = {}
    for job in jobs:
        if job.state is not State.RUN:
            continue
        folder, launcher = JobFolder(job.folder), launchers[job.identity]
        if folder.marked_done and not folder.complete:  # experimaestro would believe the marker
            os.replace(folder.done_marker, folder.done_marker.with_suffix(".damaged"))
        _mark_loaded(job.config, reused)
        information = job.config.__xpm__
        information.task = None  # set while planning; a task that is its own upstream has no dependencies
        information.add_dependencies(*(submitted[identity].dependency() for identity in job.after))
        launcher.submit_listeners = [
            lambda submitted, kind=job.kind, launcher=launcher: _prepared(submitted, launcher, kind)
        ]
        information.submit(None, launcher, max_retries=UNLIMITED_RETRIES)
        submitted[job.identity] = information


def _prepared(job: Any, launcher: LocalLauncher | PartitionLauncher, kind: str) -> None:
    """Make a submitted job wait for its slots, and ready to be started more than once."""
    job.python_path = tuple(job.python_path)  # experimaestro 2.7 has an iterator, which is empty at the second start
    launcher.request_slot(job, kind)


def _mark_loaded(config: Any, reused: frozenset[str]) -> None:
    """Mark what `config` takes from finished jobs as loaded from disk."""

    for below in configurations_below(config):
        information = below.__xpm__
        if information.task is not None:
            if information.task.__xpm__.identifier.all.hex() not in reused:
                continue
            information.loaded = True  # experimaestro then looks for dependencies below it, and so do we
        _mark_loaded(below, reused)


def outcome(jobs: Iterable[PlannedJob], failed: dict[str, Any]) -> Outcome:
    """Sort the jobs of a run into those that ran, those that failed and those that waited for a failed one.

    `failed` is experimaestro's `failedJobs`: identity -> job, with the blocked ones among them.
    """
    ran, failures, blocked = [], [], []
    for job in jobs:
        if job.state is State.BLOCKED:
            blocked.append(job.identity)
        if job.state is not State.RUN:
            continue
        if job.identity not in failed:
            ran.append(job.identity)
        elif _waited_in_vain(failed[job.identity]):
            blocked.append(job.identity)
        else:
            failures.append(_failure(job))
    return Outcome(ran, failures, blocked)


def _waited_in_vain(job: Any) -> bool:
    """Whether a job did not start because one that it depends on failed; a killed job has no reason at all."""
    reason = getattr(job.scheduler_state, "failure_reason", None)
    return reason is not None and reason.name == "DEPENDENCY"


def _failure(job: PlannedJob) -> Failure:
    folder = JobFolder(job.folder)
    cause = folder.failure or {
        "exception": "Killed",
        "what": "the process ended without a word: killed, or out of memory",
        "remedy": "Run the same command again to continue, with fewer parallel_jobs if memory is short.",
    }
    return Failure(
        job.task, job.identity, job.coordinates, cause["exception"], cause["what"], cause.get("where", ""),
        cause.get("remedy", ""), cause.get("frame", ""), folder.log,
    )  # fmt: skip
