"""Reasons of a plan whose siblings were never planned together with it: from the folders of the jobs that ran."""

import json

from conftest import plan_of, run_as_job

from xpm_ce.graph.past import PastJobs
from xpm_ce.graph.plan import Plan
from xpm_ce.graph.states import State, Why
from xpm_ce.workspace import JobFolder, Workspace

CHEAP = ("collection", "store", "index", "retrieve", "training set")


def run(plan: Plan) -> None:
    """Execute the jobs that take no training."""
    for job in plan.jobs:
        if job.kind in CHEAP and job.state is State.RUN:
            run_as_job(job)
            JobFolder(job.folder).done_marker.touch()


def reasons(plan: Plan, kind: str) -> set[str]:
    return {str(job.reason) for job in plan.jobs if job.kind == kind}


def test_what_hangs_off_a_changed_job_is_compared_with_what_hung_off_the_one_before(workspace):
    run(plan_of(workspace))
    run(plan_of(workspace, "training_set.random_documents=5"))
    changed = plan_of(workspace, "first_stage.depth=20", "training_set.random_documents=5")
    assert reasons(changed, "retrieve") == {"depth: 30 -> 20"}
    assert reasons(changed, "training set") == {"first_stage.depth: 30 -> 20"}


def test_an_input_that_must_run_is_as_near_to_others_as_the_finished_one_that_it_comes_from(workspace):
    run(plan_of(workspace, "training_set.random_documents=5"))
    run(plan_of(workspace, "training_set.random_documents=7", "first_stage.depth=60", "first_stage.k1=1.2"))
    changed = plan_of(workspace, "training_set.random_documents=6", "first_stage.depth=20")
    assert reasons(changed, "training set") == {"random_documents: 5 -> 6, first_stage.depth: 30 -> 20"}


def test_a_job_is_compared_with_the_finished_one_that_is_nearest(workspace):
    run(plan_of(workspace))
    run(plan_of(workspace, "first_stage.k1=1.2", "first_stage.depth=20"))
    assert reasons(
        plan_of(workspace, "first_stage.k1=1.2", "first_stage.b=0.5", "first_stage.depth=20"), "retrieve"
    ) == {"b: 0.4 -> 0.5"}
    far = plan_of(workspace, "first_stage.k1=1.2", "first_stage.b=0.5")
    assert reasons(far, "retrieve") == {
        "depth: 20 -> 30, b: 0.4 -> 0.5"
    }  # of two that are as near, that of the last run


def test_a_type_of_which_nothing_has_finished_was_never_run(workspace):
    run(plan_of(workspace))
    plan = plan_of(workspace)
    assert {job.reason.why for job in plan.jobs if job.kind in ("learn", "rerank", "measure")} == {Why.NEVER_RUN}


def test_a_job_that_failed_says_so_and_what_hangs_off_it_still_names_the_change(workspace):
    run(plan_of(workspace))
    (index,) = [job for job in plan_of(workspace, "store.text='{text}'").jobs if job.kind == "index"]
    index.folder.mkdir(parents=True)
    (index.folder / "failure.json").write_text(json.dumps({"what": "it broke"}))
    plan = plan_of(workspace, "store.text='{text}'")
    assert reasons(plan, "index") == {"failed before"}
    assert reasons(plan, "store") == {"text: {title} {text} -> {text}"}
    assert reasons(plan, "retrieve") == {"store.text: {title} {text} -> {text}"}


def test_jobs_whose_parameters_cannot_be_read_are_no_siblings(workspace):
    run(plan_of(workspace))
    for file in workspace.path.glob("jobs/xpm_ce.firststage.retrieve/*/params.json"):
        file.write_text("{}")
    (workspace.path / "cache" / "jobs.json").unlink(missing_ok=True)
    assert reasons(plan_of(workspace, "first_stage.depth=20"), "retrieve") == {"never run"}


def test_what_the_workspace_remembers_is_what_was_learnt(workspace):
    plan = plan_of(workspace)
    past = PastJobs(workspace)
    past.learn(plan.jobs, keep=True)
    past.save()
    again = PastJobs(Workspace(workspace.path))
    for job in plan.jobs:
        assert again.signature(job.identity) == past.signature(job.identity) is not None
