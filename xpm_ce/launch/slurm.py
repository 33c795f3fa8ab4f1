"""An experimaestro launcher for a Slurm partition: what a job asks for, and its script.

This module does not know what a job computes.
"""

import functools
import shlex
import subprocess
from pathlib import Path
from typing import Any

from experimaestro.connectors import ProcessBuilder
from experimaestro.launchers.slurm import SlurmLauncher, SlurmOptions
from experimaestro.scriptbuilder import PythonScriptBuilder

from xpm_ce.launch.accounts import why_not
from xpm_ce.launch.allocations import Allocations
from xpm_ce.launch.attempts import Attempt, written
from xpm_ce.launch.local import set_threads
from xpm_ce.launch.machines import Partition
from xpm_ce.launch.placement import Need
from xpm_ce.launch.priorities import priority
from xpm_ce.launch.sharing import JobConnector
from xpm_ce.launch.slots import SlotDependency, Slots
from xpm_ce.launch.slurm_process import PartitionProcess, leave_cause, register, submit

NICE = 100
"""How much further back in Slurm's queue a job stands for each step of its kind's priority"""


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
        register()

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
        before = written(script.parent)
        try:
            if shared is None:
                number = submit(binaries, script)
            else:
                number = shared.enter(script, self.workingDirectory, functools.partial(submit, binaries))
        except (OSError, subprocess.SubprocessError) as error:
            what, remedy = (
                f"sbatch refused the job: {why_not(error)}",
                "`xpm-ce doctor` compares launchers.yaml with Slurm.",
            )
            leave_cause(script.parent, exception="NotSubmitted", what=what, where=str(script), remedy=remedy)
            raise
        attempt = Attempt(number, before, shared=shared is not None)
        return PartitionProcess(attempt, script, binaries=binaries, interval=self.launcher.interval)
