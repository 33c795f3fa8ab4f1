"""The jobs that Slurm has now, asked for seldom: a job that its scheduler forgot is not taken for a running one.

This module does not know what the jobs compute.
"""

import shutil
import subprocess
import threading
import time

ASKED_EVERY = 15.0
"""Seconds between two questions"""
PATIENCE = 5.0
"""Seconds after which Slurm is taken for not answering"""


class SlurmQueue:
    """What `squeue` says of this user's jobs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = 0.0
        self._states: dict[int, str] | None = None

    def state_of(self, number: int, *, started: float) -> str | None:
        """PENDING, RUNNING, ... of a job that was handed over at a Unix time, "" for one that is gone.

        None where that is not known: Slurm is not here, does not answer, or was asked before the job was there.
        """
        with self._lock:
            if time.time() - self._asked > ASKED_EVERY:
                self._asked, self._states = time.time(), _asked()
            if self._states is None:
                return None
            return self._states.get(number, "" if started < self._asked else None)


QUEUE = SlurmQueue()
"""One for the process: every reader shares the answer"""


def _asked() -> dict[int, str] | None:
    program = shutil.which("squeue")
    if program is None:
        return None
    try:
        answer = subprocess.run(
            [program, "--me", "--noheader", "--format=%A %T"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    pairs = (line.split() for line in answer.stdout.splitlines())
    return {int(pair[0]): pair[1] for pair in pairs if len(pair) == 2 and pair[0].isdecimal()}
