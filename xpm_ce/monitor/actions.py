"""What the page can do to jobs: stop one that runs, run again one that failed. Jobs are named by whole identities.

A job is only ever told to end as a batch system would tell it; a retry is `xpm-ce run --only` in a session of its own,
so that it outlives the monitor. This module does not know who asks: `guard` does.
"""

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from xpm_ce.errors import MachineError
from xpm_ce.monitor.inside import Inside
from xpm_ce.monitor.observed import OF_OTHERS, ObservedFolder
from xpm_ce.monitor.state import ExperimentState, NotNowError
from xpm_ce.monitor.watched_job import BLOCKED, RUNNING, SETTLED
from xpm_ce.workspace import Workspace, runs_here

COMMAND = "from xpm_ce.cli.main import main; main()"
LOG_BYTES = 8192


@dataclasses.dataclass
class Retry:
    """A run of one job that was started here."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def as_json(self, inside: Inside) -> dict[str, Any]:
        code = self.process.poll()
        return {
            "running": code is None,
            "code": code,
            "log": str(self.log),
            "text": inside.tail(self.log, LOG_BYTES)[0],
        }


class Actions:
    """The actions on one workspace."""

    def __init__(self, workspace: Workspace, inside: Inside):
        self.workspace, self.inside = workspace, inside
        self._retries: dict[str, Retry] = {}
        self._lock = threading.Lock()

    def stop(self, state: ExperimentState, identity: str) -> str:
        """Tell a running job to end, as a batch system would; gives what was done.

        NotNowError where it does not run; MachineError where it cannot be told from here.
        """
        job = state.job(identity)
        self.inside.folder(job.path)
        folder = ObservedFolder(job.path)
        process = folder.process
        if process is None or not folder.alive:
            raise NotNowError("the job does not run", where=identity[:12], remedy="Load the page again.")
        if process.kind in OF_OTHERS:
            return _cancel(process.number)
        if process.host and process.host != socket.gethostname():
            raise MachineError(
                f"the job runs on {process.host}",
                where=identity[:12],
                remedy="Stop it there, or with its batch system.",
            )
        _terminate(process.number, folder)
        return "told to end; what it keeps of its work is there for a retry"

    def retry(self, state: ExperimentState, identity: str) -> str:
        """Run a job and what waits for it again, in the background; gives what was done.

        NotNowError where it runs, is done, waits for another one, or nobody knows how it was started.
        """
        job = state.job(identity)
        where = identity[:12]
        if job.state == RUNNING or job.queued:
            raise NotNowError("the job runs", where=where, remedy="Stop it first.")
        if job.state in SETTLED:
            raise NotNowError("the job is done", where=where, remedy="Delete its folder to have it run again.")
        if job.state == BLOCKED:
            remedy = f"Retry {job.cause[:12]}: this one follows." if job.cause else "The plan says what it lacks."
            raise NotNowError("the job is blocked", where=where, remedy=remedy)
        command = state.plan.get("command") or {}
        arguments, directory = command.get("arguments"), command.get("directory")
        if not arguments or not directory or not Path(directory).is_dir():
            raise NotNowError(
                "nobody knows how this experiment was started",
                where=state.experiment,
                remedy="Run it again as you did: what is done is reused.",
            )
        with self._lock:
            if (earlier := self._retries.get(identity)) is not None and earlier.process.poll() is None:
                raise NotNowError("a retry of this job goes on", where=where, remedy=f"Its log is {earlier.log}.")
            self._retries[identity] = retry = self._start(state, identity, [*map(str, arguments)], Path(directory))
        return f"runs again in the background, with what waits for it; log: {retry.log}"

    def last_retry(self, identity: str) -> dict[str, Any] | None:
        """What became of the last retry of a job that was started here."""
        retry = self._retries.get(identity)
        return retry.as_json(self.inside) if retry is not None else None

    def _start(self, state: ExperimentState, identity: str, arguments: list[str], directory: Path) -> Retry:
        folder = self.inside.path(self.workspace.plan_file(state.experiment).parent)
        log = folder / f"retry-{identity[:12]}.log"
        words = ["run", *arguments, "--workdir", str(self.workspace.path), "--only", identity]
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        try:
            descriptor = os.open(log, flags, 0o644)
        except OSError as error:
            raise MachineError(
                f"the log of the retry cannot be written ({error.strerror})", where=str(log), remedy="Remove that file."
            ) from error
        with open(descriptor, "wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, *words], cwd=directory, stdin=subprocess.DEVNULL, stdout=stream,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        threading.Thread(target=process.wait, daemon=True).start()  # leaves no zombie
        return Retry(process, log)


def _terminate(number: int, job: ObservedFolder) -> None:
    """SIGTERM to a job's process and to those that it started."""
    with contextlib.suppress(ProcessLookupError):
        group = os.getpgid(number)
        if not runs_here(number, job.path / job.name):
            return
        try:
            if group == number:
                os.killpg(group, signal.SIGTERM)
            else:
                os.kill(number, signal.SIGTERM)
        except PermissionError as error:
            raise MachineError("the job is another user's", where=job.identity[:12], remedy="Ask them.") from error


def _cancel(number: int) -> str:
    program = shutil.which("scancel")
    if program is None:
        raise MachineError(
            f"the job is Slurm's number {number}, and scancel is not here", remedy="Run the monitor on a Slurm machine."
        )
    ended = subprocess.run([program, str(number)], capture_output=True, text=True, timeout=30, check=False)
    if ended.returncode:
        raise MachineError(f"scancel {number} failed: {ended.stderr.strip()[:200]}", remedy="See `squeue`.")
    return f"told Slurm to cancel its job {number}"
