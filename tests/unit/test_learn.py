"""The learner: it learns, it resumes to the bit, its gradient does not depend on batches, and its ledger is true."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from experimaestro.xpmutils import DirectoryContext
from learners import (
    Interrupted,
    ToyQueries,
    assert_same_weights,
    curve,
    interrupt_at,
    learner,
    learner_config,
    make_world,
    tiny,
    weights,
)
from transformers import AutoTokenizer

from xpm_ce.data.stored_documents import StoredDocuments
from xpm_ce.data.supervision import LABELS, TEACHER_SCORES
from xpm_ce.data.training_set import TrainingGroup, TrainingSet, write_training_set
from xpm_ce.engine.compute import check_computed
from xpm_ce.engine.dropout import DropoutKeys, KeyedDropout, Place, kept, mixed, row_keys, sequence_keys
from xpm_ce.engine.precision import capabilities
from xpm_ce.errors import ConfigurationError, DataError, MachineError
from xpm_ce.learn.curve import CurveFile, CurvePoint
from xpm_ce.learn.learner import Learner
from xpm_ce.learn.loop import Training, train
from xpm_ce.learn.optimisation import Optimisation
from xpm_ce.learn.schedules import SCHEDULES, Course
from xpm_ce.learn.step import gradient
from xpm_ce.losses.bce import Bce
from xpm_ce.losses.infonce import InfoNCE
from xpm_ce.losses.loss import Loss
from xpm_ce.losses.margin_mse import MarginMSE
from xpm_ce.samplers.groups import GroupSampler
from xpm_ce.scorers.cross_encoder import CrossEncoder
from xpm_ce.scorers.families import FAMILIES
from xpm_ce.scorers.models import Checkpoint


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


pytestmark = pytest.mark.usefixtures("one_thread")


# -- learning -----------------------------------------------------------------------------------------------


def test_the_loss_falls_on_a_task_that_can_be_learnt(world, tmp_path):
    task = learner(world, tmp_path, steps=80, warmup_steps=10)
    train(task)
    losses = [float(row["loss"]) for row in curve(task)]
    assert len(losses) == 80
    assert np.mean(losses[-10:]) < 0.1 * np.mean(losses[:10])


def test_a_checkpoint_is_a_model_that_prefers_what_was_relevant(world, tmp_path):
    config = learner_config(world, steps=80, warmup_steps=10)
    task = config.instance(DirectoryContext(tmp_path))
    train(task)
    scores = Checkpoint.C(path=task.checkpoint).instance().open().predict([("kara", "nuse good"), ("kara", "bad nuse")])
    assert scores[0] > scores[1] + 0.5


def test_the_same_learner_twice_gives_the_same_bytes_whatever_was_drawn_before(world, tmp_path):
    one, other = (learner(world, tmp_path / name, dropout=0.1) for name in "ab")
    train(one)
    torch.manual_seed(99)
    train(other)
    for file in one.checkpoint.iterdir():
        assert file.read_bytes() == (other.checkpoint / file.name).read_bytes(), file.name


@pytest.mark.parametrize("changed", [{"seed": 1}, {"dropout": 0.2}, {"steps": 9}, {"schedule": "constant"}])
def test_what_is_declared_changes_the_weights(changed, world, tmp_path):
    one, other = (learner(world, tmp_path / name, **parameters) for name, parameters in (("a", {}), ("b", changed)))
    train(one)
    train(other)
    assert not torch.equal(weights(one)["classifier.weight"], weights(other)["classifier.weight"])


def test_the_first_update_is_none_and_warm_up_rises_linearly(world, tmp_path):
    task = learner(world, tmp_path, steps=8, warmup_steps=4, learning_rate=1e-3)
    train(task)
    rates = [float(row["learning_rate"]) for row in curve(task)]
    assert rates == pytest.approx([0, 2.5e-4, 5e-4, 7.5e-4, 1e-3, 7.5e-4, 5e-4, 2.5e-4])


def test_biases_and_norms_do_not_decay(world, tmp_path):
    """With a loss of 0 everywhere, decay alone moves weights."""
    still = {"loss": Nothing.C(), "learning_rate": 0.1, "warmup_steps": 0, "schedule": "constant", "steps": 1}
    task = learner(world, tmp_path, weight_decay=0.5, **still)
    before = {name: weight.clone() for name, weight in task.scorer.build().model.state_dict().items()}
    train(task)
    for name, weight in weights(task).items():
        factor = 0.95 if weight.ndim > 1 else 1.0
        torch.testing.assert_close(weight, before[name] * factor, msg=name)


def test_a_gradient_is_scaled_down_to_one_norm_over_all_weights():
    weights = [torch.nn.Parameter(torch.zeros(2, 2)), torch.nn.Parameter(torch.zeros(3))]
    course = {"schedule": SCHEDULES["constant"], "course": Course(1)}
    optimisation = Optimisation(weights, learning_rate=1.0, weight_decay=0.0, max_gradient_norm=2.0, **course)
    for weight, value in zip(weights, (3.0, 4.0), strict=True):
        weight.grad = torch.full_like(weight, value)
    assert optimisation.gradient_norm() == pytest.approx(math.sqrt(4 * 9 + 3 * 16))
    norms = [float(weight.grad.norm()) for weight in weights]
    assert math.hypot(*norms) == pytest.approx(2.0)
    assert norms[0] / norms[1] == pytest.approx(6 / math.sqrt(48))
    for weight in weights:
        weight.grad = torch.full_like(weight, 0.1)
    optimisation.gradient_norm()
    assert all(float(weight.grad.flatten()[0]) == pytest.approx(0.1) for weight in weights)


class Nothing(Loss):
    """A loss that is 0 whatever the scores are."""

    __xpmid__ = "tests.nothing"
    NAME = "nothing"
    NEEDS = frozenset()

    def __call__(self, scores, supervision, mask):
        return (scores * 0).sum()


class Poison(Loss):
    """A loss that is not a number from its third call on."""

    __xpmid__ = "tests.poison"
    NAME = "poison"
    NEEDS = frozenset()

    def __call__(self, scores, supervision, mask):
        self.calls = getattr(self, "calls", 0) + 1
        return scores.sum() * (math.nan if self.calls > 2 else 1.0)


def test_a_loss_that_is_not_finite_stops_before_the_update_and_names_step_and_queries(world, tmp_path):
    task = learner(world, tmp_path, loss=Poison.C())
    with pytest.raises(DataError, match=r"the loss is nan at step 3; its queries are (q\d+(, )?){4}\n") as caught:
        train(task)
    assert "learning_rate" in caught.value.remedy
    assert [row["step"] for row in curve(task)] == ["1", "2"]
    assert not task.checkpoint.exists()
    assert not task.ledger.exists()


# -- resuming -----------------------------------------------------------------------------------------------


STABLE = ("step", "documents", "loss", "learning_rate", "gradient_norm")


def test_a_training_interrupted_again_and_again_ends_with_the_same_weights(world, tmp_path):
    parameters = {"dropout": 0.1, "steps": 12, "weight_decay": 0.01}
    whole = learner(world, tmp_path / "whole", **parameters)
    train(whole)
    parts = learner(world, tmp_path / "parts", checkpoint_interval=2, **parameters)
    for step in (1, 5, 6, 11):
        with pytest.raises(Interrupted):
            train(parts, after_step=interrupt_at(step))
        torch.manual_seed(step)
    train(parts)
    assert_same_weights(whole, parts)
    assert [[row[name] for name in STABLE] for row in curve(parts)] == [
        [row[name] for name in STABLE] for row in curve(whole)
    ]
    ledger = json.loads(parts.ledger.read_text())
    assert [each["from_step"] for each in ledger["executions"]] == [0, 0, 4, 6, 10]
    assert (ledger["resumptions"], ledger["documents"]) == (4, 12 * 8)
    assert {path.name for path in (tmp_path / "parts").iterdir()} == {
        "checkpoint",
        "kept.json",
        "ledger.json",
        "curve.csv",
    }


def test_a_finished_training_is_not_repeated_but_a_damaged_checkpoint_is_made_again(world, tmp_path):
    task = learner(world, tmp_path)
    train(task)
    steps = []
    train(task, after_step=steps.append)
    assert not steps
    content = (task.checkpoint / "model.safetensors").read_bytes()
    (task.checkpoint / "model.safetensors").unlink()
    train(task, after_step=steps.append)
    assert len(steps) == 8
    assert (task.checkpoint / "model.safetensors").read_bytes() == content


def test_a_curve_loses_what_comes_after_the_step_and_half_lines(tmp_path):
    file = CurveFile(tmp_path / "curve.csv", CurvePoint, step=0)
    for step in range(1, 5):
        file.append(CurvePoint(step, 8 * step, 0.5, 1e-3, 1.25, 0.1 * step))
    file.close()
    text = (tmp_path / "curve.csv").read_text()
    assert text.splitlines()[1] == "1,8,0.5,0.001,1.25,0.100"
    (tmp_path / "curve.csv").write_text(text + "3,99")
    CurveFile(tmp_path / "curve.csv", CurvePoint, step=3).close()
    assert (tmp_path / "curve.csv").read_text() == "".join(text.splitlines(keepends=True)[:4])


# -- gradients and dropout ----------------------------------------------------------------------------------


def gradients(world, folder, *, tokens_per_batch, family, dropout):
    """The gradient of one step by weight, scaled down to a norm of 1."""
    sampler = GroupSampler.C(queries=4, negatives=3)
    task = learner(world, folder, family=family, dropout=dropout, sampler=sampler, tokens_per_batch=tokens_per_batch)
    training = Training(task, torch.device("cpu"))
    inputs = training.texts.read(training.steps.step(0))
    keys = sequence_keys(inputs.sequences.count, seed=0, step=0)
    result = gradient(inputs, training.scorer, task.loss, dropout_keys=keys, tokens_per_batch=tokens_per_batch)
    norm = training.optimisation.gradient_norm()
    return result, {
        name: weight.grad / min(norm, 1.0)
        for name, weight in training.scorer.named_parameters()
        if weight.grad is not None
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_in_many_batches_has_the_gradient_of_one_batch_with_dropout_active(family, world, tmp_path):
    one, whole = gradients(world, tmp_path, tokens_per_batch=4096, family=family, dropout=0.3)
    many, parts = gradients(world, tmp_path, tokens_per_batch=32, family=family, dropout=0.3)
    none, undropped = gradients(world, tmp_path, tokens_per_batch=4096, family=family, dropout=0.0)
    assert one.computed_tokens == one.padded_tokens
    assert many.padded_tokens <= one.padded_tokens
    assert many.computed_tokens == 2 * many.padded_tokens  # no group fits the budget
    assert many.loss == pytest.approx(one.loss, rel=1e-5)  # fp32 sums in another order
    assert whole.keys() == parts.keys()
    for name, weight in whole.items():
        # the same masks: what differs is rounding; other masks would differ by the order of the gradient itself
        torch.testing.assert_close(parts[name], weight, rtol=1e-3, atol=2e-6, msg=name)
    assert none.loss != pytest.approx(one.loss, rel=1e-3)
    assert whole.keys() == undropped.keys()


def mask(sequences, *shape, step=0, site=7, probability=0.1, first=0):
    keys = sequence_keys(first + sequences, seed=1, step=step)[first:]
    *rows, columns = shape
    return kept(row_keys(mixed(keys ^ site), *rows), columns, probability=probability).bool()


def test_a_mask_depends_on_the_sequence_and_not_on_batch_or_padding():
    whole = mask(6, 9, 16)
    assert torch.equal(mask(2, 9, 16, first=3), whole[3:5])
    assert torch.equal(mask(6, 5, 16), whole[:, :5])
    attention = mask(6, 4, 9, 9)
    assert torch.equal(mask(6, 4, 5, 5), attention[:, :, :5, :5])


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_masks_keep_their_share_everywhere(probability):
    kept_share = mask(32, 40, 64, probability=probability).float()
    deviation = math.sqrt(probability * (1 - probability))
    for axes in ((0, 1), (0, 2), (1, 2)):
        shares = kept_share.mean(axes)
        numbers = kept_share.numel() / shares.numel()
        # the largest of 64 normal deviates lies within 4.5 standard deviations but once in 2 000 times
        assert (shares - (1 - probability)).abs().max() < 4.5 * deviation / math.sqrt(numbers)


def test_masks_of_other_steps_places_and_neighbours_have_nothing_in_common():
    reference = mask(32, 40, 64).float() - 0.9
    others = [mask(32, 40, 64, step=1), mask(32, 40, 64, site=8), mask(32, 40, 64, first=1)]
    shifted = [reference.roll(1, axis) for axis in range(3)]
    for other in [*(each.float() - 0.9 for each in others), *shifted]:
        correlation = (reference * other).mean() / reference.var()
        assert abs(correlation) < 4.5 / math.sqrt(reference.numel())


def test_a_place_that_is_met_twice_in_a_forward_pass_drops_other_numbers():
    keys = DropoutKeys()
    keys.begin(sequence_keys(4, seed=0, step=0))
    module = KeyedDropout(0.5, Place(keys, 3)).train()
    first, second = module(torch.ones(4, 64)), module(torch.ones(4, 64))
    assert not torch.equal(first, second)
    assert set(first.unique().tolist()) == {0.0, 2.0}
    keys.begin(sequence_keys(4, seed=0, step=0))
    assert torch.equal(module(torch.ones(4, 64)), first)


def test_training_can_be_prepared_again_and_wants_a_key_for_each_sequence(world):
    scorer = CrossEncoder.C(backbone=tiny(world, dropout=0.3), max_length=32, max_query_length=8).instance().build()
    sequences = scorer.encoder.encode(["kara lo"] * 3, ["good mira", "bad", "nuse loti"])
    keys = sequence_keys(3, seed=0, step=0)
    first = scorer.prepare_training()(sequences, keys)
    assert torch.equal(scorer.prepare_training()(sequences, keys), first)
    assert not torch.equal(scorer(sequences, sequence_keys(3, seed=0, step=1)), first)
    with pytest.raises(ValueError, match="4 keys for 3 sequences"):
        scorer(sequences, sequence_keys(4, seed=0, step=0))


def test_dropout_without_keys_is_an_error_and_nothing_is_dropped_outside_of_training():
    module = KeyedDropout(0.5, Place(DropoutKeys(), 3))
    assert torch.equal(module.eval()(torch.ones(2, 3)), torch.ones(2, 3))
    with pytest.raises(RuntimeError, match="needs the keys"):
        module.train()(torch.ones(2, 3))


# -- the ledger ---------------------------------------------------------------------------------------------


def test_the_ledger_says_what_was_seen_and_how(world, tmp_path):
    task = learner(world, tmp_path, scorer=CrossEncoder.C(backbone=tiny(world), max_length=16, max_query_length=2))
    train(task)
    ledger = json.loads(task.ledger.read_text())
    steps, texts = task.sampler.open(task.training_set.open(), task.seed), StoredDocuments(world / "store")
    tokenizer = AutoTokenizer.from_pretrained(task.checkpoint)
    queries, tokens, truncated = task.queries.read(), 0, 0
    for group in (group for step in range(8) for group in steps.step(step)):
        query = queries[task.training_set.open().query_id(group.query_index)]
        for row in group.documents:
            whole = tokenizer([query], [texts.text(row)])["input_ids"][0]
            tokens += min(len(whole), 16)
            truncated += len(whole) > 16
    assert ledger["tokens"] == tokens <= ledger["padded_tokens"]
    assert ledger["pairs_truncated"] == truncated > 0
    assert ledger["truncation_rate"] == truncated / 64
    expected = {
        "schema": 2, "steps": 8, "queries": 32, "documents": 64, "queries_per_step": 4, "documents_per_step": 8,
        "queries_truncated": 0, "epochs": 32 / 12, "training_queries": 12, "skipped_queries": 0, "max_length": 16,
        "max_query_length": 2, "initial_head": "new", "precision": "fp32", "device": "cpu", "threads": 1,
        "resumptions": 0, "last_loss": float(curve(task)[-1]["loss"]),
        "parameters": sum(weight.numel() for weight in weights(task).values()),
    }  # fmt: skip
    assert {name: ledger[name] for name in expected} == expected
    assert ledger["environment"]["packages"]["torch"] == torch.__version__
    assert ledger["seconds"] > 0


def test_queries_that_the_sampler_cannot_use_are_counted(world, tmp_path):
    groups = [TrainingGroup(f"q{i}", [0, 1, 2], [1, -1, -1] if i < 3 else [-1, -1, -1]) for i in range(5)]
    write_training_set(tmp_path / "set", groups, supervision=[LABELS], counts={})
    training_set = TrainingSet.C(path=tmp_path / "set", supervision=[LABELS])
    task = learner(world, tmp_path / "job", training_set=training_set, loss=Bce.C(), steps=3)
    train(task)
    ledger = json.loads(task.ledger.read_text())
    assert (ledger["training_queries"], ledger["skipped_queries"]) == (5, 2)


def test_a_training_query_without_text_is_refused(world, tmp_path):
    (tmp_path / "queries.json").write_text(json.dumps({"q0": "kara"}))
    task = learner(world, tmp_path / "job", queries=ToyQueries.C(file=tmp_path / "queries.json"))
    with pytest.raises(DataError, match="11 queries of the training set have no text, the first is q1"):
        train(task)


def test_progress_goes_from_nothing_to_all(world, tmp_path):
    reported = []
    train(learner(world, tmp_path), progress=lambda share, words: reported.append((share, words)))
    assert [share for share, _ in reported] == [step / 8 for step in range(1, 9)]
    assert reported[-1][1].startswith("step 8 of 8, loss ")


@pytest.mark.skipif("bf16" not in capabilities(), reason="this processor has no bf16 instructions")
def test_a_bf16_training_computes_in_bf16_and_keeps_fp32_weights(world, tmp_path):
    task = learner(world, tmp_path, precision="bf16", steps=60, warmup_steps=10)
    train(task)
    assert {weight.dtype for weight in weights(task).values()} == {torch.float32}
    losses = [float(row["loss"]) for row in curve(task)]
    assert np.mean(losses[-10:]) < 0.2 * np.mean(losses[:10])
    with pytest.raises(MachineError, match=r"precision is bf16, but the forward pass computed in torch\.float32"):
        check_computed(torch.float32, "bf16")


def test_a_budget_below_the_longest_pair_is_refused_before_the_first_step(world, tmp_path):
    with pytest.raises(ConfigurationError, match="tokens_per_batch is 31, but a pair may have 32 tokens"):
        train(learner(world, tmp_path, tokens_per_batch=31))


def test_a_precision_that_the_machine_lacks_is_refused(world, tmp_path):
    with pytest.raises(MachineError, match="no cpu computes in tf32"):
        train(learner(world, tmp_path, precision="tf32"))


# -- the configuration --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"warmup_steps": 8}, "warmup_steps is 8, but there are 8 steps"),
        ({"steps": 0, "warmup_steps": 0}, "there are 0 steps"),
        ({"schedule": "cosine"}, "schedule 'cosine' does not exist\n  Give one of: linear, constant"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0"),
        ({"precision": "auto"}, "precision is 'auto'"),
        ({"tokens_per_batch": 0}, "tokens_per_batch is 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(changed, message, world):
    with pytest.raises(ConfigurationError, match=message):
        Learner.__validate__(learner_config(world, **changed))


def test_a_loss_that_the_training_set_cannot_serve_is_refused_with_those_that_it_can(world):
    labels = TrainingSet.C(path=world / "training_set", supervision=[LABELS])
    with pytest.raises(ConfigurationError) as caught:
        Learner.__validate__(learner_config(world, training_set=labels, loss=MarginMSE.C()))
    assert caught.value.what == "loss margin_mse needs teacher scores, but the training set carries labels"
    assert "bce" in caught.value.remedy
    assert "margin_mse" not in caught.value.remedy
    Learner.__validate__(learner_config(world, training_set=labels, loss=InfoNCE.C()))


def test_a_sampler_that_the_training_set_cannot_serve_is_refused(world):
    teacher = TrainingSet.C(path=world / "training_set", supervision=[TEACHER_SCORES])
    with pytest.raises(ConfigurationError, match="sampler groups needs labels"):
        Learner.__validate__(learner_config(world, training_set=teacher, loss=MarginMSE.C()))


def identity(world, **parameters):
    return learner_config(world, **parameters).__identifier__().all


@pytest.mark.parametrize(
    "changed",
    [
        {"device": "cuda"},
        {"tokens_per_batch": 64},
        {"checkpoint_interval": 3},
        {"processes": 2},
        {"keep_state": False},
        {"continue_from": Path("/elsewhere")},
        {"patience": 0},
        {"decay_steps": 0},
    ],
    ids=lambda each: next(iter(each)),
)
def test_what_cannot_change_the_result_is_not_in_the_identity(changed, world):
    assert identity(world, **changed) == identity(world)


@pytest.mark.parametrize(
    "changed",
    [{"seed": 1}, {"steps": 9}, {"learning_rate": 1e-3}, {"precision": "bf16"}, {"loss": Bce.C()}, {"dropout": 0.1}],
    ids=lambda each: next(iter(each)),
)
def test_what_can_change_the_result_is_in_the_identity(changed, world):
    assert identity(world, **changed) != identity(world)


def test_the_output_is_the_checkpoint_of_the_last_step(world):
    config = learner_config(world)
    config.__xpm__.values["checkpoint"] = world / "checkpoint"  # as the planner does
    output = Learner.task_outputs(config, lambda output: output)
    assert isinstance(output, Checkpoint.C)
    assert (output.rule, output.path) == ("last", world / "checkpoint")
