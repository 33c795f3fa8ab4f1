"""Where things lie in a workspace, and what the files of a job's folder say about its state.

    jobs/<task>/<identity>/      a job: outputs, outputs.json, failure.json, params.json, <name>.done|.failed|.out|.err,
                                 pruned.json where `xpm-ce clean` has freed outputs of it
    plans/<experiment>/plan.json every job of the experiment's last run: folder, coordinates, dependencies, reason
    cache/hashes.json            content hashes by (device, inode, size, mtime)
    extensions/<sha256>/         copies of the user's own files, imported by jobs
    experiments/<experiment>/    experimaestro's own records of runs

Reads files only: neither experimaestro nor numpy is imported here.
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from xpm_ce.errors import ConfigurationError, DataError

OUTPUTS, FAILURE, PRUNED = "outputs.json", "failure.json", "pruned.json"
TRAINED, UNTRAINED, MODEL, RUN, FIRST_STAGE = "trained", "untrained", "model", "run", "first stage"
"""What a measured system is, in the `results` of plan.json"""
STARTING = 100
"""Looks at a process that has no arguments yet, 10 ms apart"""
DEFAULT_WORKDIR, WORKDIR_VARIABLE = "workspace", "XPM_CE_WORKDIR"


def coordinates_text(coordinates: Mapping[str, str]) -> str:
    """A place in a grid as text: loss=InfoNCE seed=1."""
    return " ".join(f"{axis}={value}" for axis, value in coordinates.items())


class OutputFile(NamedTuple):
    """A file that a finished job left, by its path relative to the job's folder."""

    path: str
    bytes: int
    sha256: str


def read_json(path: Path) -> Any:
    """The content of a JSON file; None where there is none, DataError where it is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise DataError("this file is not JSON", where=str(path), remedy="Delete it and run again.") from error


def runs_here(process: int | None, job: Path) -> bool:
    """Whether a process of this machine runs the script of a job, <folder>/<name>, and is no zombie."""
    for _ in range(STARTING):
        try:
            command = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return False
        if command or state in "ZXI":
            break
        time.sleep(0.01)  # a program that is being loaded has no arguments for a moment
    return f"{job.name}.py" in command and job.parent.name in command


class JobFolder:
    """The folder of one job, read lazily; `task` is the identifier of its task type, as in `jobs/<task>/<identity>`."""

    def __init__(self, path: Path):
        self.path = path
        self.task, self.identity = path.parent.name, path.name
        self.name = self.task.rpartition(".")[2]

    @cached_property
    def entries(self) -> frozenset[str]:
        """Names in the folder; empty where there is no folder."""
        try:
            return frozenset(os.listdir(self.path))
        except (FileNotFoundError, NotADirectoryError):
            return frozenset()

    @property
    def log(self) -> Path:
        """What the job printed to its standard error."""
        return self.path / f"{self.name}.err"

    @property
    def output_log(self) -> Path:
        """What the job printed to its standard output."""
        return self.path / f"{self.name}.out"

    @property
    def done_marker(self) -> Path:
        return self.path / f"{self.name}.done"

    @cached_property
    def marked_done(self) -> bool:
        return os.path.exists(self.done_marker)

    @cached_property
    def record(self) -> dict[str, Any] | None:
        """`outputs.json`: files, environment, source fingerprint, seconds; None where the job did not end well."""
        return read_json(self.path / OUTPUTS)

    @cached_property
    def failure(self) -> dict[str, Any] | None:
        """`failure.json`: what went wrong, where, what to do; None where nothing was recorded."""
        return read_json(self.path / FAILURE) if FAILURE in self.entries else None

    @property
    def files(self) -> list[OutputFile]:
        """The outputs that the job listed when it ended."""
        return [OutputFile(**file) for file in (self.record or {}).get("files", [])]

    @cached_property
    def freed(self) -> frozenset[str]:
        """Listed outputs that were freed, and may be missing."""
        pruned = read_json(self.path / PRUNED)
        return frozenset(file["path"] for file in pruned["files"]) if pruned else frozenset()

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """Listed outputs that are missing or have another size."""
        missing, folder = [], str(self.path)
        for file in (self.record or {}).get("files", []):
            try:
                intact = os.stat(f"{folder}/{file['path']}").st_size == file["bytes"]
            except OSError:
                intact = False
            if not intact:
                missing.append(file["path"])
        return tuple(missing)

    def damaged(self) -> list[str]:
        """Listed outputs that are missing or have another size, those left out that were freed."""
        return [path for path in self.missing if path not in self.freed]

    @property
    def pruned(self) -> bool:
        """Whether outputs were freed and are missing: the job is done until something needs them."""
        return bool(self.missing) and not self.freed.isdisjoint(self.missing)

    @property
    def complete(self) -> bool:
        """Whether the job ended well and everything it listed is still there with its size."""
        return self.marked_done and self.record is not None and not self.missing

    @property
    def running(self) -> bool:
        """Whether a process holds the job's lock."""
        lock = self.path / f"{self.name}.lock"
        try:
            with open(lock) as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return False
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True

    @property
    def queued(self) -> bool:
        """Whether the job was started, but waits for a slot of its machine or in Slurm's queue."""
        try:
            process = read_json(self.path / f"{self.name}.pid") or {}
        except DataError:  # whoever wrote it was killed
            return False
        if process.get("type") == "local":
            return runs_here(process.get("pid"), self.path / self.name)
        status = self.path / ".experimaestro" / "status.json"
        with contextlib.suppress(DataError, OSError):
            if (read_json(status) or {}).get("state") == "scheduled":
                return True
            return (self.path / f"{self.name}.pid").stat().st_mtime > status.stat().st_mtime  # submitted again
        return False

    @property
    def state(self) -> str:
        """One of: done, pruned (done, outputs were freed), running, failed, damaged (done, outputs are missing),
        interrupted (started, then killed), waiting."""
        if self.complete:
            return "done"
        if self.running:
            return "running"
        if f"{self.name}.failed" in self.entries or FAILURE in self.entries:
            return "failed"
        if self.marked_done:
            return "pruned" if self.record is not None and not self.damaged() else "damaged"
        return "interrupted" if f"{self.name}.pid" in self.entries and not self.queued else "waiting"


class Workspace:
    """A folder that holds jobs and plans."""

    def __init__(self, path: Path):
        self.path = path
        self._jobs: dict[str, Path] = {}

    @classmethod
    def resolve(cls, workdir: str | Path | None) -> "Workspace":
        """`workdir`, else `$XPM_CE_WORKDIR`, else `./workspace`."""
        return cls(Path(workdir or os.environ.get(WORKDIR_VARIABLE) or DEFAULT_WORKDIR).absolute())

    @property
    def hashes(self) -> Path:
        return self.path / "cache" / "hashes.json"

    def plan_file(self, experiment: str) -> Path:
        return self.path / "plans" / experiment / "plan.json"

    def job(self, task: str, identity: str) -> JobFolder:
        if task not in self._jobs:
            self._jobs[task] = self.path / "jobs" / task
        return JobFolder(self._jobs[task] / identity)

    def experiments(self) -> list[str]:
        """Names of the experiments that have a plan here, last planned first."""
        plans = list((self.path / "plans").glob("*/plan.json"))
        return [plan.parent.name for plan in sorted(plans, key=lambda plan: -plan.stat().st_mtime)]

    def read_plan(self, experiment: str) -> dict[str, Any]:
        """The plan of an experiment; ConfigurationError where there is none."""
        plan = read_json(self.plan_file(experiment))
        if plan is None:
            known = ", ".join(self.experiments()) or "none"
            raise ConfigurationError(
                f"no plan of experiment {experiment}",
                where=str(self.path),
                remedy=f"Experiments planned here: {known}. Give --workdir, or run `xpm-ce run FILE.yaml` first.",
            )
        return plan

    def find_job(self, prefix: str) -> JobFolder:
        """The job whose identity starts with `prefix`; ConfigurationError where none or several do."""
        folders = sorted(self.path.glob(f"jobs/*/{prefix}*"))
        if len(folders) != 1:
            what = f"no job starts with {prefix}" if not folders else f"{len(folders)} jobs start with {prefix}"
            shown = ", ".join(f"{folder.parent.name}/{folder.name[:12]}" for folder in folders[:5])
            raise ConfigurationError(
                what, where=str(self.path), remedy=shown or "`xpm-ce status --jobs` lists the identities."
            )
        return JobFolder(folders[0])

    def assert_writable(self) -> None:
        """Make the workspace if need be; ConfigurationError where it cannot be written."""
        probe = self.path / f".write-{os.getpid()}"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise ConfigurationError(
                f"the workspace cannot be written ({error.strerror})",
                where=str(self.path),
                remedy="Give another folder with --workdir or $XPM_CE_WORKDIR, or change its rights.",
            ) from error
