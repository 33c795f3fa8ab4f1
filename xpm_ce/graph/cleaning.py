"""What can be freed in a workspace, and freeing it: weights that nothing waits for, old runs, what no plan holds.

A job whose files were freed keeps its records and is *pruned*: a plan reuses it until a job needs the files. Reads and
removes files only. This module does not know how anything is made again.
"""

import collections
import contextlib
import dataclasses
import enum
import fcntl
import os
import re
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from xpm_ce import atomic
from xpm_ce.workspace import OUTPUTS, PRUNED, JobFolder, Workspace, read_json

LEARNER, RERANK, TOKENS = "xpm_ce.learn.learner", "xpm_ce.evaluate.rerank", "xpm_ce.tokens.tokenise_documents"
STATE = ".state"
"""Folder of a learner from which a training of more steps goes on"""
SETTLED = frozenset({"done", "pruned"})
PARAMETERS = "params.json"


class Class(enum.StrEnum):
    """What is freed: a closed set."""

    CHECKPOINTS = "checkpoints"
    STATES = "states"
    RUNS = "runs"
    TOKENS = "tokens"
    RANKINGS = "rankings"
    ORPHANS = "orphans"


EXPLAINED = {
    Class.CHECKPOINTS: "weights of learners whose results are all measured",
    Class.STATES: "states from which trainings of more steps could go on",
    Class.RUNS: "experimaestro's records of runs before the last",
    Class.TOKENS: "token stores of which all that reads them is done",
    Class.RANKINGS: "re-ranked runs and scores whose measures are all there",
    Class.ORPHANS: "folders of jobs that no plan here holds, results included",
}
BY_DEFAULT = (Class.CHECKPOINTS, Class.STATES, Class.RUNS)
"""Freed where no class is named; the others cost results, or time that nothing else tells"""
FILES = {
    Class.CHECKPOINTS: (LEARNER, ("checkpoint/", "best/")),
    Class.TOKENS: (TOKENS, ("tokens/",)),
    Class.RANKINGS: (RERANK, ("run.gz", "scores.npy")),
}
"""Listed outputs of a type of job that are freed, and leave it pruned"""


@dataclasses.dataclass(frozen=True)
class Item:
    """One thing that can be freed: listed outputs of a job, or a folder as a whole."""

    kind: Class
    folder: Path
    """The job's folder, or the folder that goes"""
    bytes: int
    files: tuple[dict[str, Any], ...] = ()
    """Listed outputs; none where the folder goes as a whole"""

    def as_json(self) -> dict[str, Any]:
        return {
            "class": self.kind.value, "folder": str(self.folder), "bytes": self.bytes,
            "files": [each["path"] for each in self.files],
        }  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Findings:
    """What can be freed, and what is kept for a reason."""

    items: tuple[Item, ...]
    kept: dict[str, int]
    """Why something that is of a class stays: jobs, by reason"""

    def of(self, kind: Class) -> list[Item]:
        return [item for item in self.items if item.kind is kind]


# -- finding ------------------------------------------------------------------------------------------------


class _Jobs:
    """The jobs of all plans of a workspace, and who takes in what."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace
        self.tasks: dict[str, str] = {}
        self.dependents: dict[str, set[str]] = collections.defaultdict(set)
        for experiment in workspace.experiments():
            for job in workspace.read_plan(experiment)["jobs"]:
                self.tasks[job["id"]] = job["task"]
                for each in job["depends_on"]:
                    self.dependents[each].add(job["id"])
        self._settled: dict[str, bool] = {}
        self.in_use = _in_use(workspace)

    def folder(self, identity: str) -> JobFolder:
        return self.workspace.job(self.tasks[identity], identity)

    def settled(self, identity: str) -> bool:
        """Whether a job is done, and all that hangs off it."""
        if identity not in self._settled:
            self._settled[identity] = self.folder(identity).state in SETTLED and self.served(identity)
        return self._settled[identity]

    def served(self, identity: str) -> bool:
        """Whether all that hangs off a job is done."""
        return all(self.settled(each) for each in self.dependents[identity])

    def waiting(self, task: str) -> bool:
        """Whether a plan holds a job of a type that is not done."""
        return any(self.folder(each).state not in SETTLED for each, kind in self.tasks.items() if kind == task)


def find(workspace: Workspace, kinds: Collection[Class] = tuple(Class)) -> Findings:
    """What of some classes can be freed; nothing that a running job uses, or one of a plan waits for."""
    jobs, kept = _Jobs(workspace), collections.Counter[str]()
    items: list[Item] = []
    for kind in Class:
        if kind in kinds:
            items += _FINDERS[kind](jobs, kept)
    return Findings(tuple(items), dict(kept))


def _outputs(jobs: _Jobs, kept: collections.Counter[str], kind: Class) -> Iterator[Item]:
    task, beginnings = FILES[kind]
    if kind is Class.RANKINGS and jobs.waiting(RERANK):
        kept["a re-ranking that waits may take over its scores"] += 1
        return
    for identity in _of_type(jobs, task):
        folder = jobs.folder(identity)
        listed = (folder.record or {}).get("files", [])
        files = tuple(
            each for each in listed if each["path"].startswith(beginnings) and (folder.path / each["path"]).exists()
        )
        if folder.state not in SETTLED or not files:
            continue
        if identity in jobs.in_use:
            kept["a running job uses it"] += 1
        elif not jobs.dependents[identity]:
            kept["nothing of it was measured"] += 1
        elif not jobs.served(identity):
            kept["what hangs off it is not done"] += 1
        else:
            yield Item(kind, folder.path, sum(each["bytes"] for each in files), files)


def _checkpoints(jobs: _Jobs, kept: collections.Counter[str]) -> Iterator[Item]:
    return _outputs(jobs, kept, Class.CHECKPOINTS)


def _tokens(jobs: _Jobs, kept: collections.Counter[str]) -> Iterator[Item]:
    return _outputs(jobs, kept, Class.TOKENS)


def _rankings(jobs: _Jobs, kept: collections.Counter[str]) -> Iterator[Item]:
    return _outputs(jobs, kept, Class.RANKINGS)


def _states(jobs: _Jobs, kept: collections.Counter[str]) -> Iterator[Item]:
    found = [
        path / STATE
        for path in sorted((jobs.workspace.path / "jobs" / LEARNER).glob("*"))
        if (path / STATE).is_dir() and JobFolder(path).state in SETTLED
    ]
    if found and jobs.waiting(LEARNER):
        kept["a training that waits may go on from its state"] += len(found)
        return
    for state in found:
        if state.parent.name in jobs.in_use:
            kept["a running job uses it"] += 1
        else:
            yield Item(Class.STATES, state, _size(state))


def _orphans(jobs: _Jobs, kept: collections.Counter[str]) -> Iterator[Item]:
    for folder in sorted(jobs.workspace.path.glob("jobs/*/*")):
        if folder.name in jobs.tasks or not folder.is_dir() or folder.is_symlink():
            continue
        if folder.name in jobs.in_use:
            kept["a running job uses it"] += 1
        else:
            yield Item(Class.ORPHANS, folder, _size(folder))


def _runs(jobs: _Jobs, kept: collections.Counter[str]) -> Iterator[Item]:
    for experiment in sorted((jobs.workspace.path / "experiments").glob("*")):
        current = experiment / "current"
        if not current.is_symlink():
            continue
        last = os.path.basename(os.readlink(current))
        for run in sorted(experiment.iterdir()):
            if run.is_dir() and not run.is_symlink() and run.name < last:
                yield Item(Class.RUNS, run, _size(run))


_FINDERS = {
    Class.CHECKPOINTS: _checkpoints,
    Class.STATES: _states,
    Class.RUNS: _runs,
    Class.TOKENS: _tokens,
    Class.RANKINGS: _rankings,
    Class.ORPHANS: _orphans,
}


def _of_type(jobs: _Jobs, task: str) -> Iterable[str]:
    return (identity for identity, kind in jobs.tasks.items() if kind == task)


def _in_use(workspace: Workspace) -> frozenset[str]:
    """Identities of running jobs, and of all that their params.json names."""
    found: set[str] = set()
    for folder in workspace.path.glob("jobs/*/*"):
        if JobFolder(folder).running:
            found.add(folder.name)
            with contextlib.suppress(OSError):
                found.update(re.findall(r"[0-9a-f]{64}", (folder / PARAMETERS).read_text()))
    return frozenset(found)


def _size(folder: Path) -> int:
    """Bytes of the files below a folder; what links point to is elsewhere."""
    return sum(os.lstat(os.path.join(place, name)).st_size for place, _, names in os.walk(folder) for name in names)


# -- freeing ------------------------------------------------------------------------------------------------


def free(items: Iterable[Item]) -> tuple[list[Item], list[Item]]:
    """Free items; those that were freed, and those that a job has begun to use meanwhile.

    Interrupted at any point, what is left says what it is: a pruned job names what it lacks before that goes, and a
    folder that goes is no finished job from the first.
    """
    freed: list[Item] = []
    skipped: list[Item] = []
    for item in items:
        if item.kind is Class.RUNS:
            shutil.rmtree(item.folder, ignore_errors=True)
            freed.append(item)
            continue
        with _held(item.folder.parent if item.kind is Class.STATES else item.folder) as held:
            if held:
                _free(item)
            (freed if held else skipped).append(item)
    return freed, skipped


def _free(item: Item) -> None:
    if item.files:
        folder = JobFolder(item.folder)
        earlier = read_json(item.folder / PRUNED) if folder.freed else None
        listed = {each["path"]: each for each in [*(earlier["files"] if earlier else []), *item.files]}
        atomic.write_json(item.folder / PRUNED, {"schema": 1, "time": time.time(), "files": list(listed.values())})
        for each in item.files:
            (item.folder / each["path"]).unlink(missing_ok=True)
        emptied = {above for path in listed for above in Path(path).parents if above != Path()}
        for below in sorted(emptied, reverse=True):
            with contextlib.suppress(OSError):  # what holds something else stays
                (item.folder / below).rmdir()
        return
    if item.kind is Class.ORPHANS:
        folder = JobFolder(item.folder)
        folder.done_marker.unlink(missing_ok=True)
        (item.folder / OUTPUTS).unlink(missing_ok=True)
    shutil.rmtree(item.folder, ignore_errors=True)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Hold the lock of a job, so that none starts in its folder; False where one runs there."""
    lock = folder / f"{JobFolder(folder).name}.lock"
    if not folder.is_dir():
        yield False
        return
    with open(lock, "a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
