"""Small jobs of one kind in one Slurm allocation, one after the other: who may still enter it, and what runs in it.

An allocation is a folder in the workspace with a numbered file per job, which holds the path of the job's script. A
file is renamed by whoever takes it, so that exactly one does: the allocation to run it, or the launcher to withdraw it,
where the allocation was closed meanwhile. A job that is left over is submitted on its own by whoever waits for it. This
module knows neither experimaestro nor what the jobs are.
"""

import itertools
import json
import logging
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from xpm_ce.time_limit import TimeLimit

IDLE = 15.0
"""Seconds that an allocation waits for another job before it ends"""
LOOK_EVERY = 0.5
WORKER = (sys.executable, "-m", "xpm_ce.launch.allocations")
"""What runs in an allocation"""
CLOSED, TAKEN, WITHDRAWN = "closed", ".taken", ".withdrawn"

logger = logging.getLogger(__name__)


class Allocations:
    """The allocations that jobs of one launcher share; at most `share` jobs enter one."""

    def __init__(self, share: int, *, options: Sequence[str], prologue: Sequence[str], cores: str, binaries: str):
        self.share, self.options, self.prologue = share, options, prologue
        self.cores, self.binaries = cores, binaries
        self._folder: Path | None = None
        self._number, self._entered = "", 0

    def enter(self, script: Path, workspace: Path, submit: Callable[[Path], str]) -> str:
        """Put a job into the open allocation, or into a new one; Slurm's number of the allocation."""
        if self._folder is not None and self._entered < self.share and self._put(script, self._folder):
            return self._number
        folder, self._folder, self._entered = self._new(workspace), None, 0
        self._put(script, folder)
        self._number = submit(folder / "allocation.sh")
        self._folder = folder
        return self._number

    def _put(self, script: Path, folder: Path) -> bool:
        """Whether the job is in: the allocation was open, or took it before it closed."""
        item = folder / f"{self._entered:04d}"
        temporary = folder / f".{item.name}.tmp"
        temporary.write_text(str(script))
        os.replace(temporary, item)
        self._entered += 1
        if not (folder / CLOSED).exists():
            return True
        try:
            os.rename(item, item.with_suffix(WITHDRAWN))
        except FileNotFoundError:
            return True
        return False

    def _new(self, workspace: Path) -> Path:
        """A folder with the batch script of an allocation."""
        stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        folder = next(
            folder
            for number in itertools.count()
            if not (folder := workspace / "allocations" / f"{stamp}-{number}").exists()
        )
        folder.mkdir(parents=True)
        worker = [*WORKER, str(folder), str(self.share), self.binaries]
        options = [*self.options, f"--chdir={folder}", f"--output={folder}/out", f"--error={folder}/err"]
        lines = [
            "#!/bin/sh",
            *(f"#SBATCH {shlex.quote(option)}" for option in options),
            *self.prologue,
            f"exec srun --ntasks=1 --cpus-per-task={self.cores} {shlex.join(worker)}",
        ]
        (folder / "allocation.sh").write_text("\n".join(lines) + "\n")
        return folder


def work(folder: Path, share: int, limit: TimeLimit, *, idle: float = IDLE) -> int:
    """Run the jobs that enter, one after the other, until no more may or the time is up; how many ran."""
    ran, waited_since = 0, time.monotonic()
    while ran < share and time.monotonic() - waited_since < idle:
        script = _next(folder)
        if script is None:
            time.sleep(min(LOOK_EVERY, idle))
            continue
        _run(script)
        ran, waited_since = ran + 1, time.monotonic()
        if limit.reached():
            break
    (folder / CLOSED).touch()
    while ran < share and not limit.reached() and (script := _next(folder)) is not None:  # put in before it was closed
        _run(script)
        ran += 1
    return ran


def _next(folder: Path) -> Path | None:
    """The script of the first job that nobody has taken, taken."""
    for item in sorted(folder.glob("[0-9][0-9][0-9][0-9]")):
        taken = item.with_suffix(TAKEN)
        try:
            os.rename(item, taken)
        except FileNotFoundError:
            continue
        return Path(taken.read_text())
    return None


def _run(script: Path) -> None:
    """Run a job's Python script; a job that ends without a marker gets one."""
    command = script.with_suffix(".py")
    with open(script.with_suffix(".out"), "ab") as output, open(script.with_suffix(".err"), "ab") as log:
        code = subprocess.run([str(command)], cwd=script.parent, stdout=output, stderr=log).returncode
    done, failed = script.with_suffix(".done"), script.with_suffix(".failed")
    if not done.exists() and not failed.exists():
        message = f"the job's process ended with {code} in an allocation that it shared"
        failed.write_text(json.dumps({"code": code or 1, "reason": "failed", "message": message}))


def main() -> None:
    """What an allocation runs: FOLDER SHARE BINARIES."""
    from xpm_ce.launch.walltime import Walltime

    folder, share, binaries = sys.argv[1:]
    work(Path(folder), int(share), TimeLimit(Walltime(binaries).remaining_time))


if __name__ == "__main__":
    main()
