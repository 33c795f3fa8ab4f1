"""Whether an attempt at a job brought it further, by the files that it left. It does not know what is in them."""

import json
from pathlib import Path

from xpm_ce.workspace import FAILURE, OUTPUTS

SPARED = 3
"""Attempts without progress that are forgiven where it was not the job's fault"""
BOOKKEEPING = (".failed", ".pid", ".out", ".err", ".lock", ".py", ".sh", ".json", ".done")
"""Endings of what stands in a job's folder whether or not it came further"""


class Attempts:
    """The attempts at one job: whether the last one left anything new."""

    def __init__(self, folder: Path):
        self.folder, self._without = folder, 0
        self._left = _left_in(folder)

    def brought_further(self) -> bool:
        """Whether the attempt that has just ended changed a file of the job's own; to be asked once an attempt."""
        before, self._left = self._left, _left_in(self.folder)
        further = before != self._left
        self._without = 0 if further else self._without + 1
        return further

    def spare(self) -> bool:
        """Whether so few attempts in a row brought nothing that another one may be made all the same."""
        return self._without <= SPARED


def left_for_time(marker: Path) -> bool:
    """Whether a job's `.failed` says that it left because it had no time for another step."""
    try:
        return bool(json.loads(marker.read_text()).get("reason") == "timeout")
    except (OSError, ValueError, AttributeError):
        return False


def _left_in(folder: Path) -> frozenset[tuple[str, int, int]]:
    """(path, size, time of change) of the files that a job wrote."""
    found = set()
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
            found.add((str(Path(*parts)), status.st_size, status.st_mtime_ns))
    return frozenset(found)
