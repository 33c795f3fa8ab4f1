"""How long jobs take that need each other, several at once. This module does not know what the jobs are."""

from collections.abc import Iterable


def makespan(jobs: Iterable[tuple[str, float, Iterable[str]]], *, slots: int) -> float:
    """The seconds that jobs take at least, `slots` of them at once: all their work shared, or their longest chain.

    A job is its name, its seconds, and the names of those that it needs; these come before it, or take no time.
    """
    total, ends = 0.0, dict[str, float]()
    for name, seconds, needs in jobs:
        total += seconds
        ends[name] = seconds + max((ends.get(each, 0.0) for each in needs), default=0.0)
    return max(total / slots, max(ends.values(), default=0.0))
