"""What a plan says of a finished study that is changed: which field, at what cost, and what was freed and is needed."""

import json
import shutil
from pathlib import Path

import pytest
from studies import TINY, arguments, plan_of, to_run

from xpm_ce.experiment import Configuration, prepare
from xpm_ce.graph.plan import Plan
from xpm_ce.graph.signature import signature_of, signatures_in
from xpm_ce.graph.states import State, Why
from xpm_ce.parameters import PARAMETERS, read_parameters
from xpm_ce.workspace import JobFolder, Workspace

pytestmark = pytest.mark.pipeline


def reasons(plan: Plan) -> dict[str, set[str]]:
    """The reasons of the jobs to run, by kind."""
    found: dict[str, set[str]] = {}
    for job in to_run(plan):
        assert job.reason.why is Why.CHANGED, job
        found.setdefault(job.kind, set()).add(str(job.reason))
    return found


CHANGES = {
    "learner.steps=9": {
        "learn": {"steps: 8 -> 9"}, "rerank": {"learner.steps: 8 -> 9"}, "measure": {"learner.steps: 8 -> 9"},
    },
    "learner.sampler.negatives=2": {
        "learn": {"sampler.negatives: 1 -> 2"}, "rerank": {"learner.sampler.negatives: 1 -> 2"},
        "measure": {"learner.sampler.negatives: 1 -> 2"},
    },
    "training_set.random_documents=5": {
        "training set": {"random_documents: 10 -> 5"},
        **{kind: {"training_set.random_documents: 10 -> 5"} for kind in ("learn", "rerank", "measure")},
    },
    "first_stage.k1=1.2": {
        "retrieve": {"k1: 0.9 -> 1.2"},
        **{kind: {"first_stage.k1: 0.9 -> 1.2"} for kind in ("training set", "learn", "rerank", "measure")},
    },
    "evaluation.depths=[10]": {"rerank": {"depth: 20 -> 10"}, "measure": {"depths: [10, 20] -> [10]"}},
    "evaluation.measures=[AP]": {"measure": {"measures: [RR@10, nDCG@10] -> [AP]"}},
    "collection.seed=1": {
        kind: {"collection.seed: 0 -> 1"}
        for kind in (
            "collection", "store", "index", "retrieve", "training set", "tokenizer", "tokens", "learn", "rerank",
            "measure",
        )
    },
    "learner.scorer.backbone.vocab_size=500": {
        "tokenizer": {"vocab_size: 600 -> 500"}, "tokens": {"tokenizer.vocab_size: 600 -> 500"},
        "learn": {"scorer.backbone.vocab_size: 600 -> 500"},
        "rerank": {"learner.scorer.backbone.vocab_size: 600 -> 500", "model.scorer.backbone.vocab_size: 600 -> 500"},
        "measure": {
            "learner.scorer.backbone.vocab_size: 600 -> 500", "rerank.model.scorer.backbone.vocab_size: 600 -> 500",
        },
    },
}  # fmt: skip
"""What is set over the finished study, and the only reason of each kind of job"""


@pytest.mark.parametrize("override", CHANGES)
def test_changing_one_value_gives_exactly_that_value_as_the_reason_of_every_job(override, tiny_workspace):
    plan = plan_of(tiny_workspace, override)
    assert reasons(plan) == CHANGES[override]
    for job in to_run(plan):
        (change,) = job.reason.changes
        assert change.field.rpartition(".")[2] == override.partition("=")[0].rpartition(".")[2].replace(
            "depths", change.field.rpartition(".")[2]
        )
        assert JobFolder(tiny_workspace / "jobs" / job.task / job.reason.sibling).complete


def test_a_new_loss_is_compared_with_a_finished_one(tiny_workspace):
    plan = plan_of(tiny_workspace, "grid.learner.loss=[infonce, margin_mse, hinge]")
    assert reasons(plan) == {
        "learn": {"loss: infonce -> hinge"}, "rerank": {"learner.loss: infonce -> hinge"},
        "measure": {"learner.loss: infonce -> hinge"},
    }  # fmt: skip


@pytest.mark.parametrize("words", [("plan",), ("run", "--run-mode", "dry_run")])
def test_asking_what_another_value_would_change_leaves_the_plan_of_the_run(words, tiny_workspace, run_command):
    kept = (tiny_workspace / "plans" / "tiny" / "plan.json").read_bytes()
    process = run_command("xpm-ce", *words, TINY, "-c", "learner.steps=9", "--workdir", tiny_workspace)
    assert process.returncode == 0, process.stderr
    assert "steps: 8 -> 9" in process.stdout
    assert (tiny_workspace / "plans" / "tiny" / "plan.json").read_bytes() == kept


def test_until_the_first_run_the_last_plan_is_kept(tmp_path):
    workspace = Workspace(tmp_path)
    for depth in (10, 20):
        plan_of(tmp_path, f"evaluation.depths=[{depth}]")
        assert workspace.read_plan("tiny")["table"]["depths"] == [depth]
    prepare(Configuration.load(TINY), workspace, to_run=True)
    plan_of(tmp_path, "evaluation.depths=[10]")
    assert workspace.read_plan("tiny")["table"]["depths"] == [10, 20]


def test_a_raised_version_is_the_reason(tiny_workspace, monkeypatch):
    from xpm_ce.losses.infonce import InfoNCE

    monkeypatch.setattr(InfoNCE.__getxpmtype__().arguments["version"], "default", 2)
    assert reasons(plan_of(tiny_workspace)) == {
        "learn": {"loss.version: 1 -> 2"}, "rerank": {"learner.loss.version: 1 -> 2"},
        "measure": {"learner.loss.version: 1 -> 2"},
    }  # fmt: skip


def test_the_reasons_are_the_same_without_what_the_workspace_remembers(workspace_copy):
    kept = workspace_copy / "cache" / "jobs.json"
    assert kept.exists()
    first = {job.identity: job.reason for job in plan_of(workspace_copy, "learner.steps=9").jobs}
    for content in (None, "not JSON", '{"schema": 1, "pairs": [], "jobs": {"a": ["b", [7], [], {}, null]}}'):
        kept.unlink() if content is None else kept.write_text(content)
        assert {job.identity: job.reason for job in plan_of(workspace_copy, "learner.steps=9").jobs} == first


def test_a_job_is_the_same_as_planned_and_as_it_was_given(tiny_workspace):
    for job in plan_of(tiny_workspace).jobs:
        assert signature_of(job.config) == signatures_in(job.folder)[job.identity]


def test_a_job_is_known_where_experimaestro_wrote_it_before_it_marked_it(workspace_copy):
    for job in plan_of(workspace_copy).jobs:
        file = job.folder / PARAMETERS
        written = json.loads(file.read_text())
        written["objects"][-1].pop("task", None)
        file.write_text(json.dumps(written))
        assert signature_of(job.config) == signatures_in(job.folder)[job.identity]
        assert read_parameters(job.folder).task == job.identity


def test_what_one_run_took_is_what_the_next_is_expected_to_take(workspace_copy):
    """Whether it then does take that is up to the machine, and no test."""
    took: dict[str, list[float]] = {}
    for job in plan_of(workspace_copy).jobs:
        took.setdefault(job.kind, []).append(JobFolder(job.folder).record["seconds"])
    plan = plan_of(workspace_copy, "collection.seed=1")
    assert not plan.costs.unknown
    assert plan.costs.by_kind.keys() == took.keys()
    for kind, expected in plan.costs.by_kind.items():
        jobs = sum(job.kind == kind for job in to_run(plan))
        assert 0.999 * min(took[kind]) <= expected / jobs <= 1.001 * max(took[kind]), kind


def test_freed_weights_are_reused_until_a_job_needs_them_and_are_then_the_same_again(workspace_copy, run_command):
    learners = sorted(workspace_copy.glob("jobs/xpm_ce.learn.learner/*"))
    weights = {folder: (folder / "checkpoint" / "model.safetensors").read_bytes() for folder in learners}
    dry = run_command("xpm-ce", "clean", "--workdir", workspace_copy, "--only", "checkpoints", "--json")
    assert json.loads(dry.stdout)["classes"]["checkpoints"]["items"] == 2
    assert all(JobFolder(folder).state == "done" for folder in learners)

    process = run_command("xpm-ce", "clean", "--workdir", workspace_copy, "--perform")
    assert process.returncode == 0, process.stderr
    assert {JobFolder(folder).state for folder in learners} == {"pruned"}
    assert not any((folder / "checkpoint").exists() for folder in learners)
    plan = plan_of(workspace_copy)
    assert not to_run(plan)
    assert {job.reason.why for job in plan.jobs if job.kind == "learn"} == {Why.PRUNED}
    again = run_command("xpm-ce", "run", TINY, "--workdir", workspace_copy)
    assert "nothing to run: all 17 jobs were done before" in again.stdout
    shown = run_command("xpm-ce", "status", "--workdir", workspace_copy).stdout
    assert "2 pruned" in shown

    other_measure = plan_of(workspace_copy, "evaluation.measures=[AP]")
    assert {job.kind for job in to_run(other_measure)} == {"measure"}
    deeper = plan_of(workspace_copy, "evaluation.depths=[10, 25]")
    needed = [job for job in to_run(deeper) if job.kind == "learn"]
    assert {(job.reason.why, job.reason.values[0].split()[0]) for job in needed} == {(Why.PRUNED, "rerank")}
    assert all(job.cost is not None and job.cost.expected > 0 for job in needed)

    (taken,) = [job.folder for job in deeper.jobs if job.kind == "learn" and job.coordinates["loss"] == "infonce"]
    (other,) = [folder for folder in learners if folder != taken]
    deeper_of_one = ("evaluation.depths=[10, 25]", "grid.learner.loss=[infonce]", "evaluation.untrained=false")
    process = run_command("xpm-ce", "run", TINY, "--workdir", workspace_copy, *arguments(*deeper_of_one))
    assert process.returncode == 0, process.stdout + process.stderr
    assert (JobFolder(taken).state, JobFolder(other).state) == ("done", "pruned")
    assert (taken / "checkpoint" / "model.safetensors").read_bytes() == weights[taken]
    assert not (taken / "pruned.json").exists()


def test_a_freed_model_is_not_exported_and_the_message_says_how_to_have_it_again(workspace_copy, run_command, tmp_path):
    run_command("xpm-ce", "clean", "--workdir", workspace_copy, "--perform", "--only", "checkpoints")
    process = run_command("xpm-ce", "export", "loss=infonce", tmp_path / "out", "--workdir", workspace_copy)
    assert process.returncode == 1
    assert "was freed by `xpm-ce clean`" in process.stderr
    (folder,) = {word for word in process.stderr.split() if word.endswith("pruned.json")}
    Path(folder).unlink()
    (job,) = to_run(plan_of(workspace_copy))
    assert (job.kind, job.reason.why) == ("learn", Why.DAMAGED)


def test_two_jobs_and_two_files_are_compared(tiny_workspace, run_command, tmp_path):
    identities = [path.name for path in sorted(tiny_workspace.glob("jobs/xpm_ce.learn.learner/*"))]
    process = run_command("xpm-ce", "diff", *identities, "--workdir", tiny_workspace, "--json")
    (change,) = json.loads(process.stdout)["changes"]
    assert change["field"] == "loss"
    assert {change["before"], change["after"]} == {"infonce", "margin_mse"}
    shutil.copy(TINY, tmp_path / "other.yaml")
    (tmp_path / "other.yaml").write_text(TINY.read_text().replace("steps: 8", "steps: 9"))
    process = run_command("xpm-ce", "diff", TINY, tmp_path / "other.yaml")
    assert process.stdout == "learner.steps: 8 -> 9\n"
    store = next(tiny_workspace.glob("jobs/xpm_ce.data.store_documents/*")).name
    process = run_command("xpm-ce", "diff", identities[0], store, "--workdir", tiny_workspace)
    assert process.returncode == 2
    assert "have no fields in common" in process.stderr


def test_a_plan_lists_the_jobs_that_are_asked_for(tiny_workspace, run_command):
    arguments = ["plan", TINY, "--workdir", tiny_workspace, "-c", "learner.steps=9", "--kind", "learn"]
    process = run_command("xpm-ce", *arguments, "--tag", "loss=infonce", "--json")
    plan = json.loads(process.stdout)
    (job,) = plan["jobs"]
    assert job["coordinates"]["loss"] == "infonce"
    assert job["state"] == State.RUN
    assert job["reason"]["changes"] == [{"field": "steps", "before": 8, "after": 9}]
    low, expected, high = job["cost"]["seconds"]
    assert 0 < low < expected < high
    assert plan["cost"]["jobs"] == 6
    text = run_command("xpm-ce", *arguments).stdout
    assert "2 learn: steps: 8 -> 9" in text
    assert text.count("steps: 8 -> 9 (about") == 2
    assert "Cost: about" in text
