"""A run of some jobs only: what they need that is missing, and what waits for them."""

import json

import pytest
from studies import TINY, plan_of, to_run

from xpm_ce.errors import ConfigurationError
from xpm_ce.experiment import Configuration, prepare
from xpm_ce.graph.narrowing import narrowed
from xpm_ce.graph.planner import State
from xpm_ce.workspace import Workspace


def test_a_learner_alone_brings_what_it_needs_and_what_waits_for_it(tmp_path):
    plan = plan_of(tmp_path)
    (learner, other) = [job for job in plan.jobs if job.kind == "learn"]
    jobs = {job.identity: job for job in narrowed(plan, [learner.identity[:12]]).jobs}
    assert other.identity not in jobs
    above = {identity for job in jobs.values() for identity in job.depends_on}
    assert above <= set(jobs)
    losses = [(job.kind, job.coordinates["loss"]) for job in jobs.values() if "loss" in job.coordinates]
    assert losses == [(kind, learner.coordinates["loss"]) for kind in ("learn", "rerank", "measure")]


@pytest.mark.pipeline
def test_what_is_done_is_reused_and_the_plan_on_disk_stays_whole(workspace_copy):
    file = Workspace(workspace_copy).plan_file("tiny")
    before = file.read_bytes()
    learner = next(job for job in to_run(plan_of(workspace_copy, "learner.steps=9")) if job.kind == "learn")
    configuration = Configuration.load(TINY, ["learner.steps=9"], only=[learner.identity])
    prepared = prepare(configuration, Workspace(workspace_copy), to_run=True)
    assert [job.kind for job in to_run(prepared.plan)] == ["learn", "rerank", "measure"]
    assert any(job.state is State.REUSE for job in prepared.plan.jobs)
    assert file.read_bytes() == before
    assert json.loads(before)["command"]["arguments"] == [str(TINY)]
    assert configuration.run_id != configuration.id


def test_a_job_that_is_not_there_or_has_nothing_to_run_is_refused(tmp_path):
    plan = plan_of(tmp_path)
    with pytest.raises(ConfigurationError, match="no job of tiny starts with zz"):
        narrowed(plan, ["zz"])
    with pytest.raises(ConfigurationError, match="jobs of tiny start with"):
        narrowed(plan, [""])
    plan.jobs[0].state = State.REUSE
    with pytest.raises(ConfigurationError, match="nothing to run"):
        narrowed(plan, [plan.jobs[0].identity])
