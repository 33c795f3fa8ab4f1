"""How long a job may still run, and how much of that a step and a saved state need.

This module does not know what a step does: of training, or a shard of re-ranking.
"""

import contextlib
import time
from collections.abc import Callable, Iterator

ASKED_EVERY = 60.0
"""Seconds after which the remaining time is asked for again: a limit may be moved, and asking may start a process"""

SPARE = 5.0
"""Seconds that leaving a job takes at most"""


class TimeLimit:
    """Says when it is time to leave: when no more is left than twice the longest step and the longest saving took.

    `remaining` gives the seconds that are left, None where there is no limit, as in experimaestro's `ResumableTask`.
    """

    def __init__(self, remaining: Callable[[], float | None]):
        self._remaining = remaining
        self._asked, self._end = -float("inf"), float("inf")
        self._looked = time.monotonic()
        self._longest_step, self._longest_saving = 0.0, 0.0

    def reached(self) -> bool:
        """Whether it is time to leave; to be asked once a step."""
        now = time.monotonic()
        self._longest_step = max(self._longest_step, now - self._looked)
        self._looked = now
        if now - self._asked >= ASKED_EVERY:
            remaining = self._remaining()
            self._asked, self._end = now, float("inf") if remaining is None else now + remaining
        return self._end - now < 2 * (self._longest_step + self._longest_saving) + SPARE

    @property
    def unmeasured(self) -> bool:
        """Whether there is a limit, but nobody knows how long saving takes."""
        return self._end != float("inf") and self._longest_saving == 0

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        """Measure how long saving takes; it is no part of a step."""
        started = time.monotonic()
        yield
        took = time.monotonic() - started
        self._longest_saving = max(self._longest_saving, took)
        self._looked += took
