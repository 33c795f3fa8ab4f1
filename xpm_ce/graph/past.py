"""The jobs that a workspace knows: what each is, and what the finished ones took.

Read from job folders and kept in `cache/jobs.json`, which may be deleted. This module does not compare jobs.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from xpm_ce import atomic
from xpm_ce.errors import DataError
from xpm_ce.graph.planner import PlannedJob
from xpm_ce.graph.signature import Signature, signature_of, signatures_in
from xpm_ce.graph.states import State
from xpm_ce.workspace import JobFolder, Workspace, read_json

SCHEMA = 1
READ_AT_ONCE = 3000
"""Jobs whose params.json one plan reads at most; the next plan reads on"""
MOST = 200_000
"""Jobs that the cache holds at most; then it starts anew"""
LONGEST_START = 30.0
"""Seconds that starting and ending a process may take; what is more was something else"""
TIMED_FILES = {"xpm_ce.learn.learner": "ledger.json", "xpm_ce.evaluate.rerank": "counts.json"}
"""Where a type of job says how many of its seconds grow with its work, by its type"""


class Spent(NamedTuple):
    """What a finished job took."""

    seconds: float
    """Of its computation, the libraries that it loads included"""

    scaled: float
    """Those of them that grow with its work"""

    around: float
    """Before and after it: starting the process, ending it"""

    bytes: int
    """Of its outputs"""


class PastJobs:
    """What is known of the jobs of a workspace, read when asked for; `save` keeps it for the next plan.

    Where it is not `needed`, nothing is known.
    """

    def __init__(self, workspace: Workspace, *, needed: bool = True):
        self.workspace = workspace
        self._signatures: dict[str, Signature] = {}
        self._spent: dict[str, Spent] = {}
        self._listed: dict[str, tuple[str, ...]] = {}
        self._records: Mapping[str, Mapping[str, Any]] = {}
        self._passing: set[str] = set()
        self._to_read, self._changed = READ_AT_ONCE, False
        if needed:
            self._load()

    def learn(
        self, jobs: Iterable[PlannedJob], records: Mapping[str, Mapping[str, Any]] | None = None, *, keep: bool = False
    ) -> None:
        """Take in what planned jobs are; `records` holds outputs.json of those that were read.

        Those that are not done are forgotten when the plan is made, unless they are asked to be kept.
        """
        self._records = records or {}
        for job in jobs:
            if job.identity not in self._signatures:
                self._signatures[job.identity] = signature_of(job.config)
                if keep or job.state is State.REUSE:
                    self._changed = True
                else:
                    self._passing.add(job.identity)

    def signature(self, identity: str) -> Signature | None:
        """What a job is; None where the workspace knows no such job."""
        return self._signatures.get(identity)

    def finished(self, task: str) -> Iterator[tuple[str, Signature]]:
        """The jobs of a type that have ended well, and what they are; by identity."""
        for identity in self._ended(task):
            known = self._signatures.get(identity) or self._read(task, identity)
            if known is not None:
                yield identity, known

    def spent(self, task: str, identity: str) -> Spent | None:
        """What a finished job took; None where it does not say."""
        if identity not in self._spent:
            folder = self.workspace.job(task, identity)
            try:
                record = self._records.get(identity) or folder.record
                found = _spent(folder, record) if record is not None else None
            except (DataError, OSError, KeyError, TypeError):
                found = None
            if found is None:
                return None
            self._spent[identity], self._changed = found, True
        return self._spent[identity]

    def save(self) -> None:
        """Write what was learnt; does nothing where nothing was."""
        if not self._changed:
            return
        pairs: dict[tuple[str, type, Any], int] = {}  # 1, 1.0 and true are equal for Python
        rows: dict[str, Any] = {}

        def numbers(what: Mapping[str, Any]) -> list[int]:
            return [pairs.setdefault((path, type(value), value), len(pairs)) for path, value in what.items()]

        for identity, known in self._signatures.items():
            if identity not in self._passing:
                spent = self._spent.get(identity)
                rows[identity] = [known.task, numbers(known.fields), numbers(known.inputs), known.places, spent]
        written = {"schema": SCHEMA, "pairs": [[path, value] for path, _, value in pairs], "jobs": rows}
        with atomic.writing(self._file) as stream:
            stream.write(json.dumps(written) + "\n")
        self._changed = False

    @property
    def _file(self) -> Path:
        return self.workspace.path / "cache" / "jobs.json"

    def _load(self) -> None:
        try:
            kept = read_json(self._file)
            if kept is None or kept["schema"] != SCHEMA or len(kept["jobs"]) > MOST:
                return
            pairs = [(path, _hashable(value)) for path, value in kept["pairs"]]
            for identity, (task, fields, inputs, places, spent) in kept["jobs"].items():
                self._signatures[identity] = Signature(
                    task, dict(pairs[each] for each in fields), dict(pairs[each] for each in inputs), places
                )
                if spent is not None:
                    self._spent[identity] = Spent(*spent)
        except (DataError, OSError, KeyError, TypeError, ValueError, IndexError):  # it only saves time
            self._signatures, self._spent = {}, {}

    def _ended(self, task: str) -> tuple[str, ...]:
        """Identities of the jobs of a type that are marked as done, the last first."""
        if task not in self._listed:
            folder, marker = str(self.workspace.path / "jobs" / task), f"{task.rpartition('.')[2]}.done"
            found: list[tuple[int, str]] = []
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                for name in os.listdir(folder):
                    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                        found.append((-os.stat(f"{folder}/{name}/{marker}").st_mtime_ns, name))
            self._listed[task] = tuple(name for _, name in sorted(found))
        return self._listed[task]

    def _read(self, task: str, identity: str) -> Signature | None:
        if not self._to_read:
            return None
        self._to_read -= 1
        try:
            found = signatures_in(self.workspace.job(task, identity).path)
        except (DataError, KeyError, TypeError):
            return None
        for each, signature in found.items():
            if each not in self._signatures:
                self._signatures[each], self._changed = signature, True
        return found.get(identity)


def remember(jobs: Iterable[PlannedJob], workspace: Workspace) -> None:
    """Keep what the jobs of a plan are, before they run: later plans need not read it from their folders."""
    past = PastJobs(workspace)
    past.learn(jobs, keep=True)
    past.save()


def _spent(folder: JobFolder, record: Mapping[str, Any]) -> Spent:
    """What a job took, from its own files."""
    seconds = float(record["seconds"])
    timed = TIMED_FILES.get(folder.task)
    own = read_json(folder.path / timed) if timed is not None else None
    scaled = min(seconds, float(own["seconds"])) if own is not None else 0.0
    around = 0.0
    with contextlib.suppress(FileNotFoundError):
        whole = os.stat(folder.done_marker).st_mtime - os.stat(folder.path / f"{folder.name}.py").st_mtime
        around = min(max(0.0, whole - seconds), LONGEST_START)
    return Spent(seconds, scaled, around, sum(file["bytes"] for file in record["files"]))


def _hashable(value: Any) -> Any:
    return tuple(_hashable(each) for each in value) if isinstance(value, list) else value
