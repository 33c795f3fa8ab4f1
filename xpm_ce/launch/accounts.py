"""What Slurm says about jobs: one question to sacct for all that are watched, and whether Slurm keeps accounts at all.

This module does not know what the jobs are.
"""

import asyncio
import collections
import logging
import os
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from xpm_ce.errors import ConfigurationError

PATIENCE = 60
"""Seconds that a command of Slurm may take"""
KEPT = ("SLURM_CONF", "SLURM_CONF_SERVER")
"""Variables of Slurm that say where it is, and not in which job we are"""
WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT")
GOING_ON = ("RUNNING", "COMPLETING", "SUSPENDED", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED")
NEVER_STARTS = (
    "PartitionTimeLimit", "BadConstraints", "InvalidAccount", "InvalidQOS", "AccountNotAllowed",
    "QOSNotAllowed", "AssocMaxWallDurationPerJobLimit", "QOSMaxWallDurationPerJobLimit",
)  # fmt: skip
"""Reasons for which a job stays pending for ever"""

logger = logging.getLogger(__name__)


def environment() -> dict[str, str]:
    """This process's environment without what an allocation around it says, which its own jobs would take over."""
    inner = ("SLURM_", "SRUN_", "SBATCH_", "PMI_")
    return {name: value for name, value in os.environ.items() if name in KEPT or not name.startswith(inner)}


def ask(binaries: Path, program: str, *arguments: str) -> str:
    """What a command of Slurm prints; OSError or subprocess.SubprocessError where it fails."""
    return subprocess.run(
        [str(binaries / program), *arguments], capture_output=True, text=True, timeout=PATIENCE, check=True,
        env=environment(),
    ).stdout  # fmt: skip


def why_not(error: Exception) -> str:
    """What a command of Slurm that failed said."""
    if isinstance(error, subprocess.CalledProcessError):
        return " ".join((error.stderr or error.stdout or "").split()) or f"exit code {error.returncode}"
    return str(error)


def assert_accounts(binaries: Path, *, where: str) -> None:
    """ConfigurationError where sacct does not answer: nobody would learn that a job was killed."""
    try:
        ask(binaries, "sacct", "--noheader", "--parsable2", "--allocations", "--format=JobIDRaw,State")
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigurationError(
            f"Slurm keeps no accounts that sacct can read: {why_not(error)}",
            where=where,
            remedy="Jobs that are killed would be waited for without end. Ask for slurmdbd (AccountingStorageType), or "
            "correct `binaries:` of the partition.",
        ) from error


class Accounts:
    """The states of the jobs that are watched, asked for every `interval` seconds, for all together."""

    def __init__(self, binaries: Path, interval: float):
        self.binaries, self.interval = binaries, interval
        self._watched: collections.Counter[str] = collections.Counter()
        self._states: dict[str, str] = {}
        self._asked = -float("inf")
        self._asking = asyncio.Lock()

    def watch(self, job: str) -> None:
        """Ask for this job, too; those that share an allocation ask for the same one."""
        self._watched[job] += 1

    def forget(self, job: str) -> None:
        """Ask for it no longer, where nobody else does."""
        self._watched[job] -= 1
        if not self._watched[job]:
            del self._watched[job]
            self._states.pop(job, None)

    async def state(self, job: str) -> str | None:
        """Slurm's word for a job's state, not older than the interval; None where Slurm does not know it yet."""
        async with self._asking:
            if time.monotonic() - self._asked >= self.interval:
                self._asked = time.monotonic()
                await asyncio.to_thread(self._ask, sorted(self._watched))
        return self._states.get(job)

    def _ask(self, watched: list[str]) -> None:
        try:
            told = ask(
                self.binaries, "sacct", "--noheader", "--parsable2", "--allocations", "--format=JobIDRaw,State",
                f"--jobs={','.join(watched)}",
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            logger.warning("sacct does not answer, will ask again: %s", why_not(error))
            return
        for line in told.splitlines():
            job, _, state = line.partition("|")
            self._states[job] = state.split()[0].rstrip("+") if state else ""  # "CANCELLED by 1000"
        pending = [job for job in watched if self._states.get(job) == "PENDING"]
        for job in self._hopeless(pending):
            logger.error("Slurm job %s would wait for ever: cancelled", job)

    def _hopeless(self, pending: Iterable[str]) -> list[str]:
        """Cancel the jobs that will never start; Slurm then calls them CANCELLED."""
        jobs = ",".join(sorted(pending))
        if not jobs:
            return []
        try:
            told = ask(self.binaries, "squeue", "--noheader", f"--jobs={jobs}", "--format=%i|%r")
            reasons = dict(line.strip().split("|", 1) for line in told.splitlines() if "|" in line)
            found = [job for job, reason in reasons.items() if reason in NEVER_STARTS]
            if found:
                ask(self.binaries, "scancel", *found)
        except (OSError, subprocess.SubprocessError) as error:
            logger.warning("squeue does not answer, will ask again: %s", why_not(error))
            return []
        for job in found:
            self._states[job] = f"NEVER_STARTS:{reasons[job]}"
        return found


_QUEUES: dict[tuple[Path, float], Accounts] = {}
_LIVE: dict[Path, tuple[float, frozenset[str]]] = {}
REMEMBERED = 5.0
"""Seconds for which the list of this user's jobs is believed of those that stand in it"""


def accounts(binaries: Path, interval: float) -> Accounts:
    """The one that all jobs of this process share."""
    return _QUEUES.setdefault((binaries, interval), Accounts(binaries, interval))


def in_queue(binaries: Path, job: str) -> bool:
    """Whether a job of this user waits or runs; where squeue does not answer it is believed to."""
    asked, live = _LIVE.get(binaries, (-float("inf"), frozenset()))
    if time.monotonic() - asked < REMEMBERED and job in live:
        return True
    try:
        told = ask(binaries, "squeue", "--noheader", f"--user={os.getuid()}", "--format=%A")
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("squeue does not answer: %s", why_not(error))
        return True
    live = frozenset(told.split())
    _LIVE[binaries] = (time.monotonic(), live)
    return job in live
