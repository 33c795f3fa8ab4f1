"""Validation, early stopping, continuation and several processes through the real scheduler."""

import csv
import json
from pathlib import Path

import pytest
from studies import TINY, arguments, kinds_to_run, plan_of

from xpm_ce.graph.planner import State
from xpm_ce.workspace import JobFolder

pytestmark = pytest.mark.pipeline

OVERRIDES = (
    "grid={learner.loss: [infonce], learner.keep: [last, best], learner.steps: [12, 6]}",
    "learner.validation={sets: [{split: validation}], interval: 3, depth: 10}",
    "learner.schedule=constant",
    "evaluation.untrained=false",
)  # fmt: skip


@pytest.fixture(scope="module")
def validated(tiny_workspace, run_command, tmp_path_factory) -> Path:
    """A copy of the tiny workspace with two learners, of which the longer one goes on with the shorter one's state."""
    import shutil

    workspace = tmp_path_factory.mktemp("validated") / "workspace"
    shutil.copytree(tiny_workspace, workspace, symlinks=True)
    process = run_command("xpm-ce", "run", TINY, "--workdir", workspace, *arguments(*OVERRIDES, "learner.processes=2"))
    assert process.returncode == 0, process.stdout + process.stderr
    return workspace


def learners(plan) -> dict[int, JobFolder]:
    return {job.config.steps: JobFolder(job.folder) for job in plan.jobs if job.kind == "learn"}


def test_two_rules_and_two_lengths_are_two_trainings_and_four_results(validated):
    plan = plan_of(validated, *OVERRIDES)
    assert not [job for job in plan.jobs if job.state is not State.REUSE]
    assert set(learners(plan)) == {6, 12}
    trained = [job for job in plan.jobs if job.kind == "rerank" and "keep" in job.coordinates]
    assert len({job.identity for job in trained}) == 4


def test_the_longer_training_went_on_where_the_shorter_one_ended(validated):
    found = learners(plan_of(validated, *OVERRIDES))
    ledger = json.loads((found[12].path / "ledger.json").read_text())
    assert ledger["continued_from"] == {"learner": found[6].identity, "step": 6}
    assert [each["from_step"] for each in ledger["executions"]] == [6]
    assert ledger["processes"] == 2
    assert (ledger["steps"], ledger["seeds"]["seed"]) == (12, 0)
    with open(found[12].path / "validation.csv", newline="") as stream:
        assert [row["step"] for row in csv.DictReader(stream) if row["set"] == "(mean)"] == ["3", "6", "9", "12"]


def test_a_state_that_was_deleted_to_save_room_runs_nothing(validated):
    for state in validated.glob("jobs/xpm_ce.learn.learner/*/.state"):
        state.rename(state.with_name(".elsewhere"))
    assert not kinds_to_run(plan_of(validated, *OVERRIDES))


def test_a_best_checkpoint_that_was_deleted_is_made_again(validated):
    found = learners(plan_of(validated, *OVERRIDES))
    weights = found[6].path / "best" / "model.safetensors"
    weights.rename(weights.with_name("elsewhere"))
    assert kinds_to_run(plan_of(validated, *OVERRIDES)) == {"learn": 1}
    weights.with_name("elsewhere").rename(weights)
