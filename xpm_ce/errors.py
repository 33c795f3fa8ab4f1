"""Every error that xpm-ce raises on purpose: what happened, where, and what to do.

    XpmCeError
    ├── ConfigurationError      exit code 2: a file, a key or a value is wrong; nothing was started
    │   └── UnknownKeyError
    ├── DataError               exit code 1: the content of a collection, a run or a checkpoint is wrong
    ├── MachineError            exit code 1: this machine lacks what a job was told to use
    └── JobsFailedError         exit code 1: jobs failed, their causes have been printed

This module knows no other module of the package.
"""

import difflib
import errno
import os
import re
from collections.abc import Iterable

INTERRUPTED = 130
"""Exit code of a command that the user interrupted: that of a shell, 128 and the number of SIGINT"""


class XpmCeError(Exception):
    """An error with three slots: `what` happened, `where` (file:line, job) and the `remedy`."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = ""):
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(self.render())

    def render(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  {self.remedy}" if self.remedy else head

    def __str__(self) -> str:
        return self.render()


class ConfigurationError(XpmCeError):
    """A configuration file, key, value or combination is wrong; nothing was started."""

    exit_code = 2


class UnknownKeyError(ConfigurationError):
    """A key (or a name) that nothing understands; the nearest valid ones are named."""

    def __init__(self, key: str, valid: Iterable[str], *, where: str, kind: str = "key"):
        valid = sorted(valid)
        leaf, parent = key.rpartition(".")[2], key.rpartition(".")[0]
        close = difflib.get_close_matches(leaf, valid, n=1, cutoff=0.5)
        if close:
            remedy = f"Did you mean {f'{parent}.' if parent else ''}{close[0]}?"
        else:
            remedy = f"Valid here: {', '.join(valid)}." if valid else "Nothing is valid here."
        super().__init__(f"unknown {kind} {key}", where=where, remedy=remedy)


class DataError(XpmCeError):
    """The content of a collection, a run, a training set or a checkpoint is wrong."""


class MachineError(XpmCeError):
    """This machine lacks what a job was told to use (precision, memory, disk, rights)."""


class JobsFailedError(XpmCeError):
    """Jobs failed; their root causes have been printed."""


def explained(error: Exception) -> Exception:
    """The same error, as one of ours where the operating system's own message would not say what to do."""
    number = error.errno if isinstance(error, OSError) else _number_told(error)
    if number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return MachineError(
            f"the disk is full or a size limit was met ({os.strerror(number)})",
            where=str(getattr(error, "filename", None) or ""),
            remedy="Free space or lift the limit, then run the same command again: finished jobs are reused.",
        )
    if isinstance(error, MemoryError):
        return MachineError("out of memory", remedy="Lower tokens_per_batch or parallel_jobs, then run again.")
    return error


def _number_told(error: Exception) -> int | None:
    """The operating system's number of an error, where libraries that are not Python (safetensors) only tell it."""
    told = re.search(r"\(os error (\d+)\)", str(error))
    return int(told[1]) if told else None
