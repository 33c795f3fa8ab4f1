"""What a plan does with jobs whose files were freed: reuse, until a job that must run takes them in."""

import json

import pytest
from conftest import ABOVE_LEARNERS, plan_of, run_as_job

from xpm_ce.graph.plan import Plan
from xpm_ce.graph.planner import PlannedJob
from xpm_ce.graph.states import State, Why
from xpm_ce.workspace import JobFolder, Workspace


@pytest.fixture
def prepared(workspace) -> Workspace:
    """Everything above the learners is done."""
    for job in plan_of(workspace).jobs:
        if job.kind in ABOVE_LEARNERS:
            run_as_job(job)
            JobFolder(job.folder).done_marker.touch()
    return workspace


def of_kind(plan: Plan, kind: str) -> PlannedJob:
    (job,) = [job for job in plan.jobs if job.kind == kind]
    return job


def prune(job: PlannedJob) -> None:
    """Free all that a job has left, as `xpm-ce clean` would."""
    files = (JobFolder(job.folder).record or {})["files"]
    (job.folder / "pruned.json").write_text(json.dumps({"schema": 1, "files": files}))
    for file in files:
        (job.folder / file["path"]).unlink()


def test_what_no_job_to_run_takes_in_stays_pruned(prepared):
    plan = plan_of(prepared)
    prune(of_kind(plan, "collection"))  # the learners take it in
    prune(of_kind(plan, "index"))  # only retrievals do, which are done
    plan = plan_of(prepared)
    index, collection = of_kind(plan, "index"), of_kind(plan, "collection")
    assert (index.state, index.reason.why, index.reason.values) == (State.REUSE, Why.PRUNED, ())
    assert (collection.state, collection.reason.why) == (State.RUN, Why.PRUNED)
    assert collection.reason.values[0].startswith("measure ")  # the first in the plan
    assert collection.reason.values[-1].endswith(" more")
    assert str(collection.reason).startswith("pruned, and needed by measure ")
    assert plan.counts_by_kind["store"] == {"reuse": 1, "run": 0, "blocked": 0}


def test_what_a_pruned_job_needs_to_run_again_runs_again_too(prepared):
    (retrieval,) = [
        job for job in plan_of(prepared).jobs if job.kind == "retrieve" and job.coordinates == {"set": "test"}
    ]
    prune(retrieval)
    prune(of_kind(plan_of(prepared), "index"))
    plan = plan_of(prepared)
    index = of_kind(plan, "index")
    assert (index.state, str(index.reason)) == (
        State.RUN, f"pruned, and needed by retrieve {retrieval.identity[:8]}",
    )  # fmt: skip
    assert index.cost is not None
    assert index.cost.comparable == 1
    assert plan.counts_by_kind["retrieve"] == {"reuse": 1, "run": 1, "blocked": 0}
    assert plan.counts_by_kind["store"] == {"reuse": 1, "run": 0, "blocked": 0}


def test_a_pruned_job_that_cannot_run_here_is_blocked_with_all_that_needs_it(prepared, monkeypatch):
    prune(of_kind(plan_of(prepared), "tokens"))
    assert of_kind(plan_of(prepared), "tokens").state is State.RUN
    from xpm_ce.tokens.store import TokeniseDocuments

    monkeypatch.setattr(TokeniseDocuments, "obstacle", "no tokenizer here", raising=False)
    plan = plan_of(prepared)
    assert (of_kind(plan, "tokens").state, of_kind(plan, "tokens").reason.why) == (State.BLOCKED, Why.UNAVAILABLE)
    learners = [job for job in plan.jobs if job.kind == "learn"]
    assert {(job.state, job.reason.why) for job in learners} == {(State.BLOCKED, Why.UPSTREAM_BLOCKED)}
    below = [job for job in plan.jobs if job.kind == "measure" and job.coordinates.get("system") is None]
    assert {job.state for job in below} == {State.BLOCKED}


def test_a_pruned_job_that_ran_again_is_done(prepared):
    job = of_kind(plan_of(prepared), "index")
    prune(job)
    assert JobFolder(job.folder).state == "pruned"
    job.config.instance(_context(job)).execute()
    assert JobFolder(job.folder).state == "done"
    assert not (job.folder / "pruned.json").exists()


def _context(job: PlannedJob):
    from experimaestro import DirectoryContext

    return DirectoryContext(job.folder)


def test_a_file_that_is_missing_beside_the_freed_ones_is_damage(prepared):
    job = of_kind(plan_of(prepared), "index")
    listed = (JobFolder(job.folder).record or {})["files"]
    (job.folder / "pruned.json").write_text(json.dumps({"schema": 1, "files": listed[:1]}))
    assert JobFolder(job.folder).state == "done"  # nothing was removed yet: freeing was cut short
    for file in listed[:2]:
        (job.folder / file["path"]).unlink()
    again = of_kind(plan_of(prepared), "index")
    assert (again.state, again.reason.why, again.reason.values) == (State.RUN, Why.DAMAGED, (listed[1]["path"],))
