"""Grids through a real Slurm: the same numbers as on the local machine, whatever happens to jobs and to the node."""

import csv
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from slow_run import STEPS, TINY, steps

from xpm_ce.workspace import JobFolder

pytestmark = pytest.mark.pipeline


def until(condition: Callable[[], object], *, seconds: float = 300):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError("it did not come to that in time")


TIMED = ("curve.csv", "ledger.json", "counts.json", "run.ir-metadata.yaml")
"""Files that hold times, which no two runs have in common"""
UNORDERED = "index/"
"""The index of BM25 numbers its terms anew each time, with the same scores"""


def outputs(workspace: Path) -> dict[tuple[str, str], str]:
    """(job's identity, file) -> sha256 of all that the jobs of a workspace have left, but what holds times."""
    found = {}
    for folder in map(JobFolder, sorted(workspace.glob("jobs/*/*"))):
        assert folder.complete, folder.path
        for file in folder.files:
            if file.path not in TIMED and not file.path.startswith(UNORDERED):
                found[folder.identity, file.path] = file.sha256
    return found


def starts(learner: Path) -> list[int]:
    """The step from which each execution of a learner went on."""
    return [each["from_step"] for each in json.loads((learner / "ledger.json").read_text())["executions"]]


def assert_every_step_once(learner: Path) -> None:
    with open(learner / "curve.csv") as stream:
        assert [int(row["step"]) for row in csv.DictReader(stream)] == list(range(1, STEPS + 1))


def test_a_grid_through_slurm_gives_what_it_gives_on_the_local_machine(
    idle, launchers, tiny_workspace, run_command, tmp_path
):
    process = run_command(
        "xpm-ce", "run", TINY, "--workdir", tmp_path / "workspace", "--launchers", launchers(), **idle.environment
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert "17 jobs run, 0 reused, 0 failed" in process.stdout
    assert idle.ended() == ["COMPLETED"] * 17
    found = outputs(tmp_path / "workspace")
    assert len(found) > 50
    assert found == outputs(tiny_workspace)


def test_a_learner_at_its_time_limit_saves_is_submitted_again_and_ends_at_the_same_weights(
    idle, launchers, start, undisturbed, workspace_copy
):
    run = start(workspace_copy, launchers(time="1m"), pause=2)  # 30 steps of 2 seconds do not fit into a minute
    learner = until(lambda: run.learner)
    run.finished()
    each = starts(learner)
    assert each[0] == 0
    assert len(each) >= 2
    assert each == sorted(set(each))  # every attempt came further
    assert_every_step_once(learner)
    assert outputs(workspace_copy) == outputs(undisturbed)
    left = ["FAILED"] * (len(each) - 1)  # not TIMEOUT: the learner left by itself
    assert idle.ended() == [*left, *["COMPLETED"] * 3]


def test_a_grid_waits_for_a_drained_node_and_finishes_when_it_is_back(
    idle, launchers, start, undisturbed, workspace_copy
):
    run = start(workspace_copy, launchers(), pause=0.2)
    until(lambda: run.learner)
    idle.drain()
    until(lambda: any(state == "PENDING" for _, state, _ in idle.queue()))  # the learner has ended, the next job waits
    until(lambda: idle.node_state == "drained")
    time.sleep(5)
    assert [state for _, state, _ in idle.queue()] == ["PENDING"]
    assert run.process.poll() is None
    idle.resume()
    run.finished()
    assert idle.ended() == ["COMPLETED"] * 3
    assert outputs(workspace_copy) == outputs(undisturbed)


@pytest.mark.parametrize("how", ["pre-empted", "on a node that fails"])
def test_a_learner_that_is_taken_off_its_node_goes_on_from_its_last_state(
    how, idle, launchers, start, undisturbed, workspace_copy
):
    run = start(workspace_copy, launchers(learn="spare"), pause=0.5)
    learner = until(lambda: run.learner)
    until(lambda: (learner / "resume").exists() and steps(learner) > 6)
    if how == "pre-empted":
        idle.submit("--partition=main", "--exclusive", "--wrap=sleep 2")
        wanted = "PREEMPTED"
    else:
        idle.fail()
        wanted = "NODE_FAIL"
    run.finished()
    first, second = starts(learner)
    assert first == 0
    assert 5 <= second < STEPS
    assert_every_step_once(learner)
    assert outputs(workspace_copy) == outputs(undisturbed)
    assert sorted(idle.ended()) == sorted([*["COMPLETED"] * 3, wanted])


def test_jobs_outlive_the_command_that_submitted_them_and_are_not_submitted_twice(
    idle, launchers, start, undisturbed, workspace_copy
):
    file = launchers()
    idle.drain()
    run = start(workspace_copy, file, pause=0)
    until(lambda: [state for _, state, _ in idle.queue()] == ["PENDING"])
    os.kill(run.process.pid, signal.SIGKILL)
    run.process.wait()
    again = start(workspace_copy, file, pause=0)
    time.sleep(8)
    assert len(idle.queue()) == 1
    idle.resume()
    again.finished()
    assert idle.ended() == ["COMPLETED"] * 3
    assert outputs(workspace_copy) == outputs(undisturbed)


def test_a_grid_outlives_a_restart_of_the_controller(idle, launchers, start, undisturbed, workspace_copy):
    run = start(workspace_copy, launchers(), pause=0.3)
    learner = until(lambda: run.learner)
    idle.stop_controller()
    until((learner / "learner.done").exists)
    until(lambda: "sbatch failed, will try again" in run.log.read_text())
    idle.start_controller()
    run.finished()
    assert idle.ended() == ["COMPLETED"] * 3
    assert outputs(workspace_copy) == outputs(undisturbed)


def test_a_cancelled_job_is_a_failed_one(idle, launchers, start, undisturbed, workspace_copy):
    """Which the next run continues."""
    run = start(workspace_copy, launchers(), pause=1)
    learner = until(lambda: run.learner)
    until(lambda: steps(learner) > 6)
    ((job, _, _),) = idle.queue()
    idle.run("scancel", job)
    assert run.process.wait(timeout=300) == 1
    assert "1 failed, 2 blocked" in run.log.read_text()
    assert "the job was cancelled" in run.log.read_text()
    assert idle.ended() == ["CANCELLED"]
    start(workspace_copy, launchers(), pause=0).finished()
    assert starts(learner)[1] >= 5
    assert outputs(workspace_copy) == outputs(undisturbed)


def test_a_job_that_slurm_would_never_start_has_failed_with_its_reason(idle, launchers, start, workspace_copy):
    run = start(workspace_copy, launchers(time="3h"), pause=0)  # the partition's own limit is an hour
    assert run.process.wait(timeout=300) == 1
    printed = run.log.read_text()
    assert "1 failed, 2 blocked" in printed
    assert "Slurm would never have started the job, so it was cancelled (PartitionTimeLimit)" in printed
    assert idle.ended() == ["CANCELLED"]


def test_small_jobs_of_one_kind_share_an_allocation(idle, launchers, start, undisturbed, workspace_copy):
    for measured in workspace_copy.glob("jobs/xpm_ce.evaluate.measure/*"):
        shutil.rmtree(measured)
    start(workspace_copy, launchers(measure={"on": "main", "time": "10m", "share": 8}), pause=1).finished()
    assert len(list(workspace_copy.glob("jobs/xpm_ce.evaluate.measure/*/per_query.parquet"))) == 3
    assert outputs(workspace_copy).items() <= outputs(undisturbed).items()
    # learner and re-ranking, the two measures that could begin with the learner, and its own half a minute later
    assert idle.ended() == ["COMPLETED"] * 4


def test_without_accounting_nothing_is_submitted(idle, launchers, start, workspace_copy, tmp_path):
    text = Path(idle.environment["SLURM_CONF"]).read_text()
    other = tmp_path / "slurm.conf"
    other.write_text(text.replace("accounting_storage/slurmdbd", "accounting_storage/none"))
    idle.environment["SLURM_CONF"], kept = str(other), idle.environment["SLURM_CONF"]
    try:
        run = start(workspace_copy, launchers(), pause=0)
        assert run.process.wait(timeout=300) == 2
    finally:
        idle.environment["SLURM_CONF"] = kept
    assert "Slurm keeps no accounts" in run.log.read_text()
    assert not idle.ended()
