"""Collapse: scores that say nothing any more stop a training; a healthy one is left alone, however it begins."""

import pytest
import torch
from learners import learner, make_world, tiny

from xpm_ce.errors import DataError
from xpm_ce.learn import collapse
from xpm_ce.learn.loop import Training, train
from xpm_ce.losses.bce import Bce
from xpm_ce.scorers.cross_encoder import CrossEncoder
from xpm_ce.scorers.families import FAMILIES

pytestmark = pytest.mark.usefixtures("one_thread")

PAIRS = torch.ones(3, 2, dtype=torch.bool)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1.0, 1.0, 2.0, 2.0, -3.0, -3.0], True),
        ([1.0, 1.0 + 5e-6, 2.0, 2.0, -3.0, -3.0], True),  # what fp32 rounds
        ([1.0, 1.0, 2.0, 2.0, -3.0, -3.001], False),  # one query is told apart
        ([0.0] * 6, True),
        ([1e-3, 1.1e-3, 0.0, 1e-4, 0.0, -1e-4], False),  # a head near zero
        ([1e4, 1e4 + 1, 0.0, 1.0, 5.0, 6.0], False),
    ],
)
def test_scores_are_level_where_no_query_has_two_that_differ_by_more_than_rounding(scores, expected):
    assert collapse.level(torch.tensor(scores), PAIRS) is expected


def test_a_query_with_one_document_says_nothing_about_a_collapse():
    alone = torch.tensor([[True, False], [True, False]])
    assert not collapse.level(torch.tensor([1.0, 1.0]), alone)
    beside = torch.tensor([[True, False], [True, True]])
    assert collapse.level(torch.tensor([5.0, 1.0, 1.0]), beside)
    assert not collapse.level(torch.tensor([1.0, 1.0, 2.0]), beside)


def test_a_score_that_is_not_finite_is_named_by_its_query():
    scores = torch.tensor([0.0, 1.0, torch.nan, 1.0, 0.0, torch.inf])
    with pytest.raises(DataError, match=r"a score is nan at step 7, for q2, q3\n"):
        collapse.check_finite(torch.nan, scores, query_ids=["q1", "q2", "q3"], mask=PAIRS, step=7)


def test_a_message_names_eight_queries_at_most():
    assert collapse.named([f"q{i}" for i in range(11)]) == "q0, q1, q2, q3, q4, q5, q6, q7 and 3 more"


def blind(task) -> Training:
    """A training whose model has lost what its head would read."""
    training = Training(task, torch.device("cpu"))
    with torch.no_grad():
        training.scorer.model.classifier.weight.zero_()
        training.scorer.model.classifier.bias.fill_(0.25)
    for weight in training.scorer.parameters():
        weight.requires_grad_(False)
    training.scorer.model.classifier.bias.requires_grad_(True)
    return training


def test_a_collapsed_model_stops_with_the_step_the_score_and_a_query(world, tmp_path):
    training = blind(learner(world, tmp_path, steps=40, loss=Bce.C(), learning_rate=1e-6))
    with pytest.raises(
        DataError, match=r"in 10 steps up to step 10 .* the same score, at last 0\.2[45]\d* for query q\d+"
    ):
        training.run(lambda share, words: None, lambda done: None)
    assert training.position.counts.steps == 9


def test_a_count_that_was_interrupted_goes_on(world, tmp_path):
    task = learner(world, tmp_path, steps=40, loss=Bce.C(), learning_rate=1e-6, checkpoint_interval=7)
    training = blind(task)
    with pytest.raises(DataError):
        training.run(lambda share, words: None, lambda done: None)
    again = Training(task, torch.device("cpu"))
    again.restore()
    assert (again.position.counts.steps, again.position.level_steps) == (7, 7)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_with_a_head_near_zero_in_a_long_warm_up_is_healthy(family, world, tmp_path):
    backbone = tiny(world, family=family, initializer_range=0.02)
    scorer = CrossEncoder.C(backbone=backbone, max_length=32, max_query_length=8)
    task = learner(world, tmp_path, scorer=scorer, steps=15, warmup_steps=14, learning_rate=1e-6)
    train(task)
    assert task.checkpoint.exists()
