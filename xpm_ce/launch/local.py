"""An experimaestro launcher for the local machine: slots with priorities, threads per job, the caller's environment."""

import os

from experimaestro.connectors.local import LocalConnector, LocalProcessBuilder
from experimaestro.launchers.direct import DirectLauncher

from xpm_ce.launch.machines import LocalMachine
from xpm_ce.launch.slots import Slots

PRIORITIES = {"measure": 0, "rerank": 1, "learn": 3}
"""Smaller goes first, so that a trained model is re-ranked and measured before the next training starts"""
DEFAULT_PRIORITY = 2


class _InheritingProcessBuilder(LocalProcessBuilder):
    """Starts a job with the caller's environment beneath its own variables; experimaestro 2.7 would drop the former."""

    def start(self, task_mode: bool = False):
        self.environ: dict[str, str] = {**os.environ, **self.environ}
        return super().start(task_mode)


class LocalLauncher(DirectLauncher):
    """Runs jobs as processes of this machine, each in a slot and with `machine.threads_per_job` threads."""

    def __init__(self, machine: LocalMachine):
        super().__init__(LocalConnector.instance())
        self.slots = Slots(machine.slots)
        threads = str(machine.threads_per_job)
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
            self.setenv(name, threads)
        self.setenv("TOKENIZERS_PARALLELISM", "false")

    def processbuilder(self):
        return _InheritingProcessBuilder()

    def request_slot(self, job, kind: str) -> None:
        """Make `job` wait for a slot, with the priority of its kind."""
        job.dependencies.add(self.slots.request(PRIORITIES.get(kind, DEFAULT_PRIORITY)))
