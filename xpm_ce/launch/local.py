"""An experimaestro launcher for the local machine: slots with priorities, devices, threads, environment."""

import os
import subprocess
from pathlib import Path

from experimaestro.connectors.local import LocalProcess, LocalProcessBuilder
from experimaestro.launchers.direct import DirectLauncher

from xpm_ce.launch.admission import Share
from xpm_ce.launch.machines import LocalMachine
from xpm_ce.launch.placement import Need, slots_taken
from xpm_ce.launch.priorities import priority
from xpm_ce.launch.sharing import JobConnector
from xpm_ce.launch.slots import SlotDependency, Slots


class _InheritingProcessBuilder(LocalProcessBuilder):
    """Starts a job with the caller's environment beneath its own variables, and adds to its logs.

    experimaestro 2.7 would drop the former and cut the latter.
    """

    def start(self, task_mode: bool = False) -> LocalProcess:
        with open(self.stdout.path, "ab") as output, open(self.stderr.path, "ab") as log:
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                env={**os.environ, **self.environ},
                cwd=self.workingDirectory,
                start_new_session=True,
            )
        return LocalProcess(process)


class Pool:
    """The slots and devices of the local machine, as the jobs of one run wait for them."""

    def __init__(self, machine: LocalMachine, folder: Path):
        self.machine, self.folder = machine, folder
        self.slots, self.devices = Slots(machine.slots), Slots(len(machine.gpus.devices))


class LocalLauncher(DirectLauncher):
    """Runs jobs of one need as processes of this machine, each with its slots, devices and threads."""

    def __init__(self, pool: Pool, need: Need):
        super().__init__(JobConnector())
        machine = pool.machine
        self.pool = pool
        self.share = Share(
            folder=str(pool.folder), slots=slots_taken(machine, need), of=machine.slots, gpus=need.gpus,
            devices=machine.gpus.devices,
        )  # fmt: skip
        set_threads(self, need.threads or machine.threads_per_job)

    def processbuilder(self) -> _InheritingProcessBuilder:
        return _InheritingProcessBuilder()

    def launcher_info_code(self) -> str:
        """What a job's script does before anything else: wait for what it takes of the machine."""
        return f"    from xpm_ce.launch.admission import Share, admit\n    admit({self.share!r})\n"

    def request_slot(self, job, kind: str) -> None:
        """Make `job` wait until it may be started, with the priority of its kind; for a device first."""
        wanted = [(self.pool.devices, self.share.gpus)] if self.share.gpus else []
        job.dependencies.add(SlotDependency([*wanted, (self.pool.slots, self.share.slots)], priority(kind)))


def set_threads(launcher, threads: int) -> None:
    """Give the jobs of a launcher so many threads, in every library."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        launcher.setenv(name, str(threads))
    launcher.setenv("TOKENIZERS_PARALLELISM", "false")
