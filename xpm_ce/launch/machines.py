"""The machine that launchers.yaml describes: how many jobs at once, with how many threads, and what it can compute.

This module does not know experimaestro: `launch/local.py` turns a `LocalMachine` into a launcher.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

import yaml

from xpm_ce.errors import ConfigurationError, UnknownKeyError

FILE_NAME = "launchers.yaml"
CAPABILITIES = ("fp32", "tf32", "bf16", "int8")
"""Precisions that a machine can declare; a job that asks for another one is blocked in the plan"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalMachine:
    """The machine that xpm-ce itself runs on."""

    cores: int = dataclasses.field(default_factory=lambda: os.cpu_count() or 1)
    """Processor cores that jobs may use; by default all"""

    memory_gib: float | None = None
    """Memory that jobs may use together, in GiB; no limit where absent"""

    memory_per_job_gib: float = 4.0
    """Memory that one job is expected to need, in GiB; has no effect without `memory_gib`"""

    parallel_jobs: int | None = None
    """Jobs at once; by default as many as cores and memory allow"""

    threads_per_job: int = 1
    """OMP_NUM_THREADS of each job"""

    capabilities: tuple[str, ...] = ("fp32",)
    """Precisions that this machine computes in hardware: fp32, tf32, bf16, int8"""

    def __post_init__(self) -> None:
        for name in ("cores", "threads_per_job", "memory_per_job_gib"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name} must be positive", remedy="Give a number above 0.")
        if self.parallel_jobs is not None and self.parallel_jobs * self.threads_per_job > self.cores:
            raise ConfigurationError(
                f"{self.parallel_jobs} jobs of {self.threads_per_job} threads do not fit {self.cores} cores",
                remedy="Lower parallel_jobs or threads_per_job: threads that share a core are 10 times slower.",
            )

    @property
    def slots(self) -> int:
        """Jobs that run at once."""
        slots = self.parallel_jobs or max(1, self.cores // self.threads_per_job)
        if self.memory_gib is not None:
            slots = min(slots, max(1, int(self.memory_gib // self.memory_per_job_gib)))
        return slots


def read_machine(path: Path | None) -> LocalMachine:
    """The machine described in `path`; all cores and fp32 where `path` is None.

    ConfigurationError with file:line for an unknown key or a value of the wrong type.
    """
    if path is None:
        return LocalMachine()
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the launchers file ({error.strerror})", where=str(path), remedy="Give --launchers FILE."
        ) from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigurationError("this is not YAML", where=where, remedy=str(error).splitlines()[0]) from error
    sections = _mapping(root, path, valid={"local"}, prefix="")
    if "local" not in sections:
        return LocalMachine()
    types = {
        "cores": int, "memory_gib": float, "memory_per_job_gib": float, "parallel_jobs": int,
        "threads_per_job": int, "capabilities": list,
    }  # fmt: skip
    values: dict[str, Any] = {}
    for key, node in _mapping(sections["local"], path, valid=set(types), prefix="local.").items():
        values[key] = _value(node, types[key], where=f"{path}:{node.start_mark.line + 1}", key=f"local.{key}")
    try:
        return LocalMachine(**values)
    except ConfigurationError as error:
        line = sections["local"].start_mark.line + 1
        raise ConfigurationError(error.what, where=f"{path}:{line}", remedy=error.remedy) from error


def _mapping(node: yaml.Node | None, path: Path, *, valid: set[str], prefix: str) -> dict[str, yaml.Node]:
    if node is None:
        return {}
    where = f"{path}:{node.start_mark.line + 1}"
    if not isinstance(node, yaml.MappingNode):
        raise ConfigurationError(f"{prefix or 'the file'} must hold keys and values", where=where)
    entries = {}
    for key, value in node.value:
        if key.value not in valid:
            raise UnknownKeyError(f"{prefix}{key.value}", valid, where=f"{path}:{key.start_mark.line + 1}")
        entries[key.value] = value
    return entries


def _value(node: yaml.Node, kind: type, *, where: str, key: str) -> Any:
    value = yaml.safe_load(yaml.serialize(node))
    if kind is list:
        if not isinstance(value, list) or not set(value) <= set(CAPABILITIES):
            raise ConfigurationError(
                f"{key} must be a list of {', '.join(CAPABILITIES)}", where=where, remedy=f"Found {value!r}."
            )
        return tuple(sorted(value))
    allowed = (int, float) if kind is float else (int,)
    if isinstance(value, bool) or not isinstance(value, allowed):
        raise ConfigurationError(f"{key} must be a number", where=where, remedy=f"Found {value!r}.")
    return kind(value)
