"""What runs again after a change, and what does not: the promise of identities, through the real scheduler."""

import json
import shutil
from pathlib import Path

import pytest
from studies import TINY, arguments, kinds_to_run, plan_of, to_run

from xpm_ce.data.runs import read_run
from xpm_ce.graph.planner import State
from xpm_ce.workspace import JobFolder

pytestmark = pytest.mark.pipeline


def folder_of(workspace: Path, plan, kind: str, **coordinates: str) -> Path:
    (job,) = [job for job in plan.jobs if job.kind == kind and coordinates.items() <= job.coordinates.items()]
    return workspace / "jobs" / job.task / job.identity


def test_the_first_run_runs_every_job_and_prints_the_table(first_run):
    assert "17 jobs run, 0 reused, 0 failed" in first_run
    for row in ("BM25", "BM25, best order of its documents", "untrained", "infonce", "margin_mse"):
        assert f"| {row} " in first_run


def test_the_same_command_again_runs_nothing_and_says_so(tiny_workspace, run_command):
    before = {path: path.stat().st_mtime_ns for path in tiny_workspace.glob("jobs/*/*/*.done")}
    process = run_command("xpm-ce", "run", TINY, "--workdir", tiny_workspace)
    assert process.returncode == 0, process.stderr
    assert "nothing to run: all 17 jobs were done before" in process.stdout
    assert {path: path.stat().st_mtime_ns for path in tiny_workspace.glob("jobs/*/*/*.done")} == before


def test_experimaestros_own_door_finds_the_same_jobs(tiny_workspace, run_command):
    process = run_command("experimaestro", "run-experiment", TINY, "--workdir", tiny_workspace)
    assert process.returncode == 0, process.stderr
    assert "nothing to run: all 17 jobs were done before" in process.stdout


def test_nothing_is_written_into_the_home(tiny_workspace, home):
    assert not list(home.rglob("*"))


def test_adding_a_loss_runs_only_its_learner_and_what_hangs_off_it(tiny_workspace):
    plan = plan_of(tiny_workspace, "grid.learner.loss=[infonce, margin_mse, hinge]")
    assert kinds_to_run(plan) == {"learn": 1, "rerank": 1, "measure": 1}
    assert {job.coordinates["loss"] for job in to_run(plan)} == {"hinge"}


def test_adding_a_measure_schedules_no_scoring_job(tiny_workspace):
    plan = plan_of(tiny_workspace, "evaluation.measures=[nDCG@10, RR@10, AP(rel=2)]")
    assert kinds_to_run(plan) == {"measure": 4}


def test_reordering_measures_and_depths_runs_nothing(tiny_workspace):
    plan = plan_of(tiny_workspace, "evaluation.measures=[RR@10, nDCG@10]", "evaluation.depths=[20, 10]")
    assert not to_run(plan)


def test_budgets_and_cadences_change_no_identity(tiny_workspace):
    plan = plan_of(
        tiny_workspace, "learner.tokens_per_batch=64", "learner.checkpoint_interval=1", "evaluation.tokens_per_batch=99"
    )
    assert not to_run(plan)


def test_a_changed_value_runs_what_depends_on_it(tiny_workspace):
    assert kinds_to_run(plan_of(tiny_workspace, "learner.steps=9")) == {"learn": 2, "rerank": 2, "measure": 2}
    assert kinds_to_run(plan_of(tiny_workspace, "first_stage.k1=1.2")) == {
        "retrieve": 2, "training set": 1, "learn": 2, "rerank": 3, "measure": 4,
    }  # fmt: skip


def test_raising_the_version_of_a_loss_retrains_that_loss_only(tiny_workspace, monkeypatch):
    from xpm_ce.losses.infonce import InfoNCE

    monkeypatch.setattr(InfoNCE.__getxpmtype__().arguments["version"], "default", 2)
    plan = plan_of(tiny_workspace)
    assert kinds_to_run(plan) == {"learn": 1, "rerank": 1, "measure": 1}
    assert {job.coordinates["loss"] for job in to_run(plan)} == {"infonce"}


def scores_of(folder: Path) -> dict[tuple[str, str], float]:
    """Score by query and document of a run."""
    run = read_run(folder / "run.gz")
    return {
        (query, document): score
        for query, ranking in run.items()
        for document, score in zip(ranking.documents, ranking.scores.tolist(), strict=True)
    }


def assert_equal_runs(one: Path, other: Path) -> None:
    """The same documents, and scores that differ by no more than the rounding of batches of another composition."""
    expected = scores_of(other)
    assert scores_of(one) == pytest.approx(expected, abs=1e-6)
    assert len(expected) > 100


def rerank_at(run_command, workspace: Path, depth: int):
    """What one learner's re-ranking of so many ranks left, and its counts."""
    overrides = (f"evaluation.depths=[{depth}]", "grid.learner.loss=[infonce]", "evaluation.untrained=false")
    process = run_command("xpm-ce", "run", TINY, "--workdir", workspace, *arguments(*overrides))
    assert process.returncode == 0, process.stdout + process.stderr
    folder = folder_of(workspace, plan_of(workspace, *overrides), "rerank")
    return folder, json.loads((folder / "counts.json").read_text())


def test_a_deeper_depth_scores_only_the_missing_ranks_and_a_shallower_one_none(
    workspace_copy, tiny_workspace, run_command, tmp_path
):
    shallow, _ = rerank_at(run_command, workspace_copy, 8)
    assert json.loads((shallow / "counts.json").read_text())["pairs_scored"] == 0
    deep, counts = rerank_at(run_command, workspace_copy, 30)
    candidates = counts["candidates"]
    assert counts["pairs_taken_over"] == sum(min(length, 20) for length in candidates)
    assert counts["pairs_scored"] == sum(candidates) - counts["pairs_taken_over"] > 0

    fresh = tmp_path / "fresh"
    shutil.copytree(tiny_workspace, fresh, symlinks=True)
    for folder in (fresh / "jobs").glob("xpm_ce.evaluate.rerank/*"):
        shutil.rmtree(folder)
    deep_afresh, counts = rerank_at(run_command, fresh, 30)
    assert counts["pairs_taken_over"] == 0
    assert_equal_runs(deep, deep_afresh)
    for folder in (fresh / "jobs").glob("xpm_ce.evaluate.rerank/*"):
        shutil.rmtree(folder)
    shallow_afresh, counts = rerank_at(run_command, fresh, 8)
    assert counts["pairs_taken_over"] == 0
    assert_equal_runs(shallow, shallow_afresh)


def outputs_of(workspace: Path) -> dict[str, dict[str, str]]:
    """sha256 of every listed output of every job, those left out that say when, or where and by which command."""
    timed = {"counts.json", "ledger.json", "curve.csv", "run.ir-metadata.yaml"}
    # impact-index numbers terms in another order each time, and writes the date; what it retrieves is the same.
    return {
        str(folder.relative_to(workspace)): {
            file.path: file.sha256
            for file in JobFolder(folder).files
            if file.path not in timed and not file.path.startswith("index/")
        }
        for folder in workspace.glob("jobs/*/*")
    }


def test_deleting_any_job_folder_restores_exactly_it(workspace_copy, run_command):
    before = outputs_of(workspace_copy)
    plan = plan_of(workspace_copy)
    deleted = set()
    for job in {job.kind: job for job in plan.jobs}.values():  # one of each kind
        folder = workspace_copy / "jobs" / job.task / job.identity
        shutil.rmtree(folder)
        deleted.add(job.identity)
        assert {job.identity for job in to_run(plan_of(workspace_copy))} == deleted
    process = run_command("xpm-ce", "run", TINY, "--workdir", workspace_copy)
    assert process.returncode == 0, process.stdout + process.stderr
    assert f"{len(deleted)} jobs run, {17 - len(deleted)} reused" in process.stdout
    assert outputs_of(workspace_copy) == before


def test_a_missing_output_is_noticed_and_made_again(workspace_copy, run_command):
    plan = plan_of(workspace_copy)
    run = folder_of(workspace_copy, plan, "rerank", loss="infonce") / "run.gz"
    before = run.read_bytes()
    run.unlink()
    (job,) = to_run(plan_of(workspace_copy))
    assert (job.kind, str(job.reason)) == ("rerank", "outputs missing: run.gz")
    process = run_command("xpm-ce", "run", TINY, "--workdir", workspace_copy)
    assert process.returncode == 0, process.stdout + process.stderr
    assert run.read_bytes() == before


def test_a_finished_result_of_other_source_code_is_reused_with_a_warning(workspace_copy):
    plan = plan_of(workspace_copy)
    listing = folder_of(workspace_copy, plan, "learn", loss="infonce") / "outputs.json"
    record = json.loads(listing.read_text())
    listing.write_text(json.dumps({**record, "source": "other"}))
    plan = plan_of(workspace_copy)
    assert plan.counts["run"] == 0
    (warning,) = plan.warnings
    assert "source code differs from when reused results were computed (1 xpm_ce.learn.learner)" in warning


def test_a_precision_that_the_machine_does_not_declare_blocks_its_jobs_and_those_below(tiny_workspace):
    plan = plan_of(tiny_workspace, "learner.precision=bf16")
    states = {(job.kind, str(job.reason.why.value)) for job in plan.jobs if job.state is State.BLOCKED}
    assert states == {
        ("learn", "machine lacks a capability"), ("rerank", "an input is blocked"), ("measure", "an input is blocked"),
    }  # fmt: skip
