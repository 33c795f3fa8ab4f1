"""How long Slurm still lets a job run, asked from within the job.

This module does not know what the job does with the answer; `ResumableTask.remaining_time()` gives it.
"""

import logging
import os
import subprocess
import time
from pathlib import Path

from experimaestro.launchers.slurm.base import SlurmLauncherInformation
from experimaestro.taskglobals import LauncherInformation

ENDLESS = ("UNLIMITED", "NOT_SET", "N/A")
PAST = "INVALID"
"""What squeue says of a job that is past its limit and has not been ended yet"""

logger = logging.getLogger(__name__)


class Walltime(LauncherInformation):
    """The seconds that are left of a Slurm job, new each time, since a limit may be moved.

    experimaestro's own asks once; and where a node cannot ask, its jobs believe that they have no limit.
    """

    def __init__(self, binaries: str = "/usr/bin"):
        self.binaries = Path(binaries)

    def remaining_time(self) -> float | None:
        """Seconds until the limit, by squeue, else by what Slurm told at the job's start; None where there is none."""
        job = os.environ.get("SLURM_JOB_ID")
        if job is None:
            return None
        try:
            command = [str(self.binaries / "squeue"), "--noheader", "--job", job, "--format=%L"]
            asked = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            end = os.environ.get("SLURM_JOB_END_TIME")
            logger.warning("squeue does not answer (%s); the limit is taken from the job's start", error)
            return float(end) - time.time() if end else None
        left = asked.stdout.strip()
        if left == PAST:
            return 0.0
        return None if left in ENDLESS or not left else SlurmLauncherInformation._parse_slurm_time(left)
