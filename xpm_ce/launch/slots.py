"""Slots: how many jobs run at once, and which of the waiting ones goes next.

experimaestro's own tokens hold one global lock while they wait, so that jobs with free slots wait behind others and
come first come first served; a slot waits for the job's inputs first, then in a heap by priority. It knows one process:
two runs on one machine have slots each.
"""

import asyncio
import heapq
import itertools
import threading
from typing import Any

from experimaestro.locking import Lock
from experimaestro.scheduler.base import Listener
from experimaestro.scheduler.dependencies import Dependency, Resource
from experimaestro.scheduler.jobs import JobDependency


class Slots(Resource, Listener):
    """`count` slots shared by the jobs of one run; register as a listener of the scheduler to see jobs end."""

    def __init__(self, count: int):
        super().__init__()
        self._free = count
        self._waiting: list[tuple[int, int, asyncio.AbstractEventLoop, asyncio.Future]] = []
        self._order = itertools.count()
        self._holders: set[int] = set()
        self._lock = threading.Lock()

    def request(self, priority: int) -> "SlotDependency":
        """A dependency that is met when a slot is free and no waiting job has a smaller `priority`."""
        return SlotDependency(self, priority, next(self._order))

    async def acquire(self, job: Any, priority: int, order: int) -> None:
        loop = asyncio.get_running_loop()
        with self._lock:
            if id(job) in self._holders:  # a resumable job that starts again after a time limit
                return
            if self._free > 0:
                self._free -= 1
                self._holders.add(id(job))
                return
            granted = loop.create_future()
            heapq.heappush(self._waiting, (priority, order, loop, granted))
        await granted
        with self._lock:
            self._holders.add(id(job))

    def release(self, job: Any) -> None:
        with self._lock:
            if id(job) not in self._holders:
                return
            self._holders.remove(id(job))
            if not self._waiting:
                self._free += 1
                return
            _, _, loop, granted = heapq.heappop(self._waiting)
        loop.call_soon_threadsafe(granted.set_result, None)

    def on_job_state_changed(self, job: Any) -> None:
        """A job that ended, whatever the reason, gives its slot back."""
        if job.scheduler_state.finished():
            self.release(job)


class SlotDependency(Dependency):
    """A job's wait for a slot; static for experimaestro, so that nobody else's wait blocks it."""

    def __init__(self, slots: Slots, priority: int, order: int):
        super().__init__(slots)
        self.slots, self.priority, self.order = slots, priority, order

    async def aio_lock(self, timeout: float = 0) -> Lock:
        if self.target is None:
            raise RuntimeError("a slot was asked for by no job")
        for dependency in self.target.dependencies:
            if isinstance(dependency, JobDependency):
                await dependency.aio_lock()
        await self.slots.acquire(self.target, self.priority, self.order)
        return _Held()


class _Held(Lock):
    """Nothing to hold: the slot is given back when the job's state says that it ended."""

    async def _aio_acquire(self) -> None: ...

    async def _aio_release(self) -> None: ...
