"""Slots of one run: how many of its jobs are started at once, and which of the waiting ones goes next.

experimaestro's own tokens hold one global lock while they wait, so that jobs with free slots wait behind others and
come first come first served; a slot waits for the job's inputs first, then in a heap by priority. It knows one process;
`launch/admission.py` counts the jobs of all processes of a machine.
"""

import asyncio
import heapq
import itertools
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

from experimaestro.locking import Lock
from experimaestro.scheduler.base import Listener
from experimaestro.scheduler.dependencies import Dependency, Resource
from experimaestro.scheduler.jobs import JobDependency


class _Waiting(NamedTuple):
    """A job in the heap: sorted by priority, then by who asked first."""

    priority: int
    order: int
    wanted: int
    job: int
    loop: asyncio.AbstractEventLoop
    granted: asyncio.Future


class Slots(Resource, Listener):
    """`count` slots shared by the jobs of one run; register as a listener of the scheduler to see jobs end."""

    def __init__(self, count: int):
        super().__init__()
        self._free = count
        self._waiting: list[_Waiting] = []
        self._order = itertools.count()
        self._holders: dict[int, int] = {}
        self._lock = threading.Lock()

    def next_order(self) -> int:
        """The place of a request among those of equal priority."""
        return next(self._order)

    async def acquire(self, job: Any, priority: int, order: int, *, count: int = 1) -> None:
        loop = asyncio.get_running_loop()
        with self._lock:
            if id(job) in self._holders:  # a resumable job that starts again after a time limit
                return
            if self._free >= count and not self._waiting:
                self._free -= count
                self._holders[id(job)] = count
                return
            granted = loop.create_future()
            heapq.heappush(self._waiting, _Waiting(priority, order, count, id(job), loop, granted))
            self._grant()
        await granted

    def release(self, job: Any) -> None:
        with self._lock:
            self._free += self._holders.pop(id(job), 0)
            self._grant()

    def _grant(self) -> None:
        """Give free slots to those who wait, in their order; who needs more than are free holds up the others."""
        while self._waiting and self._waiting[0].wanted <= self._free:
            first = heapq.heappop(self._waiting)
            self._free -= first.wanted
            self._holders[first.job] = first.wanted
            first.loop.call_soon_threadsafe(first.granted.set_result, None)

    def on_job_state_changed(self, job: Any) -> None:
        """A job that ended, whatever the reason, gives its slots back."""
        if job.scheduler_state.finished():
            self.release(job)


class SlotDependency(Dependency):
    """A job's wait for slots, of several sorts one after the other, in an order that is the same for all jobs.

    Static for experimaestro, so that nobody else's wait blocks it.
    """

    def __init__(self, wanted: Sequence[tuple[Slots, int]], priority: int):
        super().__init__(wanted[0][0])
        self.priority = priority
        self.wanted = [(slots, count, slots.next_order()) for slots, count in wanted]

    async def aio_lock(self, timeout: float = 0) -> Lock:
        if self.target is None:
            raise RuntimeError("a slot was asked for by no job")
        for dependency in self.target.dependencies:
            if isinstance(dependency, JobDependency):
                await dependency.aio_lock()
        for slots, count, order in self.wanted:
            await slots.acquire(self.target, self.priority, order, count=count)
        return _Held()


class _Held(Lock):
    """Nothing to hold: the slots are given back when the job's state says that it ended."""

    async def _aio_acquire(self) -> None: ...

    async def _aio_release(self) -> None: ...
