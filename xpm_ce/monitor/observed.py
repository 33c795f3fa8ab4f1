"""One job's folder as seen from outside while it may be running: alive or not, how far, since when.

Nothing is locked, written or imported here: a reader that takes a job's lock, even for a moment, can stop it from
starting. This module does not know other jobs.
"""

import contextlib
import json
import os
import socket
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from xpm_ce.errors import XpmCeError
from xpm_ce.monitor.batch import QUEUE
from xpm_ce.workspace import OUTPUTS, JobFolder, read_json, runs_here

IN_A_QUEUE = ("PENDING", "CONFIGURING")
"""States of Slurm in which a job has not begun"""
UNREADABLE = (XpmCeError, OSError, AttributeError, KeyError, TypeError, ValueError, RecursionError)
"""What files that no job of ours wrote can make of their reader"""
BOOKKEEPING = ".experimaestro"
"""Folder of experimaestro in a job's folder: status.json, events/event-<n>.jsonl"""
TAIL_BYTES = 4096
"""Of a file of events that are read, from its end"""
OF_OTHERS = ("slurm",)
"""Kinds of processes that are not on this machine"""


class Progress(NamedTuple):
    """The share of a job that is done, 0 to 1, and what it said last."""

    share: float
    words: str


class ProcessRecord(NamedTuple):
    """What `<name>.pid` says: kind of process, its number (of a Slurm job: the job's), its machine."""

    kind: str
    number: int
    host: str


class ObservedFolder(JobFolder):
    """A job's folder, read without taking its lock."""

    @cached_property
    def _listed(self) -> tuple[frozenset[str], frozenset[str]]:
        """Names of files and folders, and names of what no job writes: links, pipes."""
        try:
            with os.scandir(self.path) as entries:
                found = [
                    (entry.name, not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)))
                    for entry in entries
                ]
        except OSError:
            return frozenset(), frozenset()
        return frozenset(name for name, odd in found if not odd), frozenset(name for name, odd in found if odd)

    @property
    def entries(self) -> frozenset[str]:  # type: ignore[override]
        """Names in the folder without links: what lies elsewhere is not read."""
        return self._listed[0]

    @property
    def links(self) -> frozenset[str]:
        """Names of links and of other things that no job writes."""
        return self._listed[1]

    @cached_property
    def record(self) -> dict[str, Any] | None:
        """As `JobFolder.record`, of a plain file only: a pipe would keep its reader waiting."""
        return read_json(self.path / OUTPUTS) if OUTPUTS in self.entries else None

    @property
    def marked_done(self) -> bool:
        return not self.links and super().marked_done

    @cached_property
    def process(self) -> ProcessRecord | None:
        """The process that the job was started as; None where none is recorded."""
        if f"{self.name}.pid" not in self.entries:
            return None
        try:
            record = json.loads(read_own(self.path / f"{self.name}.pid"))
            return ProcessRecord(str(record["type"]), int(record["pid"]), str(record.get("host", "")))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @cached_property
    def scheduled(self) -> dict[str, Any]:
        """experimaestro's status.json; empty where there is none, or it is being written."""
        if BOOKKEEPING not in self.entries:
            return {}
        try:
            status = json.loads(read_own(self.path / BOOKKEEPING / "status.json"))
        except (OSError, ValueError):
            return {}
        return status if isinstance(status, dict) else {}

    @cached_property
    def alive(self) -> bool:
        """Whether its process is there, by /proc of this machine; for one elsewhere, by Slurm's word, or its status."""
        process = self.process
        if process is None:
            return False
        if self.elsewhere:
            return self._state_elsewhere in ("running", "scheduled")
        return runs_here(process.number, self.path / self.name)

    @cached_property
    def _state_elsewhere(self) -> str:
        """Of a process that is not on this machine: running, scheduled (in a queue), or another word."""
        process, state = self.process, None
        if process is not None and process.kind in OF_OTHERS:
            with contextlib.suppress(OSError):
                state = QUEUE.state_of(process.number, started=os.lstat(self.path / f"{self.name}.pid").st_mtime)
        if state is None:
            return str(self.scheduled.get("state"))
        return "scheduled" if state in IN_A_QUEUE else "running" if state else "gone"

    @property
    def elsewhere(self) -> bool:
        """Whether its process is on another machine, or a batch system's."""
        process = self.process
        return process is not None and (process.kind in OF_OTHERS or process.host not in ("", socket.gethostname()))

    @cached_property
    def running(self) -> bool:
        """Whether its process is there and has the job's lock: before, it waits for its turn."""
        process = self.process
        if process is None or not self.alive:
            return False
        if self.elsewhere:
            return self._state_elsewhere == "running"
        return holds_lock(process.number, self.path / f"{self.name}.lock")

    @property
    def queued(self) -> bool:
        """Whether it was started and waits: for a slot of its machine, or in Slurm's queue."""
        return self.alive and not self.running

    @property
    def stopped(self) -> bool:
        """Whether it was ended by SIGTERM: by a user, or by a batch system."""
        return self._end.get("reason") == "cancelled"

    @cached_property
    def _end(self) -> dict[str, Any]:
        if f"{self.name}.failed" not in self.entries:
            return {}
        with contextlib.suppress(OSError, ValueError):
            end = json.loads(read_own(self.path / f"{self.name}.failed"))
            return end if isinstance(end, dict) else {}
        return {}

    @property
    def state(self) -> str:
        """As `JobFolder.state`; a job that was stopped is interrupted, it has not failed."""
        if self.links:
            return "damaged"
        state = super().state
        return "interrupted" if state == "failed" and self.stopped and self.failure is None else state

    @property
    def started(self) -> float | None:
        """Unix time, seconds, of its last start; None where it never started."""
        if self.running:
            with contextlib.suppress(OSError):
                return os.stat(self.path / f"{self.name}.pid").st_mtime
        if self.record is not None:
            return finite(self.record["started"])
        return seconds_of(self.scheduled.get("started_time"))

    @property
    def ended(self) -> float | None:
        """Unix time, seconds; None where it runs, or never ran."""
        if self.running:
            return None
        if self.record is not None:
            return finite(self.record["started"]) + finite(self.record["seconds"])
        if self.failure is not None and "time" in self.failure:
            return finite(self.failure["time"])
        return seconds_of(self.scheduled.get("ended_time"))

    def progress(self) -> Progress | None:
        """What the job last told of its progress; None where it told nothing, or nothing can be read."""
        events = self.path / BOOKKEEPING / "events"
        if BOOKKEEPING not in self.entries:
            return None
        try:
            names = [name for name in os.listdir(events) if name.endswith(".jsonl")]
            if not names:
                return None
            newest = max(names, key=lambda name: (len(name), name))
            lines = read_own(events / newest, last=TAIL_BYTES).splitlines()
        except OSError:
            return None
        for line in reversed(lines):  # the first may be cut, the last may still be being written
            with contextlib.suppress(ValueError, KeyError, TypeError):
                event = json.loads(line)
                if event["event_type"] == "JobProgressEvent" and event["level"] == 0:
                    return Progress(min(1.0, max(0.0, finite(event["progress"]))), str(event["desc"] or ""))
        return None


def read_own(path: Path, *, last: int | None = None) -> bytes:
    """A file's content, its `last` bytes where given; OSError where it is not there, or a link."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
        if last is not None:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - last))
        return stream.read()


def finite(number: Any) -> float:
    """A number that can be shown as a time; ValueError for another."""
    value = float(number)
    if not abs(value) < 1e12:
        raise ValueError(f"{number} is no time")
    return value


def holds_lock(number: int, file: Path) -> bool:
    """Whether a process of this machine has locked a file, from /proc/locks; True where that cannot be read."""
    try:
        listed = Path("/proc/locks").read_text()
    except OSError:
        return True
    try:
        inode = str(os.lstat(file).st_ino)
    except OSError:
        return False
    for line in listed.splitlines():
        words = line.split()  # 1: FLOCK ADVISORY WRITE <process> <major>:<minor>:<inode> 0 EOF
        if len(words) > 5 and words[1] != "->" and words[4] == str(number) and words[5].rpartition(":")[2] == inode:
            return True
    return False


def seconds_of(text: Any) -> float | None:
    """Unix time of a local ISO time, as experimaestro writes it; None where it is none."""
    import datetime

    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return None
