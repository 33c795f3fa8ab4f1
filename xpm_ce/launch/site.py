"""The machines of one run: a launcher for each kind of job and what it needs, and the slots that they share.

This module does not know what jobs compute.
"""

from pathlib import Path

from xpm_ce.errors import ConfigurationError
from xpm_ce.graph.planner import PlannedJob
from xpm_ce.launch.accounts import assert_accounts
from xpm_ce.launch.admission import assert_lockable, default_folder
from xpm_ce.launch.local import LocalLauncher, Pool
from xpm_ce.launch.machines import Launchers, Partition
from xpm_ce.launch.placement import Need, Place, place
from xpm_ce.launch.slots import Slots
from xpm_ce.launch.slurm import PartitionLauncher


class Site:
    """Gives every job of a run the launcher of the machine that it runs on; `slots` are to listen to the scheduler.

    MachineError where slots cannot be counted, ConfigurationError where Slurm keeps no accounts: before a job is
    submitted.
    """

    def __init__(self, launchers: Launchers):
        self.launchers = launchers
        self.slots: list[Slots] = []
        self._pool: Pool | None = None
        self._queues: dict[str, Slots | None] = {}
        self._local: dict[Need, LocalLauncher] = {}
        self._slurm: dict[tuple[str, Need, str], PartitionLauncher] = {}

    def launcher(self, job: PlannedJob) -> LocalLauncher | PartitionLauncher:
        """The launcher of a planned job."""
        chosen = place(self.launchers, job.kind, job.config)
        if chosen is None:
            raise ConfigurationError(f"no machine has what a {job.kind} job needs")
        return self._on_this(chosen) if chosen.partition is None else self._in(chosen.partition, chosen, job.kind)

    def _on_this(self, chosen: Place) -> LocalLauncher:
        if self._pool is None:
            folder = lock_folder(self.launchers)
            assert_lockable(folder)
            self._pool = Pool(self.launchers.local, folder)
            self.slots += [self._pool.slots, self._pool.devices]
        if chosen.need not in self._local:
            self._local[chosen.need] = LocalLauncher(self._pool, chosen.need)
        return self._local[chosen.need]

    def _in(self, partition: Partition, chosen: Place, kind: str) -> PartitionLauncher:
        if partition.name not in self._queues:
            assert_accounts(partition.binaries, where=f"{self.launchers.file}: slurm.{partition.name}")
            queue = Slots(partition.parallel_jobs) if partition.parallel_jobs else None
            self._queues[partition.name] = queue
            self.slots += [queue] if queue is not None else []
        key = (partition.name, chosen.need, kind)
        if key not in self._slurm:
            self._slurm[key] = PartitionLauncher(
                partition,
                chosen.need,
                kind=kind,
                queue=self._queues[partition.name],
                share=self.launchers.requirement(kind).share,
            )
        return self._slurm[key]


def lock_folder(launchers: Launchers) -> Path:
    """Where slots and devices of the local machine are locked."""
    return launchers.local.lock_folder or default_folder()
