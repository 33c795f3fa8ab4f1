"""How long an experiment that goes on will still take, from what its jobs were expected to take and have taken so far.

This module does not know where jobs run, nor how their state is read.
"""

import collections
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from xpm_ce.makespan import makespan
from xpm_ce.monitor.watched_job import BLOCKED, RUNNING, WAITING, WatchedJob


def seconds_left(jobs: Collection[WatchedJob], *, slots: int, now: float) -> float | None:
    """Seconds until all that can run has run; None where nothing runs, or nothing comparable to a job ever has.

    A job is expected to take what the plan says, times the pace of those that have ended since; where the plan does
    not know, what jobs of its kind took. As many run at once as there are `slots`, or as are running now. A plan lists
    inputs first, and so have `jobs` to be.
    """
    running = sum(job.seen == RUNNING for job in jobs)
    if not running:
        return None
    known = _Experience.of(jobs)
    ahead = []
    for job in jobs:
        if job.seen in (RUNNING, WAITING) and job.state != BLOCKED:
            whole = known.seconds(job.plan)
            if whole is None:
                return None
            ahead.append((job.id, _rest(job, whole, now), job.plan["depends_on"]))
    return makespan(ahead, slots=max(running, slots))


class _Experience(NamedTuple):
    """What the jobs that have ended tell of others."""

    pace: float
    """How many times as long as expected they took; 1 before the first"""

    of_kinds: Mapping[str, float]
    """Seconds that jobs of a kind took, on average"""

    @classmethod
    def of(cls, jobs: Iterable[WatchedJob]) -> "_Experience":
        taken = planned = 0.0
        kinds: dict[str, list[float]] = collections.defaultdict(list)
        for job in jobs:
            if job.seen == "done" and job.started is not None and job.ended is not None:
                seconds, plan = job.ended - job.started, job.plan
                kinds[plan["kind"]].append(seconds)
                if expected := _expected(plan):
                    taken, planned = taken + seconds, planned + expected
        pace = taken / planned if taken > 0 and planned > 0 else 1.0
        return cls(pace, {kind: sum(seconds) / len(seconds) for kind, seconds in kinds.items()})

    def seconds(self, planned: Mapping[str, Any]) -> float | None:
        """What a job of the plan takes; None where nothing tells."""
        expected = _expected(planned)
        return self.of_kinds.get(planned["kind"]) if expected is None else expected * self.pace


def _expected(planned: Mapping[str, Any]) -> float | None:
    """Seconds that the plan expects of a job."""
    cost = planned.get("cost")
    return float(cost["seconds"][1]) if cost else None


def _rest(job: WatchedJob, whole: float, now: float) -> float:
    """What is left of a job that takes so many seconds."""
    if job.seen != RUNNING:
        return whole
    if job.progress:
        return whole * (1 - job.progress)
    return max(0.0, whole - (now - job.started if job.started is not None else 0.0))
