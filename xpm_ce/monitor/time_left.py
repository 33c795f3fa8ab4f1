"""How long an experiment that goes on will still take, from what its jobs were expected to take and have taken so far.

This module does not know where jobs run, nor how their state is read.
"""

import collections
from collections.abc import Collection, Mapping
from typing import Any

from xpm_ce.monitor.watched_job import RUNNING, WAITING, WatchedJob


def seconds_left(jobs: Collection[WatchedJob], *, slots: int, now: float) -> float | None:
    """Seconds until all that can run has run; None where nothing runs, or nothing comparable to a job ever has.

    A job is expected to take what the plan says, times the pace of those that have ended since; where the plan does
    not know, what jobs of its kind took. As many run at once as there are `slots`, or as are running now. A plan lists
    inputs first, and so have `jobs` to be.
    """
    ahead = [job for job in jobs if job.state in (RUNNING, WAITING)]
    running = sum(job.seen == RUNNING for job in ahead)
    if not running:
        return None
    of_kinds, pace = _seconds_of_kinds(jobs), _pace(jobs)
    left: dict[str, float] = {}
    chains: dict[str, float] = {}
    for job in ahead:
        expected = _expected(job.plan)
        whole = expected * pace if expected is not None else of_kinds.get(job.plan["kind"])
        if whole is None:
            return None
        left[job.id] = _rest(job, whole, now)
        chains[job.id] = left[job.id] + max((chains.get(each, 0.0) for each in job.plan["depends_on"]), default=0.0)
    return max(sum(left.values()) / max(running, slots), max(chains.values()))


def _expected(planned: Mapping[str, Any]) -> float | None:
    """Seconds that the plan expects of a job."""
    cost = planned.get("cost")
    return float(cost["seconds"][1]) if cost else None


def _took(job: WatchedJob) -> float | None:
    """Seconds that a job took that has ended well."""
    if job.seen != "done" or job.started is None or job.ended is None:
        return None
    return job.ended - job.started


def _seconds_of_kinds(jobs: Collection[WatchedJob]) -> dict[str, float]:
    """What jobs of a kind took, on average."""
    found: dict[str, list[float]] = collections.defaultdict(list)
    for job in jobs:
        if (took := _took(job)) is not None:
            found[job.plan["kind"]].append(took)
    return {kind: sum(times) / len(times) for kind, times in found.items()}


def _pace(jobs: Collection[WatchedJob]) -> float:
    """How many times as long as expected the jobs took that have ended since they were planned; 1 before the first."""
    pairs = [(took, _expected(job.plan)) for job in jobs if (took := _took(job)) is not None]
    taken = sum(took for took, expected in pairs if expected)
    planned = sum(expected for _, expected in pairs if expected)
    return taken / planned if taken > 0 and planned > 0 else 1.0


def _rest(job: WatchedJob, whole: float, now: float) -> float:
    """What is left of a job that takes so many seconds."""
    if job.seen != RUNNING:
        return whole
    if job.progress:
        return whole * (1 - job.progress)
    return max(0.0, whole - (now - job.started if job.started is not None else 0.0))
