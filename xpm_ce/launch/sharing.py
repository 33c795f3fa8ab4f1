"""Two runs that want the same job: who starts it, and how the other one follows it.

experimaestro 2.7 starts a job as soon as it has the job's lock, which is free for a moment between the scheduler that
starts a process and the process itself, and free again when the job has ended: it would run a second time, over the
first one's marker and logs. This module does not know what is run, nor where.
"""

import asyncio
import json
import logging
import socket
from pathlib import Path

from experimaestro.connectors import Process
from experimaestro.connectors.local import AsyncLock, LocalConnector
from experimaestro.exceptions import GracefulTimeout

from xpm_ce.workspace import runs_here

SETTLING = 0.2
"""Seconds before a job that somebody else has started is looked at again"""

logger = logging.getLogger(__name__)


class JobConnector(LocalConnector):
    """The local machine, with locks that look again before a job is started."""

    def async_lock(self, path: Path, max_delay: int = -1) -> "JobLock":
        return JobLock(self, Path(path), timeout=max_delay if max_delay > 0 else -1)


class JobLock(AsyncLock):
    """A job's lock; whoever gets it starts the job, unless somebody else did so while this one waited."""

    def __init__(self, connector: LocalConnector, path: Path, timeout: float = -1):
        super().__init__(path, timeout=timeout)
        self._connector, self._job = connector, path.with_suffix("")

    async def _aio_acquire(self) -> None:
        """GracefulTimeout, with the lock given back, where the job has ended well or runs: experimaestro then looks at
        the job's files once more, and takes it as done or waits for the process."""
        await super()._aio_acquire()
        if not self._job.with_suffix(".done").exists() and not await runs(self._job, self._connector):
            return
        await self._aio_release()
        logger.info("%s was started by another run", self._job)
        await asyncio.sleep(SETTLING)
        raise GracefulTimeout("another run started this job")


async def runs(job: Path, connector: LocalConnector) -> bool:
    """Whether the process that a job's folder names is alive and this job's own; `job` is <folder>/<name>.

    A recorded process that is gone, or whose number another program has by now, is forgotten: experimaestro would wait
    for that program.
    """
    record = job.with_suffix(".pid")
    try:
        specification = json.loads(record.read_text())
    except (FileNotFoundError, ValueError):
        return False
    if specification.get("type") == "local":
        if specification.get("host") not in (None, socket.gethostname()):
            return False  # nobody here can tell; its own process waits for the lock, and then sees what is done
        if not runs_here(specification.get("pid"), job):
            record.unlink(missing_ok=True)
            return False
    process = Process.fromDefinition(connector, specification)
    return process is not None and await process.aio_isrunning()
