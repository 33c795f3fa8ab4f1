"""What the page does to jobs, and what it refuses: each refusal says what to do instead."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from synthetic_workspace import Synthetic

from xpm_ce.errors import MachineError, XpmCeError
from xpm_ce.monitor.actions import Actions
from xpm_ce.monitor.inside import Inside
from xpm_ce.monitor.state import ExperimentState, NotNowError, NotThereError


@pytest.fixture
def synthetic(tmp_path) -> Synthetic:
    return Synthetic(tmp_path / "workspace", jobs=300)


@pytest.fixture
def actions(synthetic) -> Actions:
    return Actions(synthetic.workspace, Inside(synthetic.workspace.path))


def read(synthetic: Synthetic) -> ExperimentState:
    state = ExperimentState(synthetic.workspace, "synthetic")
    state.refresh()
    return state


def first(state: ExperimentState, seen: str) -> str:
    return next(job.id for job in state.jobs.values() if job.state == seen)


@pytest.mark.parametrize("seen", ["done", "waiting", "failed", "interrupted", "blocked"])
def test_only_a_job_that_runs_is_stopped(synthetic, actions, seen):
    state = read(synthetic)
    with pytest.raises(XpmCeError):
        actions.stop(state, first(state, seen))


def test_a_process_that_has_the_number_of_a_job_but_is_another_is_left_alone(synthetic, actions):
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        state = read(synthetic)
        killed = first(state, "interrupted")
        file = state.job(killed).path / "learner.pid"
        file.write_text(json.dumps({"type": "local", "pid": bystander.pid}))
        with pytest.raises(NotNowError):
            actions.stop(state, killed)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_stopped_job_is_told_to_end_with_the_processes_that_it_started(synthetic, actions):
    state = read(synthetic)
    killed = state.job(first(state, "interrupted"))
    script = "import subprocess, sys, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(killed.path / "learner.py")], start_new_session=True, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    (killed.path / "learner.pid").write_text(json.dumps({"type": "local", "pid": process.pid}))
    assert "told to end" in actions.stop(state, killed.id)
    assert process.wait(10) == -signal.SIGTERM
    end = time.monotonic() + 10
    while runs(child):
        assert time.monotonic() < end
        time.sleep(0.01)


def runs(number: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{number}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_job_of_another_machine_is_not_stopped_here(synthetic, actions):
    with synthetic.live():
        job = read(synthetic).job(synthetic.running[0]["id"])
        (job.path / "learner.pid").write_text(json.dumps({"type": "local", "pid": os.getpid(), "host": "elsewhere"}))
        (job.path / ".experimaestro" / "status.json").write_text('{"state": "running"}')
        with pytest.raises(MachineError, match="elsewhere"):
            actions.stop(read(synthetic), job.id)


def test_a_job_of_slurm_is_cancelled_by_slurm(synthetic, actions, tmp_path, monkeypatch):
    with synthetic.live():
        job = read(synthetic).job(synthetic.running[0]["id"])
        (job.path / "learner.pid").write_text(json.dumps({"type": "slurm", "pid": "17", "options": []}))
        (job.path / ".experimaestro" / "status.json").write_text('{"state": "running"}')
        state = read(synthetic)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(MachineError, match="scancel"):
            actions.stop(state, job.id)
        program = tmp_path / "scancel"
        program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/told\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        assert "17" in actions.stop(state, job.id)
        assert (tmp_path / "told").read_text() == "17\n"


def test_what_cannot_be_retried_says_why(synthetic, actions):
    with synthetic.live():
        state = read(synthetic)
        for seen, what in {"done": "is done", "running": "runs", "blocked": "is blocked"}.items():
            with pytest.raises(NotNowError, match=what):
                actions.retry(state, first(state, seen))
        blocked = state.job(first(state, "blocked"))
        with pytest.raises(NotNowError, match=f"Retry {blocked.cause[:12]}"):
            actions.retry(state, blocked.id)
        with pytest.raises(NotNowError, match="nobody knows how"):
            actions.retry(state, first(state, "failed"))
        with pytest.raises(NotThereError):
            actions.retry(state, "nothing")


def test_a_retry_is_the_command_that_planned_the_experiment_for_one_job(synthetic, actions, tmp_path):
    """The YAML file is gone, so that the command ends at once and says so in its log."""
    file = synthetic.workspace.plan_file("synthetic")
    plan = json.loads(file.read_text())
    plan["command"] = {"directory": str(tmp_path), "arguments": ["gone.yaml", "-c", "learner.steps=5"]}
    file.write_text(json.dumps(plan))
    state = read(synthetic)
    failed = first(state, "failed")
    assert "in the background" in actions.retry(state, failed)
    actions._retries[failed].process.wait(60)
    told = actions.last_retry(failed)
    assert told["code"] == 2
    assert "gone.yaml" in told["text"]
    workdir = ["--workdir", str(synthetic.workspace.path)]
    words = actions._retries[failed].process.args
    assert words[3:] == ["run", "gone.yaml", "-c", "learner.steps=5", *workdir, "--only", failed]
    assert "in the background" in actions.retry(state, failed)  # once more, as the last one has ended


def test_a_log_of_a_retry_is_not_written_through_a_link(synthetic, actions, tmp_path):
    file = synthetic.workspace.plan_file("synthetic")
    plan = json.loads(file.read_text())
    plan["command"] = {"directory": str(tmp_path), "arguments": ["gone.yaml"]}
    file.write_text(json.dumps(plan))
    state = read(synthetic)
    failed = first(state, "failed")
    (file.parent / f"retry-{failed[:12]}.log").symlink_to(tmp_path / "precious")
    (tmp_path / "precious").write_text("precious")
    with pytest.raises(MachineError, match="log"):
        actions.retry(state, failed)
    assert (tmp_path / "precious").read_text() == "precious"
