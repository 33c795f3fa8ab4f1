"""Killed jobs and killed schedulers: the same command completes the work, and nothing that was finished is repeated."""

import csv
import json
import logging
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from studies import TINY, plan_of

from xpm_ce.experiment import worth_telling
from xpm_ce.identity import file_sha256
from xpm_ce.workspace import JobFolder

pytestmark = pytest.mark.pipeline

LONG = ("-c", "learner.steps=400", "-c", "learner.checkpoint_interval=20", "-c", "grid.learner.loss=[infonce]")
"""Overrides that make one learner of some seconds, which can be met at work"""
DOORS = {"xpm-ce": "run", "experimaestro": "run-experiment"}
"""The two programs that run an experiment, and how each says it"""
INTERRUPTED = "Interrupted. Jobs that run go on; the same command continues where they are."


def start(workspace: Path, home: Path, *overrides: str, door: str = "xpm-ce") -> subprocess.Popen:
    """A run of the tiny study in the background."""
    program = str(Path(sys.executable).with_name(door))
    return in_background([program, DOORS[door], str(TINY), "--workdir", str(workspace), *overrides], home)


def in_background(command: list[str], home: Path) -> subprocess.Popen:
    environment = {**os.environ, "HOME": str(home)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
    )


def wait_for(condition, *, seconds: float = 120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come to that in time")


def learner_at_work(workspace: Path, *, steps: int) -> Path:
    """The folder of a learner that has written a resume state and at least so many steps of its curve."""

    def look() -> Path | None:
        for folder in workspace.glob("jobs/xpm_ce.learn.learner/*"):
            curve = folder / "curve.csv"
            if (folder / "resume").exists() and curve.exists() and len(curve.read_text().splitlines()) > steps:
                return folder
        return None

    return wait_for(look)


def process_of(folder: Path) -> int:
    """The process of a running job, as experimaestro recorded it."""
    return json.loads((folder / "learner.pid").read_text())["pid"]


def assert_one_completed_execution(workspace: Path, *overrides: str) -> Path:
    """Every job ended well once, and the curve of the learner repeats no step; gives the learner's folder."""
    plan = plan_of(workspace, *[override for override in overrides if override != "-c"])
    assert plan.counts["run"] == 0
    for job in plan.jobs:
        log = JobFolder(job.folder).log.read_text()
        assert log.count("Task ended successfully") == 1, log
    (learner,) = [job.folder for job in plan.jobs if job.kind == "learn"]
    steps = [int(row["step"]) for row in csv.DictReader((learner / "curve.csv").open())]
    assert steps == list(range(1, 401))
    return learner


@pytest.fixture(scope="module")
def uninterrupted_weights(tmp_path_factory, tiny_workspace, home) -> str:
    """sha256 of the weights of the long learner when nothing happens to it."""
    import shutil

    workspace = tmp_path_factory.mktemp("long") / "workspace"
    shutil.copytree(tiny_workspace, workspace, symlinks=True)
    process = start(workspace, home, *LONG)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    learner = assert_one_completed_execution(workspace, *LONG)
    return file_sha256(learner / "checkpoint" / "model.safetensors")


def test_a_job_killed_in_mid_training_is_continued_by_a_plain_rerun(workspace_copy, home, uninterrupted_weights):
    process = start(workspace_copy, home, *LONG)
    folder = learner_at_work(workspace_copy, steps=45)
    os.kill(process_of(folder), signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Killed: the process ended without a word" in output
    assert "1 failed, 2 blocked" in output
    finished = {path: path.stat().st_mtime_ns for path in workspace_copy.glob("jobs/*/*/outputs.json")}

    process = start(workspace_copy, home, *LONG)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "3 jobs run" in output
    assert all(path.stat().st_mtime_ns == time for path, time in finished.items())
    learner = assert_one_completed_execution(workspace_copy, *LONG)
    ledger = json.loads((learner / "ledger.json").read_text())
    assert ledger["resumptions"] == 1
    assert ledger["executions"][1]["from_step"] >= 40
    assert file_sha256(learner / "checkpoint" / "model.safetensors") == uninterrupted_weights


def test_an_interrupted_command_says_how_to_go_on_and_leaves_its_jobs_at_work(workspace_copy, home):
    process = start(workspace_copy, home, *LONG)
    folder = learner_at_work(workspace_copy, steps=25)
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert output.count(INTERRUPTED) == 1
    assert "Traceback" not in output
    wait_for(lambda: JobFolder(folder).complete)


@pytest.mark.parametrize("door", DOORS)
def test_an_interruption_while_jobs_are_handed_over_is_no_failure(door, tmp_path, home):
    workspace, seeds = tmp_path / "workspace", list(range(100))
    process = start(workspace, home, "-c", f"grid.learner.seed={seeds}", door=door)
    wait_for(lambda: list(workspace.glob("jobs/*/*")))
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert output.count(INTERRUPTED) == 1
    assert "Traceback" not in output


def test_an_interrupted_run_goes_on_in_the_same_python_process(workspace_copy, home, uninterrupted_weights):
    interrupted_once = f"""
import sys
import yaml
from xpm_ce import Experiment

sections = yaml.safe_load(open({str(TINY)!r}))
sections["learner"].update(steps=400, checkpoint_interval=20, learning_rate=1e-3)
sections["grid"]["learner.loss"] = ["infonce"]
experiment = Experiment(**sections)
try:
    experiment.run({str(workspace_copy)!r})
except KeyboardInterrupt:
    print("once more", flush=True)
    print(experiment.run({str(workspace_copy)!r}))
"""
    process = in_background([sys.executable, "-c", interrupted_once], home)
    learner_at_work(workspace_copy, steps=25)
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert output.index(INTERRUPTED) < output.index("once more") < output.index("3 jobs run")
    learner = assert_one_completed_execution(workspace_copy, *LONG)
    assert file_sha256(learner / "checkpoint" / "model.safetensors") == uninterrupted_weights


def test_what_a_thread_of_the_scheduler_says_of_the_end_of_the_process_is_not_worth_telling(caplog):
    ended = ThreadPoolExecutor()
    ended.shutdown()
    for work in (lambda: ended.submit(print), lambda: [].pop()):
        try:
            work()
        except (RuntimeError, IndexError):
            logging.getLogger("xpm.state_status").exception("Error in on_event callback")
    assert [worth_telling(record) for record in caplog.records] == [False, True]


def test_a_scheduler_killed_in_mid_grid_is_followed_by_a_plain_rerun(workspace_copy, home, uninterrupted_weights):
    process = start(workspace_copy, home, *LONG)
    folder = learner_at_work(workspace_copy, steps=25)
    pid = process_of(folder)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    os.kill(pid, 0)  # the job goes on without its scheduler

    process = start(workspace_copy, home, *LONG)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    learner = assert_one_completed_execution(workspace_copy, *LONG)
    assert json.loads((learner / "ledger.json").read_text())["resumptions"] == 0
    assert file_sha256(learner / "checkpoint" / "model.safetensors") == uninterrupted_weights
