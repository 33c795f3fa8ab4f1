"""Where an experiment stands: every job of its plan with state, progress, cost and cause, kept up to date cheaply.

A refresh looks at what can have changed: the plan by its time stamp, the folders of tasks for new jobs, the folders of
jobs that are not done; of those that are done a few at a time, in turn. Nothing is imported but the standard library.
This module does not know who reads it, nor results.
"""

import collections
import contextlib
import os
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from xpm_ce.errors import ConfigurationError, DataError, XpmCeError
from xpm_ce.monitor.inside import Inside
from xpm_ce.monitor.observed import UNREADABLE, ObservedFolder
from xpm_ce.monitor.time_left import seconds_left
from xpm_ce.monitor.watched_job import BLOCKED, FAILED, IN_THE_WAY, RUNNING, SETTLED, WAITING, WatchedJob
from xpm_ce.workspace import Workspace

CHECKED_AGAIN = 8
"""Settled jobs that a refresh looks at again"""
GRAIN_NS = 50_000_000
"""A folder's time stamp is not trusted while it is younger than this: several changes can share a tick of the clock"""
CURVES_EVERY = 5.0
"""Seconds between two words to readers of curves that a running training went on"""
ESTIMATED_EVERY = 5.0
"""Seconds for which an estimate of the time left holds while running jobs only go on"""


SHAPE = {"kind": str, "state": str, "coordinates": dict, "depends_on": list}


class NotThereError(ConfigurationError):
    """An experiment, a job or a system that was asked for does not exist."""


class NotNowError(XpmCeError):
    """What was asked for cannot be done to a job in its state."""


class Version(NamedTuple):
    """A moment of an experiment, as a number that never goes down, not even over restarts of the reader."""

    jobs: int
    results: int


class ExperimentState:
    """The jobs of one experiment's last plan. `refresh` before reading; safe to use from several threads."""

    def __init__(self, workspace: Workspace, experiment: str):
        self.workspace, self.experiment = workspace, experiment
        self.lock = threading.RLock()
        self._inside = Inside(workspace.path)
        self.jobs: dict[str, WatchedJob] = {}
        self.version = Version(_now(), _now())
        self.replanned = self.version.jobs
        """Version at which the plan was last read: whoever has an older one reads all again"""
        self.finished = 0
        """Raised whenever a job has ended well, or is so no more: results change only then"""
        self.plan: dict[str, Any] = {}
        self._plan_stamp: tuple[int, int, int] | None = None
        self._folders: dict[Path, int] = {}
        self._turn: collections.deque[str] = collections.deque()
        self._open: list[WatchedJob] = []
        """Jobs that are looked at each time; never changed but replaced, since `busy` reads it without the lock"""
        self._refreshed = 0.0
        self._curves_told = 0.0
        self._left: tuple[float, float | None] | None = None
        """When the time left was estimated last, and what came out; None after a job has changed its state"""

    # -- reading ----------------------------------------------------------------------------------------------

    @property
    def counts(self) -> dict[str, int]:
        """Jobs by state."""
        return dict(collections.Counter(job.state for job in self.jobs.values()))

    @property
    def counts_by_kind(self) -> dict[str, dict[str, int]]:
        """The same, per kind of job, in the order of the graph."""
        kinds: dict[str, collections.Counter[str]] = {}
        for job in self.jobs.values():
            kinds.setdefault(job.plan["kind"], collections.Counter())[job.state] += 1
        return {kind: dict(counts) for kind, counts in kinds.items()}

    @property
    def busy(self) -> bool:
        """Whether a job runs, or was started."""
        return any(job.seen == RUNNING or job.queued for job in self._open)

    def job(self, identity: str) -> WatchedJob:
        """A job of the plan by its whole identity; NotThereError where there is none."""
        found = self.jobs.get(identity)
        if found is None:
            raise NotThereError(
                "no such job in the last plan", where=self.experiment, remedy="Give the id of a job of this experiment."
            )
        return found

    def seconds_left(self) -> float | None:
        """Seconds until all that can run has run; None where nothing runs, or it is not known.

        Estimated when a job has changed its state, and now and then while jobs go on; in between, the clock runs down.
        """
        with self.lock:
            now = time.time()
            if self._left is None or now - self._left[0] > ESTIMATED_EVERY:
                slots = (self.plan.get("cost") or {}).get("slots") or 1
                self._left = (now, seconds_left(self.jobs.values(), slots=slots, now=now))
            since, left = self._left
        return left if left is None else round(max(0.0, left - (now - since)), 1)

    def jobs_as_json(self, *, since: int = 0) -> list[dict[str, Any]]:
        """The jobs that changed after a version, all for 0."""
        now = time.time()
        with self.lock:
            return [job.as_json(now) for job in self.jobs.values() if job.version > since]

    def as_json(self) -> dict[str, Any]:
        """All of it, as /api/jobs and `xpm-ce status --json` tell it."""
        return {
            "schema": 1, "experiment": self.experiment, "title": self.plan.get("title", ""),
            "version": self.version.jobs, "counts": self.counts, "kinds": self.counts_by_kind,
            "seconds_left": self.seconds_left(), "jobs": self.jobs_as_json(),
        }  # fmt: skip

    def blocked_by(self, identity: str) -> list[str]:
        """Identities of the jobs that a failed one keeps from running, directly or not."""
        return [job.id for job in self.jobs.values() if job.state == BLOCKED and job.cause == identity]

    def needed_by(self, identity: str) -> list[str]:
        """Identities of the jobs that take this one's outputs in."""
        return [job.id for job in self.jobs.values() if identity in job.plan["depends_on"]]

    # -- refreshing -------------------------------------------------------------------------------------------

    def refresh(self, *, at_most_every: float = 0.0) -> Version:
        """Look at what can have changed; ConfigurationError where the experiment has no plan (any more)."""
        with self.lock:
            if at_most_every and time.monotonic() - self._refreshed < at_most_every:
                return self.version
            changed = self._read_plan()
            replanned = bool(changed)
            states_before = {identity: self.jobs[identity].seen for identity in changed}
            looked_at = self._candidates()
            for job in looked_at:
                before = job.seen
                if self._look(job):
                    changed.add(job.id)
                    states_before.setdefault(job.id, before)
            self._open = [job for job in looked_at if job.open]
            if replanned or any(self.jobs[each].seen != before for each, before in states_before.items()):
                changed |= self._find_causes()
                self._left = None
            if changed:
                self.version = self.version._replace(jobs=max(_now(), self.version.jobs + 1))
                for identity in changed:
                    self.jobs[identity].version = self.version.jobs
            self._tell_results(states_before)
            self._refreshed = time.monotonic()
            return self.version

    def _read_plan(self) -> set[str]:
        """Read the plan where it was written anew; identities of all jobs then, none otherwise."""
        stamp = None
        with contextlib.suppress(OSError):
            status = os.stat(self.workspace.plan_file(self.experiment))
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        if stamp is not None and stamp == self._plan_stamp:
            return set()
        plan = self.workspace.read_plan(self.experiment)
        known, jobs = self.jobs, dict[str, WatchedJob]()
        for entry in planned_jobs(plan, where=str(self.workspace.plan_file(self.experiment))):
            job = known.get(entry["id"])
            if job is None:
                job = WatchedJob(entry, self.workspace.job(entry["task"], entry["id"]).path)
            job.plan = entry
            jobs[entry["id"]] = job
        self.jobs, self.plan, self._plan_stamp = jobs, plan, stamp
        self._folders = {job.path.parent: -1 for job in jobs.values()}
        self._turn = collections.deque(jobs)
        self._open = [job for job in jobs.values() if job.open]
        self.finished += 1
        self.replanned = max(_now(), self.version.jobs + 1)
        self.version = Version(self.replanned, max(_now(), self.version.results + 1))
        return set(self.jobs)

    def _candidates(self) -> list[WatchedJob]:
        """Jobs whose folder can have changed: all open ones, those with a new folder, and a few of the settled."""
        fresh: set[str] = set()
        for folder, before in self._folders.items():
            try:
                stamp = os.stat(folder).st_mtime_ns
            except OSError:
                stamp = 0
            if before != stamp:
                with contextlib.suppress(OSError):
                    fresh.update(os.listdir(folder))
                self._folders[folder] = stamp if _old_enough(stamp) else -1
        new = (self.jobs[identity] for identity in fresh if identity in self.jobs)
        looked_at = [*self._open, *(job for job in new if not job.exists)]
        for _ in range(min(CHECKED_AGAIN, len(self._turn))):
            identity = self._turn.popleft()
            self._turn.append(identity)
            job = self.jobs[identity]
            if job.seen in SETTLED:
                job.stamp = None
                looked_at.append(job)
        return looked_at

    def _look(self, job: WatchedJob) -> bool:
        """Read a job's folder again where it changed; whether anything that is shown did."""
        try:
            stamp = os.stat(job.path).st_mtime_ns
        except OSError:
            shown = job.exists
            job.exists, job.stamp, job.seen, job.progress, job.words = False, None, WAITING, None, ""
            job.started = job.ended = job.failure = None
            job.queued = False
            return shown
        if stamp == job.stamp and job.seen != RUNNING and not job.queued:
            return False
        if not self._inside.holds(job.path):
            return False
        before = _shown(job)
        job.exists = True
        job.stamp = stamp if _old_enough(stamp) else None
        folder = ObservedFolder(job.path)
        try:
            job.seen, job.failure = folder.state, folder.failure
            job.started, job.ended = folder.started, folder.ended
            told = folder.progress() if job.seen in (RUNNING, "interrupted", FAILED) else None
            job.progress, job.words = told or (None, "")
            job.queued = job.seen == WAITING and folder.queued
            if job.queued:
                job.words, job.started = "started, waits for its turn", None
            if job.seen == "interrupted" and folder.stopped:
                job.words = "stopped"
        except UNREADABLE as error:  # its files are not what a job writes
            job.seen, job.progress, job.failure, job.queued = "damaged", None, None, False
            job.words = error.what if isinstance(error, XpmCeError) else f"a file of it cannot be read ({error!r})"
        if job.seen == "done":
            job.progress = 1.0
        return _shown(job) != before

    def _find_causes(self) -> set[str]:
        """Say of each job what has to be mended before it can run; identities of those for which that changed."""
        changed = set()
        for identity, job in self.jobs.items():  # a plan lists inputs first
            cause = None
            if job.seen == WAITING:
                for above in (self.jobs[each] for each in job.plan["depends_on"] if each in self.jobs):
                    cause = cause or (above.id if above.seen in IN_THE_WAY else above.cause)
                    if above.state == BLOCKED and above.cause is None:  # the plan says what it lacks
                        cause = cause or above.id
            if cause != job.cause:
                job.cause = cause
                changed.add(identity)
        return changed

    def _tell_results(self, states_before: Mapping[str, str]) -> None:
        """Raise the version of results where one came or went, and now and then while a training goes on."""
        came = any((before == "done") != (self.jobs[each].seen == "done") for each, before in states_before.items())
        goes_on = any(job.seen == RUNNING and job.plan["kind"] == "learn" for job in self._open)
        self.finished += came
        if came or (goes_on and time.monotonic() - self._curves_told > CURVES_EVERY):
            self._curves_told = time.monotonic()
            self.version = self.version._replace(results=max(_now(), self.version.results + 1))


class WorkspaceState:
    """The experiments of a workspace, each read when first asked for."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace
        self._lock = threading.Lock()
        self._experiments: dict[str, ExperimentState] = {}

    def names(self) -> list[str]:
        """Experiments that have a plan, last planned first."""
        return self.workspace.experiments()

    def experiment(self, name: str | None, *, at_most_every: float = 0.5) -> ExperimentState:
        """The state of an experiment, refreshed; of the last planned one for None.

        NotThereError where there is none. A name is looked up among the plans that there are, never joined to a
        path as it comes.
        """
        names = self.names()
        if not names:
            raise NotThereError(
                "no experiment was planned here yet",
                where=str(self.workspace.path),
                remedy="Run `xpm-ce run FILE.yaml`, or give --workdir.",
            )
        chosen = name or names[0]
        if chosen not in names:
            raise NotThereError(
                "no plan of this experiment", where=str(self.workspace.path), remedy=f"There are: {', '.join(names)}."
            )
        with self._lock:
            state = self._experiments.setdefault(chosen, ExperimentState(self.workspace, chosen))
        state.refresh(at_most_every=at_most_every)
        return state


def planned_jobs(plan: Any, *, where: str) -> list[dict[str, Any]]:
    """The jobs of a plan; DataError where they are not what a plan holds, or name folders that no job has."""
    try:
        jobs = plan["jobs"]
        for job in jobs:
            if not (re.fullmatch(r"[0-9a-f]{8,64}", job["id"]) and re.fullmatch(r"\w+(\.\w+)*", job["task"])):
                raise ValueError(job["id"])
            if not all(isinstance(job[key], kind) for key, kind in SHAPE.items()):
                raise ValueError(job["id"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            "this plan is not of the form that is read here",
            where=where,
            remedy="Plan its experiment again with `xpm-ce plan FILE.yaml`.",
        ) from error
    return list(jobs)


def _shown(job: WatchedJob) -> tuple[Any, ...]:
    return (job.seen, job.progress, job.words, job.started, job.ended, job.failure)


def _old_enough(stamp: int) -> bool:
    return time.time_ns() - stamp > GRAIN_NS


def _now() -> int:
    """Milliseconds: whole numbers that a browser holds exactly."""
    return time.time_ns() // 1_000_000
