"""An attempt at a job: which one it is, and whether it brought the job further, by the files that it left.

All runs that wait for a job must judge an attempt alike, whenever they began to wait: what it is measured by is kept
with it. This module does not know what is in the files.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpm_ce.identity import text_sha256
from xpm_ce.workspace import FAILURE, OUTPUTS

SPARED = 3
"""Attempts without progress that are forgiven where it was not the job's fault"""
BOOKKEEPING = (".failed", ".pid", ".out", ".err", ".lock", ".py", ".sh", ".json", ".done")
"""Endings of what stands in a job's folder whether or not it came further"""


@dataclass(frozen=True)
class Attempt:
    """One attempt at a job in Slurm."""

    number: str
    """Slurm's number of it"""

    before: str
    """Digest of what the job had written when the attempt was handed in"""

    in_vain: int = 0
    """Attempts in a row, before this one, that brought nothing"""

    shared: bool = False
    """Whether its allocation runs other jobs, too, and may outlive it"""

    def tospec(self) -> dict[str, Any]:
        """What a job's folder remembers of it."""
        return {"pid": self.number, "before": self.before, "in_vain": self.in_vain, "shared": self.shared}

    @classmethod
    def fromspec(cls, spec: dict[str, Any], folder: Path) -> "Attempt":
        """The attempt that a job's folder remembers; by an earlier version of ours without what stood there before."""
        before = spec.get("before") or written(folder)
        return cls(spec["pid"], before, spec.get("in_vain", 0), spec.get("shared", False))


def left_for_time(marker: Path) -> bool:
    """Whether a job's `.failed` says that it left because it had no time for another step."""
    try:
        return bool(json.loads(marker.read_text()).get("reason") == "timeout")
    except (OSError, ValueError, AttributeError):
        return False


def written(folder: Path) -> str:
    """Digest of the paths, sizes and times of change of the files that a job wrote."""
    return text_sha256(map(repr, sorted(_own_files(folder))))


def _own_files(folder: Path) -> Iterator[tuple[str, int, int]]:
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if parts[0].startswith(".") or path.name in (OUTPUTS, FAILURE):
            continue
        if len(parts) == 1 and path.suffix in BOOKKEEPING:
            continue
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if path.is_file():
            yield str(Path(*parts)), status.st_size, status.st_mtime_ns
