"""Two runs on one workspace and one machine: every job once, and never more at a time than the machine allows."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from studies import TINY
from test_interruptions import learner_at_work, process_of, wait_for

from xpm_ce.workspace import JobFolder

pytestmark = pytest.mark.pipeline

LAUNCHERS = """
local: {cores: 3, parallel_jobs: 3, gpus: [left, right]}
requirements:
  learn: {gpus: 1}
  rerank: {gpus: 1}
"""


class Run:
    """`xpm-ce run` of the tiny study under a name, in the background."""

    def __init__(self, folder: Path, name: str, *, seeds: list[int], home: Path, steps: int = 60):
        study = yaml.safe_load(TINY.read_text())
        study["id"] = name
        study["grid"]["learner.seed"] = seeds
        study["grid"]["learner.loss"] = ["infonce"]
        study["learner"].update(steps=steps, checkpoint_interval=10)
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(study))
        (folder / "launchers.yaml").write_text(LAUNCHERS)
        command = [
            str(Path(sys.executable).with_name("xpm-ce")), "run", str(folder / f"{name}.yaml"), "--workdir",
            str(folder / "workspace"), "--launchers", str(folder / "launchers.yaml"),
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "HOME": str(home)},
            start_new_session=True,
        )  # fmt: skip

    def output(self) -> str:
        return self.process.communicate(timeout=150)[0]


class Execution(NamedTuple):
    """When a job computed, by its own records, and what it had of the machine."""

    job: Path
    start: float
    end: float
    held: list[str]


def execution(job: Path, *, killed: float | None = None) -> Execution:
    """The last execution of a job, which ended by itself or was killed at some time."""
    status = json.loads((job / ".experimaestro" / "status.json").read_text())
    end = killed or datetime.fromisoformat(status["ended_time"]).timestamp()
    held = re.findall(r"\] has (.*)", JobFolder(job).log.read_text())[-1].split(", ")
    return Execution(job, datetime.fromisoformat(status["started_time"]).timestamp(), end, held)


def at_work(workspace: Path) -> list[Path]:
    """Learners that hold their lock now."""
    return [job for job in workspace.glob("jobs/xpm_ce.learn.learner/*") if JobFolder(job).running]


def assert_within_bounds(done: list[Execution]) -> None:
    """No slot and no device was held by two at once; so no more ran at once than there are slots."""
    assert {name for each in done for name in each.held} <= {
        "slot-0", "slot-1", "slot-2", "device-left", "device-right",
    }  # fmt: skip
    for one, other in combinations(done, 2):
        if one.start < other.end and other.start < one.end:
            assert not set(one.held) & set(other.held), (one, other)


@pytest.fixture
def folder(tmp_path, workspace_copy) -> Path:
    """Holds the finished tiny workspace, so that only learners and what follows them are left to do."""
    return tmp_path


def test_two_grids_that_share_jobs_run_each_once_within_the_machine(folder, home):
    before = set((folder / "workspace").glob("jobs/*/*"))
    runs = [Run(folder, "one", seeds=[1, 2], home=home), Run(folder, "two", seeds=[2, 3], home=home)]
    outputs = [run.output() for run in runs]
    assert [run.process.returncode for run in runs] == [0, 0], outputs
    new = set((folder / "workspace").glob("jobs/*/*")) - before
    assert len(new) == 3 * 3
    for job in new:
        log = JobFolder(job).log.read_text()
        assert log.count("Running task") == log.count("Task ended successfully") == 1, log
        assert log.count("] has ") == 1, log
        assert "already completed" not in log
    done = [execution(job) for job in new]
    assert_within_bounds(done)
    assert {"rerank", "learner"} == {each.job.parent.name.rpartition(".")[2] for each in done if len(each.held) == 2}
    plans = [json.loads((folder / "workspace" / "plans" / name / "plan.json").read_text()) for name in ("one", "two")]
    shared = set.intersection(*({job["id"] for job in plan["jobs"] if job["state"] == "run"} for plan in plans))
    assert len(shared) == 3


def test_killed_jobs_and_killed_runs_give_nothing_to_two_jobs_at_once(folder, home):
    workspace = folder / "workspace"
    before = set(workspace.glob("jobs/*/*"))
    places = {"one": [1, 2], "two": [2, 3]}
    runs = {name: Run(folder, name, seeds=seeds, home=home, steps=150) for name, seeds in places.items()}
    killed = learner_at_work(workspace, steps=15)
    os.kill(process_of(killed), signal.SIGKILL)
    interrupted = execution(killed, killed=time.time())
    orphan = wait_for(lambda: next((job for job in at_work(workspace) if job != killed), None))
    os.kill(runs["two"].process.pid, signal.SIGKILL)
    runs["two"].process.wait(timeout=60)
    again = {name: Run(folder, name, seeds=seeds, home=home, steps=150) for name, seeds in places.items()}
    outputs = [run.output() for run in (runs["one"], *again.values())]
    assert [run.process.returncode for run in again.values()] == [0, 0], outputs
    new = set(workspace.glob("jobs/*/*")) - before
    assert len(new) == 3 * 3
    for job in new:
        log = "".join(
            file.read_text() for file in job.glob("*.err")
        )  # experimaestro sets aside that of a failed attempt
        assert log.count("Running task") == (2 if job == killed else 1), log
        assert log.count("Task ended successfully") == 1, log
    assert orphan in new
    assert_within_bounds([interrupted, *(execution(job) for job in new)])
