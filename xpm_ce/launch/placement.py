"""Which machine a job runs on: the first that has what its kind requires, the local one before Slurm's.

This module does not know how a job is started there.
"""

import dataclasses
import math
import re
from collections.abc import Iterable
from typing import Any

from xpm_ce.errors import ConfigurationError
from xpm_ce.launch.machines import LOCAL, Launchers, LocalMachine, Partition
from xpm_ce.workspace import coordinates_text


@dataclasses.dataclass(frozen=True, kw_only=True)
class Need:
    """What one job needs: the requirement of its kind, and the GPUs that its `device` asks for.

    None: whatever the machine gives by default.
    """

    threads: int | None
    memory_gib: float | None
    gpus: int
    gpu_memory_gib: float | None
    time: int | None
    exclusive: bool

    @classmethod
    def of(cls, launchers: Launchers, kind: str, config: Any) -> "Need":
        """What a job of a kind with this configuration needs."""
        required = launchers.requirement(kind)
        return cls(
            threads=required.threads, memory_gib=required.memory_gib, gpus=max(required.gpus, _gpus_used(config)),
            gpu_memory_gib=required.gpu_memory_gib, time=required.time, exclusive=required.exclusive,
        )  # fmt: skip

    def __str__(self) -> str:
        parts = [
            f"{self.threads} cores" if self.threads else "",
            f"{self.memory_gib:g} GiB" if self.memory_gib else "",
            _gpus(self.gpus) if self.gpus else "",
            f"{self.gpu_memory_gib:g} GiB on each" if self.gpus and self.gpu_memory_gib else "",
            spelled(self.time) if self.time else "",
        ]
        return ", ".join(part for part in parts if part) or "1 slot"


@dataclasses.dataclass(frozen=True)
class Place:
    """The machine that a job runs on, and what it takes there; `partition` is None on the local one."""

    need: Need
    partition: Partition | None = None

    @property
    def name(self) -> str:
        return LOCAL if self.partition is None else self.partition.name


def spelled(seconds: int) -> str:
    """A time as launchers.yaml has it: 90m, 2h."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _gpus_used(config: Any) -> int:
    """GPUs that a task's own `device` and `processes` name: cuda is one; cuda:1 needs two, to have a second."""
    values = config.__xpm__.values
    device = re.fullmatch(r"cuda(?::(\d+))?", str(values.get("device") or ""))
    if device is None:
        return 0
    return max(int(device[1] or 0) + 1, int(values.get("processes") or 1))


def place(launchers: Launchers, kind: str, config: Any) -> Place | None:
    """Where a job runs; None where no machine has what it needs."""
    need = Need.of(launchers, kind, config)
    for name in _candidates(launchers, kind):
        if not lacks(launchers, name, need):
            return Place(need, launchers.partitions.get(name))
    return None


def _candidates(launchers: Launchers, kind: str) -> tuple[str, ...]:
    return launchers.requirement(kind).on or (LOCAL, *launchers.partitions)


def lacks(launchers: Launchers, name: str, need: Need) -> list[str]:
    """What a machine has too little of for a need, each as `GPUs: 0 of 1`."""
    if name == LOCAL:
        return _local_lacks(launchers.local, need)
    return _partition_lacks(launchers.partitions[name], need)


def _local_lacks(machine: LocalMachine, need: Need) -> list[str]:
    found = [] if machine.slots else ["jobs: parallel_jobs is 0"]
    found += _too_few("cores", machine.cores, need.threads)
    found += _too_few("GiB of memory", machine.memory_gib, need.memory_gib)
    found += _too_few("GPUs", len(machine.gpus.devices), need.gpus)
    if need.gpus:
        found += _too_few("GiB of GPU memory", machine.gpus.memory_gib, need.gpu_memory_gib)
    return found


def _partition_lacks(partition: Partition, need: Need) -> list[str]:
    found = _too_few("cores", partition.cores, need.threads)
    found += _too_few("GiB of memory", partition.memory_gib, need.memory_gib)
    found += _too_few("GPUs", partition.gpus, need.gpus)
    if need.gpus:
        found += _too_few("GiB of GPU memory", partition.gpu_memory_gib, need.gpu_memory_gib)
    if partition.time is not None and need.time is not None and partition.time < need.time:
        found.append(f"time: {spelled(partition.time)} of {spelled(need.time)}")
    return found


def _too_few(what: str, has: float | None, needs: float | None) -> list[str]:
    """Nothing where either is unknown."""
    return [f"{what}: {has:g} of {needs:g}"] if has is not None and needs is not None and has < needs else []


def lacking(launchers: Launchers, kind: str, config: Any) -> tuple[str, ...]:
    """What the machine of a job lacks for what its configuration says: the precision, or the GPUs of its `device`.

    Nothing where the requirement of its kind cannot be met at all: `assert_placed` says so.
    """
    chosen = place(launchers, kind, config)
    if chosen is None:
        need = Need.of(launchers, kind, config)
        without = dataclasses.replace(need, gpus=launchers.requirement(kind).gpus)
        met = any(not lacks(launchers, name, without) for name in _candidates(launchers, kind))
        return (f"{_gpus(need.gpus)}, by `gpus` in launchers.yaml",) if met else ()
    precision = config.__xpm__.values.get("precision")
    return (precision,) if precision is not None and precision not in capabilities(launchers, chosen) else ()


def capabilities(launchers: Launchers, chosen: Place) -> tuple[str, ...]:
    """Precisions that a machine computes in hardware for a job."""
    if chosen.partition is not None:
        return chosen.partition.capabilities
    of_gpus = launchers.local.gpus.capabilities
    return launchers.local.capabilities if not chosen.need.gpus or of_gpus is None else of_gpus


def _gpus(number: int) -> str:
    return f"{number} GPU{'s' if number > 1 else ''}"


def assert_placed(launchers: Launchers, jobs: Iterable[Any]) -> None:
    """ConfigurationError, naming the first job and the closest machine, where no machine has what a job needs.

    `jobs` are those of a plan that must run.
    """
    for job in jobs:
        if place(launchers, job.kind, job.config) is not None:
            continue
        need = Need.of(launchers, job.kind, job.config)
        missing = {name: lacks(launchers, name, need) for name in _candidates(launchers, job.kind)}
        closest = min(missing, key=lambda name: len(missing[name]))
        where_it_stands = f" ({coordinates_text(job.coordinates)})" if job.coordinates else ""
        raise ConfigurationError(
            f"no machine has what a {job.kind} job{where_it_stands} needs: {need}",
            where=launchers.where(job.kind),
            remedy=f"The closest is {closest}, which has too little: {'; '.join(missing[closest])}. "
            f"Lower requirements.{job.kind}, or describe another machine.",
        )


def slots_taken(machine: LocalMachine, need: Need) -> int:
    """Slots of the local machine that a job takes: as many as its threads or its memory fill, at most all."""
    if need.exclusive:
        return machine.slots
    by_threads = math.ceil((need.threads or 0) / machine.threads_per_job)
    by_memory = math.ceil((need.memory_gib or 0) / machine.memory_per_job_gib) if machine.memory_gib is not None else 0
    return min(max(1, by_threads, by_memory), machine.slots)
