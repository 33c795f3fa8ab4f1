"""What planning finds that saves work: a shorter training whose state a longer one goes on with, and when not."""

from pathlib import Path

import pytest
import torch
from conftest import ABOVE_LEARNERS, plan_of, run_as_job

from xpm_ce.graph.plan import Plan
from xpm_ce.graph.planner import PlannedJob, State


def with_steps(*steps: int, **keys: object) -> list[str]:
    """Overrides for a grid of numbers of steps with a constant schedule, unless `keys` say otherwise."""
    points = ", ".join(f"s{each}: {{learner.steps: {each}}}" for each in steps)
    settings = {"schedule": "constant", "loss": "infonce", **keys}
    return [f"grid={{steps: {{{points}}}}}", *(f"learner.{key}={value}" for key, value in settings.items())]


def run(plan: Plan) -> None:
    """Execute the jobs of a plan up to its learners, as experimaestro would."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for job in plan.jobs:
        if job.kind in (*ABOVE_LEARNERS, "learn") and job.state is State.RUN:
            run_as_job(job)
            (job.folder / f"{job.task.rpartition('.')[2]}.done").touch()
    torch.set_num_threads(threads)


def learners(plan: Plan) -> dict[int, PlannedJob]:
    return {job.config.__xpm__.values["steps"]: job for job in plan.jobs if job.kind == "learn"}


def continued(plan: Plan) -> dict[int, Path | None]:
    """The folder that each learner goes on from, by its steps."""
    return {steps: job.config.__xpm__.values["continue_from"] for steps, job in learners(plan).items()}


def test_a_longer_training_goes_on_with_the_longest_finished_one(workspace):
    run(plan_of(workspace, *with_steps(4, 6)))
    plan = plan_of(workspace, *with_steps(10))
    (folder,) = {path.parent for path in workspace.path.glob("jobs/*/*/kept.json") if '"steps": 6,' in path.read_text()}
    assert continued(plan) == {10: folder}
    assert not learners(plan)[10].after
    (folder / ".state" / "state.pt").parent.rename(folder / "thrown away")
    assert continued(plan_of(workspace, *with_steps(10)))[10] not in (None, folder)


def test_in_one_grid_the_shorter_training_comes_first_and_the_longer_one_waits(workspace):
    plan = plan_of(workspace, *with_steps(10, 4, 7))
    found = learners(plan)
    assert list(found) == [4, 7, 10]
    assert continued(plan) == {4: None, 7: found[4].folder, 10: found[7].folder}
    assert {steps: job.after for steps, job in found.items()} == {
        4: [],
        7: [found[4].identity],
        10: [found[7].identity],
    }
    assert found[7].identity in found[10].depends_on
    places = {job.identity: place for place, job in enumerate(plan.jobs)}
    for job in plan.jobs:
        assert all(places[each] < places[job.identity] for each in job.depends_on)
    run(plan)
    assert plan_of(workspace, *with_steps(10, 4, 7)).counts_by_kind["learn"] == {"reuse": 3, "run": 0, "blocked": 0}


@pytest.mark.parametrize(
    "keys",
    [{"schedule": "linear"}, {"keep_state": "false"}, {"schedule": "wsd", "decay_steps": 4, "warmup_steps": 0}],
    ids=["linear", "not kept", "all decay"],
)
def test_where_it_cannot_go_on_it_is_not_offered(keys, workspace):
    steps = (4, 10)
    assert continued(plan_of(workspace, *with_steps(*steps, **keys))) == {4: None, 10: None}
    run(plan_of(workspace, *with_steps(4, **keys)))
    assert continued(plan_of(workspace, *with_steps(*steps, **keys))) == {4: None, 10: None}


def test_another_learner_is_not_gone_on_with(workspace):
    run(plan_of(workspace, *with_steps(4)))
    for changed in ({"seed": 2}, {"learning_rate": 1e-4}, {"warmup_steps": 1}, {"schedule": "wsd", "decay_steps": 2}):
        assert continued(plan_of(workspace, *with_steps(10, **changed))) == {10: None}
    unchanged = continued(plan_of(workspace, *with_steps(10, device="cpu", checkpoint_interval=3)))
    assert unchanged[10] is not None


def test_a_user_cannot_name_the_state_to_go_on_with(workspace):
    with pytest.raises(Exception, match="continue_from"):
        plan_of(workspace, *with_steps(4, continue_from="/elsewhere"))
