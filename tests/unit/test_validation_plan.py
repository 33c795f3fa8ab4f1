"""Validation as a study says it: what it adds to a plan, what rules share, and what a user is told."""

import pytest
from conftest import plan_of

from xpm_ce.errors import ConfigurationError
from xpm_ce.graph.plan import Plan

VALIDATION = "learner.validation={sets: [{split: validation}], interval: 2, depth: 5}"
ONE = "grid={loss: {InfoNCE: {learner.loss: infonce}}}"


def identities(plan: Plan, kind: str) -> set[str]:
    return {job.identity for job in plan.jobs if job.kind == kind}


def validation_of(plan: Plan):
    (job,) = [job for job in plan.jobs if job.kind == "learn"]
    return job.config.validation


def test_a_validation_adds_its_first_stage_and_another_learner(workspace):
    without, with_it = plan_of(workspace, ONE), plan_of(workspace, ONE, VALIDATION)
    assert identities(without, "retrieve") < identities(with_it, "retrieve")
    assert not identities(without, "learn") & identities(with_it, "learn")
    validation = validation_of(with_it)
    assert (validation.interval, validation.depth, validation.measure) == (2, 5, "nDCG@10")
    (source,) = validation.sets
    assert source.name == "validation"
    (learner,) = [job for job in with_it.jobs if job.kind == "learn"]
    assert source.run.__xpm__.task.__xpm__.identifier.all.hex() in learner.depends_on
    assert source.tokens is learner.config.tokens


def test_a_part_of_the_training_queries_can_be_validated_on(workspace):
    """The generated collection has a validation split of its own, hence another way round here."""
    keys = VALIDATION.replace("split: validation", "split: train")
    plan = plan_of(workspace, ONE, keys)
    assert [each.name for each in validation_of(plan).sets] == ["train"]


def test_two_rules_share_the_learner_and_nothing_after_it(workspace):
    grid = "grid={learner.loss: [infonce], learner.keep: [last, best]}"
    plan = plan_of(workspace, grid, VALIDATION)
    assert len(identities(plan, "learn")) == 1
    trained = [job for job in plan.jobs if job.kind == "rerank" and "keep" in job.coordinates]
    assert sorted(job.config.model.rule for job in trained if "system" not in job.coordinates) == ["best", "last"]
    assert len({job.identity for job in trained}) == len(trained)
    (learner,) = identities(plan, "learn")
    assert all(learner in job.depends_on for job in trained if "system" not in job.coordinates)
    folders = {job.config.model.path.name for job in trained if "system" not in job.coordinates}
    assert folders == {"best", "checkpoint"}


def test_the_order_of_sets_does_not_matter(workspace):
    one, other = (
        plan_of(workspace, ONE, f"learner.validation={{sets: [{sets}], interval: 2}}")
        for sets in ("{split: validation}, {split: train}", "{split: train}, {split: validation, name: held out}")
    )
    assert identities(one, "learn") == identities(other, "learn")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["learner.keep=best"], "keep needs a validation"),
        (["learner.validation={interval: 2}"], r"learner\.validation\.sets is missing"),
        (["learner.validation={sets: [{split: validation}]}"], r"learner\.validation\.interval is missing"),
        (["learner.validation={sets: [{splits: validation}], interval: 2}"], r"Did you mean .*split\?"),
        (["learner.validation={sets: [], interval: 2}"], "sets is empty"),
        (["learner.validation={sets: [{split: validation}], interval: 2, measure: NDGC@10}"], "NDGC"),
        (["learner.schedule=wsd"], "decay_steps is 0"),
        (["learner.decay_steps=2"], "decay_steps is 2, which schedule linear does not take"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(overrides, message, workspace):
    with pytest.raises(ConfigurationError, match=message) as caught:
        plan_of(workspace, ONE, *overrides)
    assert "study.yaml:" in str(caught.value) or "-c learner." in str(caught.value)
