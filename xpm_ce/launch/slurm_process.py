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
from typing import IO, Any

from experimaestro.connectors import Connector, Process, ProcessState

from xpm_ce import atomic
from xpm_ce.launch.accounts import GOING_ON, WAITING, accounts, ask, in_queue, why_not
from xpm_ce.launch.attempts import SPARED, Attempt, left_for_time, written
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


class _LockedError(Exception):
    """Somebody else is at a job."""


class PartitionProcess(Process):
    """A job in Slurm, through all its attempts."""

    host_dependent = False

    def __init__(self, attempt: Attempt, script: Path, *, binaries: Path, interval: float):
        self.attempt, self.script, self.binaries, self.interval = attempt, script, binaries, interval

    def __repr__(self) -> str:
        return f"slurm:{self.attempt.number}"

    # -- how experimaestro remembers it -------------------------------------------------------------------------

    def tospec(self) -> dict[str, Any]:
        options = [["binpath", str(self.binaries)], ["interval", self.interval]]
        return {"type": "slurm", "options": options, "script": str(self.script), **self.attempt.tospec()}

    @classmethod
    def fromspec(cls, connector: Connector, spec: dict[str, Any]) -> "PartitionProcess | None":
        """The job that a file names, None where it is not in Slurm's queue."""
        options = dict(spec.get("options", ()))
        binaries = Path(options.get("binpath", "/usr/bin"))
        if "script" not in spec or not in_queue(binaries, spec["pid"]):
            return None
        script = Path(spec["script"])
        attempt = Attempt.fromspec(spec, script.parent)
        return cls(attempt, script, binaries=binaries, interval=options.get("interval", 30.0))

    # -- what becomes of it -------------------------------------------------------------------------------------

    async def aio_state(self, timeout: float | None = None) -> ProcessState:
        if self._marker(".done").exists():
            return ProcessState.DONE
        live = await asyncio.to_thread(in_queue, self.binaries, self.attempt.number)
        return ProcessState.RUNNING if live else ProcessState.ERROR

    async def aio_wait(self) -> int:
        """Wait for the end of the last attempt; 0 where the job ended well."""
        while True:
            state = await self._end()
            if state in ("COMPLETED", "FAILED"):
                await self._marked()
            if state == "COMPLETED" and self._marker(".done").exists():
                return 0
            following = await self._following(state)
            if following is None:
                return 1
            self.attempt = following

    def wait(self) -> int:
        return asyncio.run(self.aio_wait())

    def kill(self) -> None:
        ask(self.binaries, "scancel", self.attempt.number)

    def _marker(self, suffix: str) -> Path:
        return self.script.with_suffix(suffix)

    async def _end(self) -> str:
        """Slurm's last word about the attempt that is under way."""
        queue = accounts(self.binaries, self.interval)
        queue.watch(self.attempt.number)
        try:
            while True:
                if self._marker(".done").exists():
                    return "COMPLETED"
                if self.attempt.shared and self._marker(".failed").exists():
                    return "FAILED"
                state = await queue.state(self.attempt.number)
                if state and state not in (*WAITING, *GOING_ON):
                    return state
                await asyncio.sleep(min(LOOK_EVERY, self.interval))
        finally:
            queue.forget(self.attempt.number)

    async def _marked(self) -> None:
        """Wait for the marker of a job that ended by itself."""
        end = time.monotonic() + LATE * self.interval
        while not any(self._marker(suffix).exists() for suffix in (".done", ".failed")) and time.monotonic() < end:
            await asyncio.sleep(min(LOOK_EVERY, self.interval))
            os.listdir(self.script.parent)  # makes NFS ask its server again

    async def _following(self, state: str) -> Attempt | None:
        """The attempt to wait for now, which this run or another one has submitted; None where the job is given up."""
        while True:
            try:
                return await asyncio.to_thread(self._judged, state)
            except _LockedError:
                await asyncio.sleep(min(LOOK_EVERY, self.interval))

    def _judged(self, state: str) -> Attempt | None:
        """The same; _LockedError where somebody has the job's lock, and nobody has said which attempt is his."""
        with open(self._marker(".lock"), "a") as lock:
            locked = _locked(lock)
            if self._marker(".done").exists():  # by another run's attempt
                return self.attempt
            if (other := self._recorded()) is not None:
                return other
            if not locked:
                raise _LockedError
            now = written(self.script.parent)
            in_vain = self.attempt.in_vain + 1 if now == self.attempt.before else 0
            if not self._again(state, in_vain):
                self._explain(state)
                return None
            self._marker(".failed").unlink(missing_ok=True)
            attempt = Attempt(submit(self.binaries, self.script), now, in_vain)
            logger.info("%s ended with %s and is submitted again: %s", self, state, attempt.number)
            atomic.write_json(self._marker(".pid"), {**self.tospec(), **attempt.tospec()})
            return attempt

    def _recorded(self) -> Attempt | None:
        """The attempt that the job's folder names, where it is another one than this."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            spec = json.loads(self._marker(".pid").read_text())
            if spec["type"] == "slurm" and spec["pid"] != self.attempt.number:
                return Attempt.fromspec(spec, self.script.parent)
        return None

    def _again(self, state: str, in_vain: int) -> bool:
        """Whether another attempt is worth it, after so many in a row that brought nothing."""
        left_out = self.attempt.shared and state == "COMPLETED" and not self._marker(".failed").exists()
        if state in NOT_ITS_FAULT or left_out:
            return in_vain <= SPARED
        out_of_time = state == "TIMEOUT" or left_for_time(self._marker(".failed"))
        return out_of_time and not in_vain and "# resumable: yes" in self.script.read_text()

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
            where = f"Slurm job {self.attempt.number}"
            leave_cause(self.script.parent, exception=exception, what=what, where=where, remedy=remedy)


def _locked(file: IO[str]) -> bool:
    """Lock a file, unless somebody else has."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def leave_cause(folder: Path, *, exception: str, what: str, where: str, remedy: str) -> None:
    """Write `failure.json` for a job that could not do so itself."""
    record = {"exception": exception, "what": what, "where": where, "remedy": remedy, "frame": "", "time": time.time()}
    with contextlib.suppress(OSError):
        atomic.write_json(folder / FAILURE, {"schema": 1, **record})


def register() -> None:
    """Make experimaestro recognise in a job's folder what this module left there, with its own kind of process."""
    Process.handler("slurm")  # fills the table
    Process.HANDLERS["slurm"] = PartitionProcess
