"""`xpm-ce run` of a slow study in the background, and what it has come to. It does not know Slurm."""

import subprocess
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
TINY = HERE.parent / "studies" / "tiny.yaml"
STEPS = 30


def steps(learner: Path) -> int:
    """Steps that a learner's curve shows."""
    return max(0, len((learner / "curve.csv").read_text().splitlines()) - 1)


class Run(NamedTuple):
    """`xpm-ce run` in the background."""

    process: subprocess.Popen
    workspace: Path
    log: Path

    def finished(self, *, seconds: float = 600) -> str:
        """What it printed, when it has ended well."""
        code = self.process.wait(timeout=seconds)
        assert code == 0, self.log.read_text()
        return self.log.read_text()

    @property
    def learner(self) -> Path | None:
        """The folder of the learner that is at work, once it has made a step."""
        for curve in self.workspace.glob("jobs/xpm_ce.learn.learner/*/curve.csv"):
            if not (curve.parent / "learner.done").exists() and steps(curve.parent):
                return curve.parent
        return None
