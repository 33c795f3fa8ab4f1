"""Where jobs can run and what they need: the local machine, Slurm partitions, and a requirement per kind of job.

What launchers.yaml says, as values; `launch/file.py` reads it. This module knows neither experimaestro nor Slurm.
"""

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path

from xpm_ce.errors import ConfigurationError

FILE_NAME = "launchers.yaml"
LOCAL = "local"
CAPABILITIES = ("fp32", "tf32", "bf16", "int8")
"""Precisions that a machine can declare; a job that asks for another one is blocked in the plan"""
KINDS = (
    "collection", "store", "tokenizer", "tokens", "index", "retrieve", "training set", "candidates", "join", "cut",
    "learn", "rerank", "efficiency", "measure",
)  # fmt: skip
"""Kinds of jobs, as `graph` names them"""
ALL_KINDS = "all"
"""Key of the requirement that holds for every kind without one of its own"""


def _assert_positive(described: object, *names: str) -> None:
    """ConfigurationError for the first field that is given and not above 0."""
    for name in names:
        value = getattr(described, name)
        if value is not None and value <= 0:
            raise ConfigurationError(f"{name} must be positive", remedy="Give a number above 0.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gpus:
    """The GPUs of the local machine, each given to one job at a time."""

    devices: tuple[str, ...] = ()
    """Their names in CUDA_VISIBLE_DEVICES"""

    memory_gib: float | None = None
    """Memory of each, in GiB; None where nobody said"""

    capabilities: tuple[str, ...] | None = None
    """Precisions that they compute in hardware; by default those of the machine"""


def gpus_of_this_machine() -> Gpus:
    """The GPUs that $CUDA_VISIBLE_DEVICES names, else those that the operating system shows as /dev/nvidia0, ..."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return Gpus(devices=tuple(each.strip() for each in named.split(",") if each.strip() not in ("", "-1")))
    numbers = (re.fullmatch(r"nvidia(\d+)", name) for name in os.listdir("/dev"))
    return Gpus(devices=tuple(sorted((found[1] for found in numbers if found), key=int)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalMachine:
    """The machine that xpm-ce itself runs on."""

    cores: int = dataclasses.field(default_factory=lambda: os.cpu_count() or 1)
    """Processor cores that jobs may use; by default all"""

    memory_gib: float | None = None
    """Memory that jobs may use together, in GiB; no limit where absent"""

    memory_per_job_gib: float = 4.0
    """Memory of a slot, in GiB; has no effect without `memory_gib`"""

    parallel_jobs: int | None = None
    """Slots: jobs at once; by default as many as cores and memory allow; 0: nothing runs here"""

    threads_per_job: int = 1
    """Threads of a slot: OMP_NUM_THREADS of a job whose kind requires no other number"""

    capabilities: tuple[str, ...] = ("fp32",)
    """Precisions that this machine computes in hardware: fp32, tf32, bf16, int8"""

    gpus: Gpus = dataclasses.field(default_factory=gpus_of_this_machine)
    """GPUs; by default those that the operating system shows"""

    lock_folder: Path | None = None
    """Where slots and devices are locked for all processes of this user and machine; on a local file system"""

    def __post_init__(self) -> None:
        _assert_positive(self, "cores", "threads_per_job", "memory_per_job_gib")
        if self.parallel_jobs is not None and self.parallel_jobs < 0:
            raise ConfigurationError("parallel_jobs is negative", remedy="Give 0 where nothing is to run here.")
        if self.parallel_jobs is not None and self.parallel_jobs * self.threads_per_job > self.cores:
            raise ConfigurationError(
                f"{self.parallel_jobs} jobs of {self.threads_per_job} threads do not fit {self.cores} cores",
                remedy="Lower parallel_jobs or threads_per_job: threads that share a core are 10 times slower.",
            )

    @property
    def slots(self) -> int:
        """Jobs of one slot that run at once."""
        slots = max(1, self.cores // self.threads_per_job) if self.parallel_jobs is None else self.parallel_jobs
        if self.memory_gib is not None and slots:
            slots = min(slots, max(1, int(self.memory_gib // self.memory_per_job_gib)))
        return slots


@dataclasses.dataclass(frozen=True, kw_only=True)
class Partition:
    """A Slurm partition, as one job may use it."""

    name: str
    """What launchers.yaml calls it"""

    partition: str
    """What Slurm calls it; by default the same"""

    time: int | None = None
    """Longest time of one job, in seconds; no limit where absent"""

    memory_gib: float | None = None
    """Most memory of one job, in GiB; no limit where absent"""

    cores: int | None = None
    """Most cores of one job; no limit where absent"""

    gpus: int = 0
    """Most GPUs of one job"""

    gpu_memory_gib: float | None = None
    """Memory of each GPU, in GiB; None where nobody said"""

    capabilities: tuple[str, ...] = ("fp32",)
    """Precisions that its nodes compute in hardware: fp32, tf32, bf16, int8"""

    account: str | None = None
    """Slurm account that is charged"""

    qos: str | None = None
    """Slurm quality of service"""

    constraint: str | None = None
    """Slurm's expression over features of nodes"""

    sbatch: tuple[str, ...] = ()
    """Further options of sbatch, such as --reservation=NAME"""

    prologue: tuple[str, ...] = ()
    """Shell lines before the job's own command, such as `module load cuda`"""

    parallel_jobs: int | None = None
    """Jobs in Slurm's queue at once; no limit where absent"""

    interval: float = 30.0
    """Seconds between two questions to sacct, for all jobs together"""

    binaries: Path = Path("/usr/bin")
    """Folder of sbatch, sacct, squeue and scancel"""

    def __post_init__(self) -> None:
        _assert_positive(self, "time", "memory_gib", "cores", "gpu_memory_gib", "parallel_jobs", "interval")
        if self.gpus < 0:
            raise ConfigurationError("gpus is negative", remedy="Give 0 where a job gets none.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Requirement:
    """What jobs of one kind need, and where they may run."""

    threads: int | None = None
    """Cores of a job, which is its OMP_NUM_THREADS too; by default `local.threads_per_job`, 1 in Slurm"""

    memory_gib: float | None = None
    """Memory of a job, in GiB; by default `local.memory_per_job_gib`, the partition's own default in Slurm"""

    gpus: int = 0
    """GPUs of a job; a job whose `device` is cuda needs one in any case"""

    gpu_memory_gib: float | None = None
    """Memory that each of its GPUs must have, in GiB"""

    time: int | None = None
    """Seconds that one attempt needs at most, which Slurm is asked for; by default the partition's longest"""

    exclusive: bool = False
    """Whether nothing else of ours runs beside it on the local machine, as timings want"""

    share: int = 1
    """Jobs of this kind that run one after the other in one Slurm allocation, for kinds that take seconds; `time` is
    then the allocation's"""

    on: tuple[str, ...] = ()
    """`local` and names of partitions, in the order in which they are tried; by default all, local first"""

    def __post_init__(self) -> None:
        _assert_positive(self, "threads", "memory_gib", "gpu_memory_gib", "time", "share")
        if self.gpus < 0:
            raise ConfigurationError("gpus is negative", remedy="Give 0 where none is needed.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Launchers:
    """All that launchers.yaml says."""

    local: LocalMachine = dataclasses.field(default_factory=LocalMachine)
    partitions: Mapping[str, Partition] = dataclasses.field(default_factory=dict)
    requirements: Mapping[str, Requirement] = dataclasses.field(default_factory=dict)
    file: Path | None = None
    lines: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Line of each kind's requirement in the file"""

    def requirement(self, kind: str) -> Requirement:
        """What jobs of a kind need; nothing where the file does not say."""
        return self.requirements.get(kind) or self.requirements.get(ALL_KINDS) or Requirement()

    def where(self, kind: str) -> str:
        """file:line of a kind's requirement; the file alone where it has none, nothing without a file."""
        if self.file is None:
            return ""
        line = self.lines.get(kind) or self.lines.get(ALL_KINDS)
        return f"{self.file}:{line}" if line else str(self.file)
