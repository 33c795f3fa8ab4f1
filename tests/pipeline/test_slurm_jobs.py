"""A study whose jobs run in Slurm, of which there is a stand-in here: time limits, lost nodes, a killed scheduler."""

import json
import os
import signal
from pathlib import Path

import pytest
from fixtures.slurm import StandinSlurm
from studies import plan_of
from test_interruptions import LONG, learner_at_work, start, wait_for

from xpm_ce.workspace import JobFolder

pytestmark = pytest.mark.pipeline

ONLY_LEARNER = [override for override in LONG if override != "-c"]


@pytest.fixture
def slurm(tmp_path) -> StandinSlurm:
    return StandinSlurm(tmp_path / "slurm", moment=2.0)


@pytest.fixture
def launchers(slurm, tmp_path) -> Path:
    """A file that sends every job to Slurm."""
    file = tmp_path / "launchers.yaml"
    file.write_text(
        f"slurm:\n  cpu: {{time: 20m, interval: 0.5, binaries: {slurm.binaries}, prologue: '{slurm.prologue}'}}\n"
        "requirements:\n  all: {on: cpu}\n  measure: {on: cpu, share: 4}\n"
    )
    return file


def test_a_study_in_slurm_outlives_a_lost_node_a_time_limit_and_its_scheduler(workspace_copy, home, slurm, launchers):
    slurm.ends("NODE_FAIL", "1")  # then an attempt that is told of a limit in a second, which leaves after a step
    process = start(workspace_copy, home, *LONG, "--launchers", str(launchers))
    folder = learner_at_work(workspace_copy, steps=25)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    assert JobFolder(folder).state == "running"
    submitted = slurm.attempts

    process = start(workspace_copy, home, *LONG, "--launchers", str(launchers))
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    assert plan_of(workspace_copy, *ONLY_LEARNER).counts["run"] == 0
    assert slurm.attempts == submitted + 2  # re-ranking and measuring; the learner was waited for
    ledger = json.loads((folder / "ledger.json").read_text())
    assert [each["from_step"] > 0 for each in ledger["executions"]] == [False, True]
    log = JobFolder(folder).log.read_text()
    assert log.count("no time for another step") == 1
    assert log.count("Task ended successfully") == 1


def test_without_accounts_a_study_is_refused_before_anything_is_submitted(workspace_copy, home, slurm, launchers):
    slurm.without_accounts()
    process = start(workspace_copy, home, *LONG, "--launchers", str(launchers))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert "slurm.cpu: Slurm keeps no accounts that sacct can read: Slurm accounting storage is disabled" in output
    assert slurm.attempts == 0
    assert wait_for(lambda: not list(workspace_copy.glob("jobs/*/*/*.pid")))
