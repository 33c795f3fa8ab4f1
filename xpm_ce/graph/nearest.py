"""For each job that never ran, the finished one of its type that is nearest, and the fields in which they differ.

The nearest has the fewest fields that differ; an input that must run counts as the finished one that is nearest to it,
so that what hangs off a changed job is compared with what hung off that one before. This module does not know what a
field means.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from xpm_ce.graph.changes import Comparison
from xpm_ce.graph.past import PastJobs
from xpm_ce.graph.planner import PlannedJob, Planner
from xpm_ce.graph.signature import Signature
from xpm_ce.graph.states import Reason, State, Why

COMPARISONS = 200_000
"""Pairs of jobs that one plan compares field by field at most"""
MOST_CANDIDATES = 2000
"""Finished jobs with which one job is compared so"""
Item = tuple[str, Any]


def name_changes(planner: Planner, past: PastJobs) -> None:
    """Replace the reason of jobs that never ran by what they differ in from their nearest finished siblings."""
    if not any(job.reason.why is Why.NEVER_RUN for job in planner.jobs.values()):
        return
    siblings = _Siblings(planner, past)
    compared = Comparison(past.signature)
    for job in planner.jobs.values():
        if job.state is State.REUSE:
            continue
        sibling = siblings.of(job)
        if sibling is None or job.state is not State.RUN or job.reason.why is not Why.NEVER_RUN:
            continue
        if changes := compared.changes(sibling, job.identity):
            job.reason = Reason.changed(changes, sibling)


class _Siblings:
    """Finds the nearest finished job of planned ones, which must come inputs first."""

    def __init__(self, planner: Planner, past: PastJobs):
        self.planner, self.past = planner, past
        self._types: dict[str, _Finished] = {}
        self._stands_for: dict[str, str] = {}
        self._budget = COMPARISONS

    def of(self, job: PlannedJob) -> str | None:
        """The identity of the finished job that is nearest to one that is not; None where there is none of its type."""
        signature = self.past.signature(job.identity)
        if signature is None:
            return None
        items = dict(signature.fields)
        items |= {path: self._stands_for.get(identity, identity) for path, identity in signature.inputs.items()}
        finished = self._of_type(job.task)
        found = finished.equal(items) or finished.differing_in_one(items)
        if found is None and self._budget > 0:
            self._budget -= min(len(finished.jobs), MOST_CANDIDATES)
            found = finished.nearest(items)
        if found is not None:
            self._stands_for[job.identity] = found
        return found

    def _of_type(self, task: str) -> "_Finished":
        if task not in self._types:
            planned = self.planner.jobs
            own = [
                (job.identity, signature)
                for job in planned.values()
                if job.task == task and job.state is State.REUSE
                if (signature := self.past.signature(job.identity)) is not None
            ]
            others = [each for each in self.past.finished(task) if each[0] not in planned]
            self._types[task] = _Finished([*own, *others])
        return self._types[task]


@dataclasses.dataclass
class _Finished:
    """The finished jobs of one type; of several that are as near, the first."""

    jobs: list[tuple[str, Signature]]

    def __post_init__(self) -> None:
        self._equal: dict[int, str] = {}
        self._without_one: dict[int, str] | None = None
        self._reduced: list[tuple[str, frozenset[Item]]] | None = None
        for identity, signature in self.jobs:
            self._equal.setdefault(_digest(_items(signature)), identity)

    def equal(self, items: dict[str, Any]) -> str | None:
        """The job that has the same fields and inputs."""
        return self._equal.get(_digest(items.items()))

    def differing_in_one(self, items: dict[str, Any]) -> str | None:
        """The first job that has the same fields but one."""
        if self._without_one is None:
            self._without_one = {}
            for identity, signature in self.jobs:
                whole = _digest(_items(signature))
                for path, value in _items(signature):
                    self._without_one.setdefault(whole ^ hash((path, value)) ^ hash(path), identity)
        whole = _digest(items.items())
        for path, value in items.items():
            found = self._without_one.get(whole ^ hash((path, value)) ^ hash(path))
            if found is not None:
                return found
        return None

    def nearest(self, items: dict[str, Any]) -> str | None:
        """The job with the fewest fields that differ, among the first that there are."""
        if self._reduced is None:
            sets = [(identity, signature.items) for identity, signature in self.jobs[:MOST_CANDIDATES]]
            common = frozenset.intersection(*(each for _, each in sets)) if sets else frozenset()
            self._reduced = [(identity, each - common) for identity, each in sets]
        if not self._reduced:
            return None
        wanted = frozenset(items.items())
        return min(self._reduced, key=lambda each: len(each[1] - wanted))[0]


def _items(signature: Signature) -> Iterator[Item]:
    yield from signature.fields.items()
    yield from signature.inputs.items()


def _digest(items: Any) -> int:
    """A number for a set of items, of which each can be taken out again."""
    digest = 0
    for item in items:
        digest ^= hash(item)
    return digest
