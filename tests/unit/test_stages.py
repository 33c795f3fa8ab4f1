"""Training in stages, planned: which learners there are, what they share with single trainings, what is refused."""

import numpy as np
import pytest
import torch
from studies import plan_of, study

from xpm_ce.errors import ConfigurationError
from xpm_ce.scorers.architecture import Architecture
from xpm_ce.scorers.cross_encoder import CrossEncoder
from xpm_ce.scorers.loading import LoadedModel, load
from xpm_ce.scorers.models import Checkpoint
from xpm_ce.scorers.started import StartedScorer
from xpm_ce.tokens.train_wordpiece import save_tokenizer, train_vocabulary, word_counts
from xpm_ce.tokens.wordpiece import TokenizerFolder

CONTRASTIVE = {"loss": "infonce", "sampler": {"type": "groups", "queries": 4, "negatives": 3}, "steps": 6}
TWO_STAGES = {"learner.loss": "distill_ranknet", "learner.start_from": CONTRASTIVE}
ALONE = {f"learner.{key}": value for key, value in CONTRASTIVE.items()}


def planned(tmp_path, grid, *overrides):
    return plan_of(tmp_path / "workspace", *overrides, file=study(tmp_path, grid=grid))


def learners(plan):
    return {job.identity: job for job in plan.jobs if job.kind == "learn"}


def of_kind(plan, kind):
    return [job for job in plan.jobs if job.kind == kind]


def test_the_first_stage_is_the_training_that_its_keys_describe_alone(tmp_path):
    plan = planned(tmp_path, {"training": {"InfoNCE": ALONE, "two stages": TWO_STAGES}})
    alone, both = learners(plan).values()
    assert [job.coordinates for job in (alone, both)] == [{"training": "InfoNCE"}, {"training": "two stages"}]
    assert alone.identity in both.depends_on
    assert len(of_kind(plan, "tokens")) == 1
    assert [result.coordinates for result in plan.results if result.system == "untrained"] == [{}]
    assert len(of_kind(plan, "measure")) == 4


def test_seeds_run_through_both_stages_and_stages_of_equal_losses_are_one_job(tmp_path):
    grid = {
        "loss": {"RankNET": TWO_STAGES, "ADR-MSE": {**TWO_STAGES, "learner.loss": "adr_mse"}},
        "learner.seed, learner.scorer.head_seed": [1, 2, 3],
    }
    plan = planned(tmp_path, grid)
    first = [job for job in learners(plan).values() if job.coordinates.get("stage") == "before"]
    assert [job.coordinates["seed"] for job in first] == ["1", "2", "3"]
    assert len(learners(plan)) == 3 + 6


def test_the_first_stage_may_have_its_own_data(tmp_path):
    own = {**CONTRASTIVE, "training_set": {"type": "mined", "last_rank": 10}}
    plan = planned(tmp_path, {"n": {"a": {**TWO_STAGES, "learner.start_from": own}}})
    assert len(of_kind(plan, "training set")) == 2
    inherited = planned(tmp_path, {"n": {"a": TWO_STAGES}})
    assert len(of_kind(inherited, "training set")) == 1
    assert learners(plan).keys().isdisjoint(learners(inherited))


def test_stages_nest(tmp_path):
    inner = {**CONTRASTIVE, "start_from": {"steps": 3}}
    plan = planned(tmp_path, {"n": {"a": {**TWO_STAGES, "learner.start_from": inner}}})
    first, second, third = learners(plan).values()
    assert (first.identity in second.depends_on, second.identity in third.depends_on) == (True, True)


def test_null_starts_from_the_backbone(tmp_path):
    grid = {"n": {"a": {"learner.loss": "infonce"}, "b": {"learner.loss": "infonce", "learner.start_from": None}}}
    assert len(learners(planned(tmp_path, grid))) == 1


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("infonce", "describes a training"),
        ({"scorer": {"max_length": 16}}, r"learner\.start_from\.scorer cannot be given"),
        ({"stepz": 3}, r"learner\.stepz"),
        ({"loss": "adr_mse", "training_set": {"type": "mined"}}, "loss adr_mse needs teacher order"),
    ],
)
def test_what_cannot_be_a_first_stage_is_refused_with_its_line(tmp_path, start, message):
    with pytest.raises(ConfigurationError, match=message) as refused:
        planned(tmp_path, {"n": {"a": {"learner.loss": "distill_ranknet", "learner.start_from": start}}})
    assert "study.yaml:" in refused.value.where


def test_a_started_scorer_has_the_weights_and_the_limits_of_the_checkpoint_and_can_be_trained(tmp_path):
    save_tokenizer(tmp_path / "tokenizer", train_vocabulary(word_counts(["alpha beta gamma"] * 3), size=100))
    tokenizer = TokenizerFolder.C(path=tmp_path / "tokenizer")
    architecture = Architecture.C(
        family="bert", hidden_size=16, num_layers=1, num_heads=2, intermediate_size=16, max_positions=16,
        initializer_range=0.3, tokenizer=tokenizer,
    )  # fmt: skip
    origin = CrossEncoder.C(backbone=architecture, max_length=16, max_query_length=4, head_seed=3)
    trained = origin.instance().build()
    with torch.no_grad():
        for weights in trained.parameters():
            weights.add_(0.05 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(1)))
    trained.save(tmp_path / "checkpoint")
    started = StartedScorer.C(checkpoint=Checkpoint.C(path=tmp_path / "checkpoint"), origin=origin)
    assert started.own_tokenizer(None) is tokenizer
    assert started.untrained is origin
    scorer = started.instance().build()
    assert not scorer.head_is_new
    assert (scorer.limits.max_length, scorer.limits.max_query_length) == (16, 4)
    for name, weights in trained.state_dict().items():
        assert torch.equal(scorer.state_dict()[name], weights)
    pairs = [("alpha beta", "gamma"), ("gamma", "alpha alpha beta")]
    expected = load(tmp_path / "checkpoint").predict(pairs)
    assert not np.array_equal(expected, LoadedModel(origin.instance().build()).predict(pairs))
    scorer.prepare_training()
    assert all(weights.requires_grad for weights in scorer.parameters())
