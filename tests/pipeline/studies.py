"""Planning a study in this process, and comparing plans by what they would run."""

from collections import Counter
from pathlib import Path

from xpm_ce.experiment import Configuration, prepare
from xpm_ce.graph.plan import Plan
from xpm_ce.graph.planner import PlannedJob, State
from xpm_ce.workspace import Workspace

TINY = Path(__file__).parent.parent / "studies" / "tiny.yaml"


def plan_of(workspace: Path, *overrides: str, file: Path = TINY) -> Plan:
    return prepare(Configuration.load(file, overrides), Workspace(workspace)).plan


def to_run(plan: Plan) -> list[PlannedJob]:
    return [job for job in plan.jobs if job.state is State.RUN]


def kinds_to_run(plan: Plan) -> dict[str, int]:
    return dict(Counter(job.kind for job in to_run(plan)))
