"""What every task of ours does around its computation: list its outputs, record its environment, explain its failure.

A finished job leaves `outputs.json` (files with size and sha256, environment, source fingerprint); a failed one
`failure.json` (exception, last frame, remedy). This module does not know what a job computes.
"""

import contextlib
import logging
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from experimaestro import Meta, PathGenerator, ResumableTask, Task, field
from experimaestro.exceptions import GracefulTimeout, TaskCancelled

from xpm_ce import atomic
from xpm_ce.errors import XpmCeError, explained
from xpm_ce.identity import file_sha256, source_fingerprint
from xpm_ce.workspace import FAILURE, OUTPUTS, PRUNED

logger = logging.getLogger(__name__)

RECORDED_PACKAGES = (
    "xpm-ce", "torch", "transformers", "tokenizers", "numpy", "impact-index", "ir_datasets", "datamaestro-ir",
)  # fmt: skip
OURS = (".done", ".failed", ".pid", ".out", ".err", ".lock", ".py", ".sh", ".code", ".tmp")
"""Endings of files that experimaestro, not the task, keeps in a job's folder"""

FOR_VIEWERS = ("tensorboard",)
"""Folders that repeat other outputs for a program that shows them: a job is complete without them"""


class Job(Task):
    """A task whose `compute` is wrapped: outputs are listed when it ends, the cause is recorded when it fails."""

    __xpmid__ = "xpm_ce.job"

    listing: Meta[Path] = field(default_factory=PathGenerator(OUTPUTS))
    """What the job left, with sizes and sha256 (written last)"""

    def compute(self) -> None:
        """Do the work; a task writes only to its own generated paths."""
        raise AttributeError(f"{type(self).__name__} does not define compute()")

    def execute(self) -> None:
        with recorded(self.listing.parent, type(self)):
            self.compute()


class ResumableJob(ResumableTask):
    """A `Job` that finds what an earlier, interrupted execution left in its folder."""

    __xpmid__ = "xpm_ce.resumable_job"

    listing: Meta[Path] = field(default_factory=PathGenerator(OUTPUTS))
    """What the job left, with sizes and sha256 (written last)"""

    def compute(self) -> None:
        """Do the work, from the last checkpoint in the job's folder where there is one."""
        raise AttributeError(f"{type(self).__name__} does not define compute()")

    def execute(self) -> None:
        with recorded(self.listing.parent, type(self)):
            self.compute()


@contextlib.contextmanager
def recorded(folder: Path, task: type) -> Iterator[None]:
    """Run the block as the computation of a job in `folder`: list its outputs, or write the cause of its failure."""
    started = time.time()
    (folder / FAILURE).unlink(missing_ok=True)
    try:
        yield
        record = {
            "schema": 1,
            "task": task.__module__,
            "source": source_fingerprint(task.__module__),
            "started": started,
            "seconds": time.time() - started,
            "environment": environment(),
            "files": listed_files(folder),
        }
        atomic.write_json(folder / OUTPUTS, record)
        (folder / PRUNED).unlink(missing_ok=True)  # what was freed is there again
    except (GracefulTimeout, TaskCancelled):
        raise
    except Exception as error:
        cause = explained(error)
        with contextlib.suppress(OSError):  # a full disk must not hide the cause, which the log still shows
            atomic.write_json(folder / FAILURE, failure(cause, error))
        if isinstance(cause, XpmCeError):
            logger.error("%s", cause)
            sys.exit(1)
        raise


def failure(cause: Exception, raised: Exception) -> dict:
    """What `failure.json` holds: exception, message, slots, last frame of ours or of a library."""
    frames = traceback.extract_tb(raised.__traceback__)
    last = frames[-1] if frames else None
    return {
        "schema": 1,
        "exception": type(cause).__name__,
        "what": cause.what if isinstance(cause, XpmCeError) else str(cause) or type(cause).__name__,
        "where": cause.where if isinstance(cause, XpmCeError) else "",
        "remedy": cause.remedy if isinstance(cause, XpmCeError) else "",
        "frame": f"{last.filename}:{last.lineno} in {last.name}" if last else "",
        "time": time.time(),
    }


def listed_files(folder: Path) -> list[dict]:
    """Every file below `folder` that the task wrote, with its size in bytes and sha256."""
    files = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if not path.is_file() or relative.parts[0].startswith(".") or relative.parts[0] in FOR_VIEWERS:
            continue
        bookkeeping = len(relative.parts) == 1 and (
            path.name in (OUTPUTS, FAILURE, PRUNED, "params.json") or path.suffix in OURS
        )
        if not bookkeeping:
            files.append({"path": str(relative), "bytes": path.stat().st_size, "sha256": file_sha256(path)})
    return files


def processor() -> str:
    """The processor's model name, as the operating system gives it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def environment() -> dict:
    """Versions of the packages that can change a result, the processor and the threads."""
    versions = {}
    for package in RECORDED_PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return {
        "python": platform.python_version(),
        "packages": versions,
        "processor": processor(),
        "threads": int(os.environ.get("OMP_NUM_THREADS", 0)) or os.cpu_count(),
    }
