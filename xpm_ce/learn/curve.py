"""The course of a training, a line per step, in a file that repeats no step whatever is interrupted.

This module does not know what the numbers mean.
"""

import contextlib
import os
import time
from pathlib import Path
from typing import NamedTuple

from xpm_ce import atomic

FLUSHED_EVERY = 5.0
"""Seconds after which lines are handed to the operating system, for whoever watches"""


class CurvePoint(NamedTuple):
    """One step."""

    step: int
    """Updates so far, 1 for the first step"""

    documents: int
    """Documents scored so far"""

    loss: float
    """Loss of this step, before its update"""

    learning_rate: float
    """Learning rate of this step's update"""

    gradient_norm: float
    """Global norm of the gradient before it is scaled down"""

    seconds: float
    """Wall seconds of training so far, over all executions, without start-up"""

    def line(self) -> str:
        step, documents, *others, seconds = self
        return ",".join((str(step), str(documents), *map(repr, others), f"{seconds:.3f}")) + "\n"


HEADER = ",".join(CurvePoint._fields) + "\n"


class CurveFile:
    """A CSV file that grows; lines after `step` are dropped when it is opened."""

    def __init__(self, path: Path, *, step: int):
        kept = _lines_until(path, step)
        with atomic.writing(path) as stream:
            stream.writelines([HEADER, *kept])
        self._stream = open(path, "a", encoding="utf-8")  # noqa: SIM115 - open from step to step
        self._flushed = time.monotonic()

    def append(self, point: CurvePoint) -> None:
        """Add the line of the next step."""
        self._stream.write(point.line())
        if time.monotonic() - self._flushed > FLUSHED_EVERY:
            self._stream.flush()
            self._flushed = time.monotonic()

    def sync(self) -> None:
        """Have everything on the disk."""
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Have everything on the disk, and no more lines."""
        self.sync()
        self._stream.close()


def _lines_until(path: Path, step: int) -> list[str]:
    """Complete lines of the steps 1 to `step`."""
    kept: list[str] = []
    if step == 0 or not path.exists():
        return kept
    with open(path, encoding="utf-8") as stream:
        next(stream, None)
        for line in stream:
            with contextlib.suppress(ValueError):
                if line.endswith("\n") and int(line.partition(",")[0]) <= step:
                    kept.append(line)
    return kept
