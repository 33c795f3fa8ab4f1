"""An experimaestro launcher for a Slurm partition: what a job asks for, its script, and what becomes of it.

A job that left because its time was up, was pre-empted or lost its node is submitted again, as long as the last attempt
brought it further. This module does not know what a job computes.
"""

import asyncio
import contextlib
import fcntl
import functools
import json
import logging
import os
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

from experimaestro.connectors import Connector, Process, ProcessBuilder, ProcessState
from experimaestro.launchers.slurm import SlurmLauncher, SlurmOptions
from experimaestro.scriptbuilder import PythonScriptBuilder

from xpm_ce import atomic
from xpm_ce.launch.accounts import GOING_ON, WAITING, accounts, ask, in_queue, why_not
from xpm_ce.launch.allocations import Allocations
from xpm_ce.launch.local import set_threads
from xpm_ce.launch.machines import Partition
from xpm_ce.launch.placement import Need
from xpm_ce.launch.priorities import priority
from xpm_ce.launch.progress import Attempts, left_for_time
from xpm_ce.launch.sharing import JobConnector
from xpm_ce.launch.slots import SlotDependency, Slots
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
NICE = 100
"""How much further back in Slurm's queue a job stands for each step of its kind's priority"""
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


class PartitionLauncher(SlurmLauncher):
    """Runs jobs of one kind's need in a partition."""

    def __init__(self, partition: Partition, need: Need, *, kind: str, queue: Slots | None, share: int = 1):
        time = need.time or partition.time
        options = SlurmOptions(
            time=SlurmOptions.format_time(time) if time else None,
            account=partition.account,
            qos=partition.qos,
            partition=partition.partition,
            constraint=partition.constraint,
            mem=f"{round(need.memory_gib * 1024)}M" if need.memory_gib else None,
            cpus_per_task=str(need.threads or 1),
            gpus_per_node=need.gpus or None,
        )
        super().__init__(
            connector=JobConnector(), options=options, interval=partition.interval, binpath=str(partition.binaries)
        )
        self.partition, self.kind, self.queue = partition, kind, queue
        self.allocations = self._shared(share) if share > 1 else None
        set_threads(self, need.threads or 1)
        _register()

    def _shared(self, share: int) -> Allocations:
        """Allocations that jobs of this launcher enter, instead of one each."""
        return Allocations(
            share, options=[*self.batch_options, f"--job-name={self.kind.replace(' ', '-')}-x{share}"],
            prologue=self.partition.prologue, cores=str(self.options.cpus_per_task), binaries=str(self.binpath),
        )  # fmt: skip

    @property
    def batch_options(self) -> list[str]:
        """What sbatch is asked for, whatever runs."""
        return [
            *self.options.args(),
            "--open-mode=append",
            "--no-requeue",  # sacct calls a job PREEMPTED that waits in the queue again: we submit it again ourselves
            f"--nice={NICE * priority(self.kind)}",
            *self.partition.sbatch,
        ]

    def scriptbuilder(self) -> "PartitionScript":
        return PartitionScript(self)

    def processbuilder(self) -> "PartitionProcessBuilder":
        return PartitionProcessBuilder(self)

    def launcher_info_code(self) -> str:
        """What a job's script does before anything else: say who knows its time limit."""
        return (
            "    from experimaestro.taskglobals import Env\n"
            "    from xpm_ce.launch.walltime import Walltime\n"
            f"    Env.instance().launcher_info = Walltime({str(self.binpath)!r})\n"
        )

    def request_slot(self, job, kind: str) -> None:
        """Make `job` wait until it may enter Slurm's queue, where the partition bounds how many may."""
        if self.queue is not None:
            job.dependencies.add(SlotDependency([(self.queue, 1)], priority(kind)))


class PartitionScript(PythonScriptBuilder):
    """Writes what sbatch is given: options, prologue, and the job's Python script through srun."""

    def __init__(self, launcher: PartitionLauncher):
        super().__init__()
        self.launcher = launcher
        self.processtype = "slurm"

    def write(self, job: Any) -> Path:
        script = super().write(job)
        launcher, partition = self.launcher, self.launcher.partition
        options = [
            *launcher.batch_options,
            f"--job-name={job.name}-{job.identifier[:8]}",
            f"--chdir={script.parent}",
            f"--output={job.stdout}",
            f"--error={job.stderr}",
        ]
        lines = [
            "#!/bin/sh",
            f"# resumable: {'yes' if job.resumable else 'no'}",
            *(f"#SBATCH {shlex.quote(option)}" for option in options),
            *partition.prologue,
            # srun does not take the number of cores over from sbatch (since Slurm 22.05)
            f"exec srun --ntasks=1 --cpus-per-task={launcher.options.cpus_per_task} {shlex.quote(str(script))}",
        ]
        batch = job.jobpath / f"{job.name}.sh"
        batch.write_text("\n".join(lines) + "\n")
        launcher.connector.setExecutable(batch, True)
        return batch


class PartitionProcessBuilder(ProcessBuilder):
    """Hands a job's script to sbatch."""

    def __init__(self, launcher: PartitionLauncher):
        super().__init__()
        self.launcher = launcher

    def start(self, task_mode: bool = False) -> "PartitionProcess":
        script, binaries, shared = Path(self.command[0]), self.launcher.binpath, self.launcher.allocations
        try:
            if shared is None:
                job = submit(binaries, script)
            else:
                job = shared.enter(script, self.workingDirectory, functools.partial(submit, binaries))
        except (OSError, subprocess.SubprocessError) as error:
            what, remedy = (
                f"sbatch refused the job: {why_not(error)}",
                "`xpm-ce doctor` compares launchers.yaml with Slurm.",
            )
            leave_cause(script.parent, exception="NotSubmitted", what=what, where=str(script), remedy=remedy)
            raise
        return PartitionProcess(
            job, script, binaries=binaries, interval=self.launcher.interval, shared=shared is not None
        )


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


def _register() -> None:
    """Make experimaestro recognise in a job's folder what this module left there, with its own kind of process."""
    Process.handler("slurm")  # fills the table
    Process.HANDLERS["slurm"] = PartitionProcess
