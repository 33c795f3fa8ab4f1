"""Cross-fitted teachers, planned: which jobs there are, what they depend on, and what is refused."""

import pytest
import yaml
from studies import TINY, plan_of, study

from xpm_ce.errors import ConfigurationError
from xpm_ce.graph.teachers import laid_over
from xpm_ce.settings import Node

LEARNER = {
    "loss": "infonce", "sampler": {"type": "groups", "queries": 4, "negatives": 1}, "steps": 5, "learning_rate": 1e-3
}  # fmt: skip


def taught(*, learner=None, kind="mined", **cross_fitted):
    """A training set with cross-fitted teachers."""
    keys = {"last_rank": 10} if kind == "mined" else {"depth": 10}
    return {
        "type": kind,
        **keys,
        "teacher": {"cross_fitted": {**cross_fitted, "learner": {**LEARNER, **(learner or {})}}},
    }


def planned(tmp_path, training_set, *overrides, **sections):
    sections = {"grid": {"learner.loss": ["margin_mse"]}, **sections}
    return plan_of(tmp_path / "workspace", *overrides, file=study(tmp_path, training_set=training_set, **sections))


def teachers(plan, kind):
    """The teachers' jobs of a kind, with their coordinates."""
    return {
        job.identity: job.coordinates
        for job in plan.jobs
        if job.kind == kind and job.coordinates.get("system") == "teacher"
    }


def upstream(plan, identity):
    """Identities of everything that a job depends on."""
    depends_on = {job.identity: job.depends_on for job in plan.jobs}
    found, waiting = set(), [identity]
    while waiting:
        for below in depends_on[waiting.pop()]:
            if below not in found:
                found.add(below)
                waiting.append(below)
    return found


@pytest.mark.parametrize("kind", ["mined", "run"])
def test_each_fold_has_a_teacher_that_is_trained_and_re_ranks_and_their_runs_are_joined(tmp_path, kind):
    plan = planned(tmp_path, taught(kind=kind, folds=3))
    folds = [{"set": "train", "system": "teacher", "fold": number} for number in "123"]
    for stage in ("training set", "learn", "candidates", "rerank"):
        assert list(teachers(plan, stage).values()) == folds
    assert list(teachers(plan, "join").values()) == [{"set": "train", "system": "teacher"}]
    (student,) = [job for job in plan.jobs if job.coordinates.get("loss") == "margin_mse" and job.kind == "learn"]
    assert set(teachers(plan, "learn")) < upstream(plan, student.identity)


def test_no_teacher_depends_on_what_another_teacher_computed(tmp_path):
    plan = planned(tmp_path, taught())
    for stage in ("learn", "rerank"):
        first, second = teachers(plan, stage)
        assert len(upstream(plan, first) & set(teachers(plan, "learn")) - {first}) == (stage == "rerank")
        assert not upstream(plan, first) & set(teachers(plan, "rerank"))
        assert first != second


@pytest.mark.parametrize(
    "changed", [{"folds": 3}, {"seed": 1}, {"precision": "bf16"}, {"learner": {"steps": 6}}, {"training_set": {}}]
)
def test_what_changes_a_teacher_changes_the_training_set(tmp_path, changed):
    def training_set(**settings):
        plan = planned(tmp_path, taught(**settings))
        (student,) = [job for job in plan.jobs if job.kind == "training set" and job.coordinates == {"set": "train"}]
        return student.identity

    assert training_set() != training_set(**changed)


def test_a_teacher_has_the_scorer_of_the_study_with_its_own_keys_laid_over_and_its_device(tmp_path):
    plan = planned(
        tmp_path, taught(learner={"scorer": {"head_seed": 7, "backbone": {"seed": 5}}}), "learner.device=cuda:1",
        "learner.checkpoint_interval=3", "evaluation.device=cuda:2",
    )  # fmt: skip
    for identity in teachers(plan, "learn"):
        (learner,) = [job.config for job in plan.jobs if job.identity == identity]
        assert (learner.scorer.head_seed, learner.scorer.backbone.seed) == (7, 5)
        assert (learner.scorer.max_length, learner.scorer.backbone.hidden_size) == (32, 16)
        assert (learner.device, learner.checkpoint_interval, learner.steps) == ("cuda:1", 3, 5)
    for identity in teachers(plan, "rerank"):
        (rerank,) = [job.config for job in plan.jobs if job.identity == identity]
        assert rerank.device == "cuda:2"


def test_a_tokenizer_that_is_trained_for_a_teacher_does_not_see_its_fold(tmp_path):
    plan = planned(tmp_path, taught())
    configs = {job.identity: job.config for job in plan.jobs}
    kinds = {job.identity: job.kind for job in plan.jobs}
    for identity, coordinates in teachers(plan, "learn").items():
        (tokenizer,) = [job for job in upstream(plan, identity) if kinds[job] == "tokenizer"]
        fold = configs[tokenizer].queries.fold
        assert (str(fold.number), fold.outside) == (coordinates["fold"], True)


def test_points_of_a_grid_share_their_teachers_unless_the_grid_varies_the_scorer(tmp_path):
    grid = {"learner.loss": ["margin_mse", "adr_mse"], "learner.seed, learner.scorer.head_seed": [1, 2]}
    plan = planned(tmp_path, taught(learner={"scorer": {"head_seed": 0}}), grid=grid)
    assert len(teachers(plan, "learn")) == 2
    plan = planned(tmp_path, taught(), grid=grid)
    assert len(teachers(plan, "learn")) == 4


def test_a_loss_that_needs_no_teacher_can_do_without_and_waits_for_none(tmp_path):
    points = {
        "InfoNCE": {"learner.loss": "infonce", "training_set.teacher": None},
        "MarginMSE": {"learner.loss": "margin_mse"},
    }
    plan = planned(tmp_path, taught(), grid={"loss": points})
    (learner,) = [job for job in plan.jobs if job.kind == "learn" and job.coordinates.get("loss") == "InfoNCE"]
    assert not upstream(plan, learner.identity) & set(teachers(plan, "learn"))
    alone = planned(tmp_path, {"type": "mined", "last_rank": 10}, grid={"learner.loss": ["infonce"]})
    assert learner.identity in {job.identity for job in alone.jobs}


@pytest.mark.parametrize(
    ("teacher", "what", "remedy"),
    [
        ({"cross_fited": {}}, "unknown key training_set.teacher.cross_fited", "training_set.teacher.cross_fitted"),
        ({"cross_fitted": {"fold": 2}}, "unknown key training_set.teacher.cross_fitted.fold", "cross_fitted.folds?"),
        ({"cross_fitted": {"folds": 2}}, "training_set.teacher.cross_fitted.learner is missing", "how teachers are"),
        ({"cross_fitted": {"folds": 1, "learner": LEARNER}}, "folds is 1", "Give 2 or more"),
        ({"cross_fitted": {"learner": {**LEARNER, "step": 3}}}, "learner.step", "learner.steps?"),
        ({"cross_fitted": {"learner": {**LEARNER, "loss": "margin_mse"}}}, "needs teacher scores", "infonce"),
        ({"cross_fitted": {"training_set": {"type": "run"}, "learner": LEARNER}}, "training set of a teacher", "mined"),
        ({"cross_fitted": {"training_set": {"lastrank": 3}, "learner": LEARNER}}, "training_set.lastrank", "last_rank"),
        ({"cross_fitted": {"learner": LEARNER}, "depth": 3}, "training_set.teacher.depth is for", "Remove it"),
        ({"cross_fitted": {"learner": LEARNER}, "path": "x"}, "names 2 sources", "path, model, cross_fitted"),
        ({"depth": 3}, "names 0 sources", "path, model, cross_fitted"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_teacher_is_refused_at_its_line(tmp_path, teacher, what, remedy):
    with pytest.raises(ConfigurationError) as error:
        planned(tmp_path, {"type": "mined", "teacher": teacher})
    assert what in error.value.what
    assert remedy in error.value.remedy
    file, line = error.value.where.rsplit(":", 1)
    assert file.endswith("study.yaml")
    assert int(line) > len(yaml.safe_load(TINY.read_text())["collection"])


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4}}, {"a": 1, "b": {"c": 4, "d": 3}}),
        ({"a": {"type": "x", "b": 1}}, {"a": {"type": "y"}}, {"a": {"type": "y"}}),
        ({"a": {"b": 1}}, {"a": "x", "c": 2}, {"a": "x", "c": 2}),
        ({"a": 1}, {"type": "y"}, {"type": "y"}),
        ({"a": 1}, None, {"a": 1}),
    ],
)
def test_keys_are_laid_over_and_what_names_its_type_is_taken_whole(base, over, expected):
    nodes = [Node.of(value, where="here") if value is not None else None for value in (base, over)]
    assert laid_over(*nodes).plain() == expected
