"""Reads launchers.yaml: every key is known, every value has its type, every error its line.

This module does not know what the values are used for.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.launch.machines import (
    ALL_KINDS,
    CAPABILITIES,
    KINDS,
    LOCAL,
    Gpus,
    Launchers,
    LocalMachine,
    Partition,
    Requirement,
)

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def read_launchers(path: Path | None) -> Launchers:
    """What `path` says; all cores, fp32 and the GPUs that are seen where it is None.

    ConfigurationError with file:line for an unknown key or a value of the wrong type.
    """
    if path is None:
        return Launchers()
    reader = _Reader(path)
    sections = reader.entries(reader.root(), "", {"local", "slurm", "requirements"})
    local = reader.made(LocalMachine, LOCAL_KEYS, sections.get("local"), LOCAL)
    partitions = {
        name: reader.partition(name, node)
        for name, node in reader.entries(sections.get("slurm"), "slurm", None).items()
    }
    kinds = reader.entries(sections.get("requirements"), "requirements", {*KINDS, ALL_KINDS})
    lines = {kind: node.start_mark.line + 1 for kind, node in kinds.items()}
    requirements = {kind: reader.requirement(kind, node, partitions) for kind, node in kinds.items()}
    return Launchers(local=local, partitions=partitions, requirements=requirements, file=path, lines=lines)


class _Reader:
    """One file's nodes, with the place of each."""

    def __init__(self, path: Path):
        self.path = path

    def root(self) -> yaml.Node | None:
        try:
            return yaml.compose(self.path.read_text(), Loader=yaml.SafeLoader)
        except OSError as error:
            raise ConfigurationError(
                f"cannot read the launchers file ({error.strerror})",
                where=str(self.path),
                remedy="Give --launchers FILE.",
            ) from error
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{self.path}:{mark.line + 1}" if mark else str(self.path)
            raise ConfigurationError("this is not YAML", where=where, remedy=str(error).splitlines()[0]) from error

    def where(self, node: yaml.Node) -> str:
        return f"{self.path}:{node.start_mark.line + 1}"

    def entries(self, node: yaml.Node | None, name: str, valid: set[str] | None) -> dict[str, yaml.Node]:
        """Key -> node of a mapping; all keys are `valid`, which None leaves open."""
        if node is None or _is_null(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise ConfigurationError(f"{name or 'the file'} must hold keys and values", where=self.where(node))
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            full = f"{name}.{key.value}" if name else key.value
            if valid is not None and key.value not in valid:
                raise UnknownKeyError(full, valid, where=self.where(key))
            if key.value in found:
                raise ConfigurationError(f"{full} is given twice", where=self.where(key), remedy="Remove one.")
            found[key.value] = value
        return found

    def made(
        self, cls: type, keys: Mapping[str, "Parser"], node: yaml.Node | None, place: str, **more: Any
    ) -> Any:  # fmt: skip
        """A value of `cls` from a mapping; errors of the class get the mapping's line."""
        values = {}
        for key, below in self.entries(node, place, set(keys)).items():
            values[key] = keys[key](self, below, f"{place}.{key}")
        try:
            return cls(**{**more, **values})
        except ConfigurationError as error:
            where = self.where(node) if node is not None else str(self.path)
            raise ConfigurationError(error.what, where=where, remedy=error.remedy) from error

    def partition(self, name: str, node: yaml.Node) -> Partition:
        """A partition; `local` is no name for one."""
        if name == LOCAL:
            raise ConfigurationError(
                "a partition cannot be called local", where=self.where(node), remedy="Rename it, and give `partition:`."
            )
        made: Partition = self.made(Partition, PARTITION_KEYS, node, f"slurm.{name}", name=name, partition=name)
        return made

    def requirement(self, kind: str, node: yaml.Node, partitions: Mapping[str, Partition]) -> Requirement:
        """A kind's requirement; UnknownKeyError where `on` names no machine."""
        made: Requirement = self.made(Requirement, REQUIREMENT_KEYS, node, f"requirements.{kind}")
        for name in made.on:
            if name not in (LOCAL, *partitions):
                where = self.where(self.entries(node, "", None)["on"])
                raise UnknownKeyError(name, (LOCAL, *partitions), where=where, kind="machine")
        return made

    def wrong(self, node: yaml.Node, key: str, wanted: str) -> ConfigurationError:
        return ConfigurationError(f"{key} must be {wanted}", where=self.where(node), remedy=f"Found {_plain(node)!r}.")


Parser = Callable[[_Reader, yaml.Node, str], Any]


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _plain(node: yaml.Node) -> Any:
    return yaml.safe_load(yaml.serialize(node))


def _whole(reader: _Reader, node: yaml.Node, key: str) -> int:
    value = _plain(node)
    if isinstance(value, bool) or not isinstance(value, int):
        raise reader.wrong(node, key, "a number")
    return value


def _amount(reader: _Reader, node: yaml.Node, key: str) -> float:
    value = _plain(node)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise reader.wrong(node, key, "a number")
    return float(value)


def _flag(reader: _Reader, node: yaml.Node, key: str) -> bool:
    value = _plain(node)
    if not isinstance(value, bool):
        raise reader.wrong(node, key, "true or false")
    return value


def _text(reader: _Reader, node: yaml.Node, key: str) -> str:
    if not isinstance(node, yaml.ScalarNode) or _is_null(node):
        raise reader.wrong(node, key, "a text")
    return str(node.value)


def _texts(reader: _Reader, node: yaml.Node, key: str) -> tuple[str, ...]:
    """A list of texts, or one."""
    if isinstance(node, yaml.ScalarNode):
        return (_text(reader, node, key),)
    if not isinstance(node, yaml.SequenceNode):
        raise reader.wrong(node, key, "a text or a list of texts")
    return tuple(_text(reader, below, key) for below in node.value)


def _folder(reader: _Reader, node: yaml.Node, key: str) -> Path:
    """A folder; relative ones stand beside the file."""
    return reader.path.absolute().parent / Path(_text(reader, node, key)).expanduser()


def _capabilities(reader: _Reader, node: yaml.Node, key: str) -> tuple[str, ...]:
    value = _plain(node)
    if not isinstance(value, list) or not set(map(str, value)) <= set(CAPABILITIES):
        raise reader.wrong(node, key, f"a list of {', '.join(CAPABILITIES)}")
    return tuple(sorted(value))


def _duration(reader: _Reader, node: yaml.Node, key: str) -> int:
    """Seconds of a time such as 90m, 2h, 1d, or Slurm's own D-HH:MM:SS and HH:MM:SS.

    From the text as it is written: YAML would make 10:30:00 a number.
    """
    text = str(node.value).strip() if isinstance(node, yaml.ScalarNode) else ""
    if short := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text):
        return round(float(short[1]) * UNITS[short[2]])
    if long := re.fullmatch(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)", text):
        days, hours, minutes, seconds = (int(part or 0) for part in long.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    raise reader.wrong(node, key, "a time such as 90m, 2h, 1d or 1-12:00:00")


def _gpus(reader: _Reader, node: yaml.Node, key: str) -> Gpus:
    """A number of GPUs, a list of their names, or a mapping with `devices`, `memory_gib` and `capabilities`."""
    if isinstance(node, yaml.MappingNode):
        made: Gpus = reader.made(Gpus, GPU_KEYS, node, key)
        return made
    return Gpus(devices=_devices(reader, node, key))


def _devices(reader: _Reader, node: yaml.Node, key: str) -> tuple[str, ...]:
    if isinstance(node, yaml.SequenceNode):
        devices = _texts(reader, node, key)
        if len(set(devices)) != len(devices):
            raise reader.wrong(node, key, "a list in which no device stands twice")
        for device in devices:
            if not re.fullmatch(r"[\w.:-]+", device):
                raise reader.wrong(node, key, "a list of numbers or names of devices")
        return devices
    return tuple(map(str, range(_whole(reader, node, key))))


LOCAL_KEYS: dict[str, Parser] = {
    "cores": _whole, "memory_gib": _amount, "memory_per_job_gib": _amount, "parallel_jobs": _whole,
    "threads_per_job": _whole, "capabilities": _capabilities, "gpus": _gpus, "lock_folder": _folder,
}  # fmt: skip
GPU_KEYS: dict[str, Parser] = {"devices": _devices, "memory_gib": _amount, "capabilities": _capabilities}
PARTITION_KEYS: dict[str, Parser] = {
    "partition": _text, "time": _duration, "memory_gib": _amount, "cores": _whole, "gpus": _whole,
    "gpu_memory_gib": _amount, "capabilities": _capabilities, "account": _text, "qos": _text, "constraint": _text,
    "sbatch": _texts, "prologue": _texts, "parallel_jobs": _whole, "interval": _amount, "binaries": _folder,
}  # fmt: skip
REQUIREMENT_KEYS: dict[str, Parser] = {
    "threads": _whole, "memory_gib": _amount, "gpus": _whole, "gpu_memory_gib": _amount, "time": _duration,
    "exclusive": _flag, "share": _whole, "on": _texts,
}  # fmt: skip
