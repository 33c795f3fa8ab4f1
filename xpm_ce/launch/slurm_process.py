"""A job in Slurm's hands: how it is submitted, waited for and submitted again, and what its end means.

A job that left because its time was up, was pre-empted or lost its node is submitted again, as long as the last attempt
brought it further. This module does not know what a job asks for, nor what it computes.
"""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from experimaestro.connectors import Connector, Process, ProcessState

from xpm_ce import atomic
from xpm_ce.launch.accounts import GOING_ON, WAITING, accounts, ask, in_queue, why_not
from xpm_ce.launch.attempts import Attempts, left_for_time
from xpm_ce.workspace import FAILURE

LOOK_EVERY = 2.0
"""Seconds between two looks at a job's own markers, which say sooner than Slurm that it has ended"""
LATE = 2
"""Intervals by which a job's own markers may come later than Slurm's word: NFS shows new files after up to a minute"""
PAUSES = (2, 5, 10, 20, 40, 60, 60, 60)
"""Seconds between attempts to submit"""
PASSING = (
    "Unable to contact slurm controller", "Socket timed out", "temporarily unable to accept", "Connection refused",
    "Zero Bytes were transmitted", "Transport endpoint is not connected", "Resource temporarily unavailable",
)  # fmt: skip
"""What sbatch says where the next attempt may succeed: Slurm is restarted, or busy"""
NOT_ITS_FAULT = ("PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED")
"""States after which any job is submitted again"""
CAUSES = {
    "TIMEOUT": ("TimeLimit", "the job met its time limit", "Raise its `time` in launchers.yaml."),
    "DEADLINE": ("TimeLimit", "the job met its deadline", "Raise its `time` in launchers.yaml."),
    "OUT_OF_MEMORY": (
        "OutOfMemory", "the job needed more memory than it was given",
        "Raise `memory_gib` of its kind in launchers.yaml, or lower tokens_per_batch.",
    ),
    "CANCELLED": ("Cancelled", "the job was cancelled", "Run the same command again to continue."),
    "NEVER_STARTS": (
        "NeverStarts", "Slurm would never have started the job, so it was cancelled",
        "Compare launchers.yaml with `scontrol show partition`.",
    ),
}  # fmt: skip
"""What Slurm's last word about a job means, where the job itself said nothing"""

logger = logging.getLogger(__name__)


def submit(binaries: Path, script: Path) -> str:
    """Submit a batch script, again and again for some minutes where Slurm cannot be reached; its number of the job."""
    for pause in PAUSES:
        try:
            return _submitted(binaries, script)
        except (OSError, subprocess.SubprocessError) as error:
            if not any(words in why_not(error) for words in PASSING):
                raise
            logger.warning("sbatch failed, will try again in %d s: %s", pause, why_not(error))
            time.sleep(pause)
    return _submitted(binaries, script)


def _submitted(binaries: Path, script: Path) -> str:
    return ask(binaries, "sbatch", "--parsable", str(script)).strip().partition(";")[0]


class PartitionProcess(Process):
    """A job in Slurm, through all its attempts."""

    host_dependent = False

    def __init__(self, job: str, script: Path, *, binaries: Path, interval: float, shared: bool = False):
        self.job, self.script, self.binaries, self.interval = job, script, binaries, interval
        self.shared = shared  # its allocation runs other jobs, too, and may outlive it

    def __repr__(self) -> str:
        return f"slurm:{self.job}"

    # -- how experimaestro remembers it -------------------------------------------------------------------------

    def tospec(self) -> dict[str, Any]:
        options = [["binpath", str(self.binaries)], ["interval", self.interval]]
        shared = {"shared": True} if self.shared else {}
        return {"type": "slurm", "pid": self.job, "options": options, "script": str(self.script), **shared}

    @classmethod
    def fromspec(cls, connector: Connector, spec: dict[str, Any]) -> "PartitionProcess | None":
        """The job that a file names, None where it is not in Slurm's queue."""
        options = dict(spec.get("options", ()))
        binaries = Path(options.get("binpath", "/usr/bin"))
        if "script" not in spec or not in_queue(binaries, spec["pid"]):
            return None
        return cls(
            spec["pid"], Path(spec["script"]), binaries=binaries, interval=options.get("interval", 30.0),
            shared=spec.get("shared", False),
        )  # fmt: skip

    # -- what becomes of it -------------------------------------------------------------------------------------

    async def aio_state(self, timeout: float | None = None) -> ProcessState:
        if self._marker(".done").exists():
            return ProcessState.DONE
        live = await asyncio.to_thread(in_queue, self.binaries, self.job)
        return ProcessState.RUNNING if live else ProcessState.ERROR

    async def aio_wait(self) -> int:
        """Wait for the end of the last attempt; 0 where the job ended well."""
        attempts = Attempts(self.script.parent)
        while True:
            state = await self._attempt()
            if state in ("COMPLETED", "FAILED"):
                await self._marked()
            if state == "COMPLETED" and self._marker(".done").exists():
                return 0
            if not self._again(state, attempts):
                self._explain(state)
                return 1
            logger.info("%s ended with %s and is submitted again", self, state)
            while (job := await asyncio.to_thread(self._next_attempt)) is None:
                await asyncio.sleep(min(LOOK_EVERY, self.interval))
            self.job, self.shared = job, False

    def wait(self) -> int:
        return asyncio.run(self.aio_wait())

    def kill(self) -> None:
        ask(self.binaries, "scancel", self.job)

    def _marker(self, suffix: str) -> Path:
        return self.script.with_suffix(suffix)

    async def _attempt(self) -> str:
        """Slurm's last word about the attempt that is under way."""
        queue = accounts(self.binaries, self.interval)
        queue.watch(self.job)
        try:
            while True:
                if self._marker(".done").exists():
                    return "COMPLETED"
                if self.shared and self._marker(".failed").exists():
                    return "FAILED"
                state = await queue.state(self.job)
                if state and state not in (*WAITING, *GOING_ON):
                    return state
                await asyncio.sleep(min(LOOK_EVERY, self.interval))
        finally:
            queue.forget(self.job)

    async def _marked(self) -> None:
        """Wait for the marker of a job that ended by itself."""
        end = time.monotonic() + LATE * self.interval
        while not any(self._marker(suffix).exists() for suffix in (".done", ".failed")) and time.monotonic() < end:
            await asyncio.sleep(min(LOOK_EVERY, self.interval))
            os.listdir(self.script.parent)  # makes NFS ask its server again

    def _next_attempt(self) -> str | None:
        """Submit the job again, unless another run that waits for it has: Slurm's number of the next attempt.

        None where somebody has the job's lock, and nobody has said which attempt is his.
        """
        with open(self._marker(".lock"), "a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return self._recorded()
            if (other := self._recorded()) is not None:
                return other
            self._marker(".failed").unlink(missing_ok=True)
            job = submit(self.binaries, self.script)
            atomic.write_json(self._marker(".pid"), {**self.tospec(), "pid": job, "shared": False})
            return job

    def _recorded(self) -> str | None:
        """The attempt that the job's folder names, where it is another one than this."""
        with contextlib.suppress(OSError, ValueError):
            recorded = json.loads(self._marker(".pid").read_text()).get("pid")
            return recorded if recorded != self.job else None
        return None

    def _again(self, state: str, attempts: Attempts) -> bool:
        """Whether another attempt is worth it."""
        further = attempts.brought_further()
        left_out = self.shared and state == "COMPLETED" and not self._marker(".failed").exists()
        if state in NOT_ITS_FAULT or left_out:
            return further or attempts.spare()
        out_of_time = state == "TIMEOUT" or left_for_time(self._marker(".failed"))
        return out_of_time and further and "# resumable: yes" in self.script.read_text()

    def _explain(self, state: str) -> None:
        """Leave the cause in `failure.json` where the job itself left none; no marker may ask for another attempt."""
        exception, what, remedy = CAUSES.get(
            state.partition(":")[0], ("Killed", f"Slurm ended the job ({state})", "Run the same command again.")
        )
        if left_for_time(self._marker(".failed")):
            exception, what, remedy = CAUSES["TIMEOUT"]
            what = "the job left for its time limit without having come further"
        if ":" in state:
            what = f"{what} ({state.partition(':')[2]})"
        self._marker(".failed").write_text(json.dumps({"code": 1, "reason": "failed", "message": what}))
        if not (self.script.parent / FAILURE).exists():
            where = f"Slurm job {self.job}"
            leave_cause(self.script.parent, exception=exception, what=what, where=where, remedy=remedy)


def leave_cause(folder: Path, *, exception: str, what: str, where: str, remedy: str) -> None:
    """Write `failure.json` for a job that could not do so itself."""
    record = {"exception": exception, "what": what, "where": where, "remedy": remedy, "frame": "", "time": time.time()}
    with contextlib.suppress(OSError):
        atomic.write_json(folder / FAILURE, {"schema": 1, **record})


def register() -> None:
    """Make experimaestro recognise in a job's folder what this module left there, with its own kind of process."""
    Process.handler("slurm")  # fills the table
    Process.HANDLERS["slurm"] = PartitionProcess
