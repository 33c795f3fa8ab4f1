"""The course of a training, a line per step or validation, in files that repeat none whatever is interrupted.

This module does not know what the numbers mean.
"""

import contextlib
import csv
import io
import os
import time
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

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


class ValidationPoint(NamedTuple):
    """A validation on one set, or its mean over all."""

    step: int
    """Updates so far"""

    documents: int
    """Documents scored in training so far"""

    set: str
    """Name of the set; MEAN for the mean over all of them"""

    measure: str
    """What was measured"""

    value: float
    """Its mean over the queries of the set"""

    def line(self) -> str:
        with io.StringIO(newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerow(self)
            return stream.getvalue()


MEAN = "(mean)"
"""Stands in the place of a set where the value is the mean over all sets"""

Point = TypeVar("Point", CurvePoint, ValidationPoint)


class CurveFile(Generic[Point]):
    """A CSV file that grows; lines after `step` are dropped when it is opened."""

    def __init__(self, path: Path, kind: type[Point], *, step: int):
        lines = [",".join(kind._fields) + "\n", *_lines_until(path, step)]
        with atomic.writing(path) as stream:
            stream.writelines(lines)
        self._stream = open(path, "a", encoding="utf-8")  # noqa: SIM115 - open from step to step
        self._flushed = time.monotonic()

    def append(self, point: Point) -> None:
        """Add the line of what comes next."""
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
    """Complete lines up to those of `step`."""
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
