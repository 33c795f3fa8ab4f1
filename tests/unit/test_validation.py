"""Validation: the mean of the current step over sets, the best of which is kept, and early stopping."""

import csv
import json

import numpy as np
import pytest
import torch
from learners import curve, learner, learner_config, make_world, validation, weights
from safetensors.torch import load_file

from xpm_ce.data.runs import Ranking, cut
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.learn import loop
from xpm_ce.learn.learner import Learner, kept
from xpm_ce.learn.loop import Training, train
from xpm_ce.learn.validating import SetMean, mean_over_sets
from xpm_ce.learn.validation import Validation
from xpm_ce.measures.evaluate import per_query
from xpm_ce.scorers.models import Checkpoint

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


def rows(task) -> list[dict[str, str]]:
    with open(task.validations, newline="") as stream:
        return list(csv.DictReader(stream))


def means(task) -> dict[int, float]:
    """The mean over sets by step."""
    return {int(row["step"]): float(row["value"]) for row in rows(task) if row["set"] == "(mean)"}


def measured(folder, source, *, depth: int, texts) -> float:
    """nDCG@10 of a checkpoint on a validation set, by the public way: load, predict, measure."""
    model, run, queries = Checkpoint.C(path=folder).instance().open(), source.run.read(), source.queries.read()
    rankings = {}
    for query, ranking in cut(run, depth).items():
        scores = model.predict([(queries[query], texts[document]) for document in ranking.documents])
        order = np.argsort(-scores, kind="stable")
        rankings[query] = Ranking([ranking.documents[place] for place in order], scores[order])
    return per_query(rankings, source.qrels.read(), ["nDCG@10"]).means()["nDCG@10"]


def test_a_validation_is_the_measure_of_the_checkpoint_that_it_keeps(world, tmp_path):
    """With dropout in training, none in validation; the last step is validated in any case."""
    task = learner(world, tmp_path, dropout=0.3, steps=9, validation=validation(world, interval=4))
    train(task)
    assert list(means(task)) == [4, 8, 9]
    record = json.loads(task.kept.read_text())
    best = record["best"]["step"]
    assert means(task)[best] == max(means(task).values()) == record["best"]["mean"]
    store = task.validation.sets[0].store.open()
    texts = {document: store.text(row) for row, document in enumerate(store.ids)}
    for source in task.validation.sets:
        for folder, step in ((task.best, best), (task.checkpoint, 9)):
            (found,) = [row for row in rows(task) if row["set"] == source.name and row["step"] == str(step)]
            assert found["measure"] == "nDCG@10"
            assert found["documents"] == str(step * 8)
            assert float(found["value"]) == pytest.approx(measured(folder, source, depth=8, texts=texts), abs=1e-9)


def test_validation_changes_nothing_in_the_training(world, tmp_path):
    without, with_it = (
        learner(world, tmp_path / name, dropout=0.1, validation=each)
        for name, each in (("a", None), ("b", validation(world)))
    )
    train(without)
    train(with_it)
    assert weights(without).keys() == weights(with_it).keys()
    assert all(torch.equal(value, weights(with_it)[name]) for name, value in weights(without).items())
    assert not without.best.exists()
    assert not without.validations.exists()


def means_by_step(monkeypatch, found: dict[int, list[float]]) -> None:
    """Let the validations of a training find these values, a list of sets for each step."""

    def fixed(self, scorer):
        return [SetMean(f"set {place}", value) for place, value in enumerate(found[self.position.counts.steps])]

    original = Training.__init__

    def with_fixed_means(self, *arguments, **named):
        original(self, *arguments, **named)
        self.validator.means = fixed.__get__(self)

    monkeypatch.setattr(loop.Training, "__init__", with_fixed_means)


def weights_after(world, folder, step: int) -> dict[str, torch.Tensor]:
    """The weights of a training with a constant rate after some of its steps."""
    task = learner(world, folder, steps=step, schedule="constant")
    train(task)
    return weights(task)


def test_the_best_current_mean_is_kept_not_the_last_record_of_a_set(world, tmp_path, monkeypatch):
    """Where each set's own best counts, step 6 would win: its second set has never been so good."""
    means_by_step(monkeypatch, {2: [0.5, 0.5], 4: [0.9, 0.3], 6: [0.1, 0.6], 8: [0.3, 0.9]})
    task = learner(world, tmp_path / "job", schedule="constant", validation=validation(world))
    train(task)
    assert means(task) == pytest.approx({2: 0.5, 4: 0.6, 6: 0.35, 8: 0.6})
    assert json.loads(task.kept.read_text())["best"]["step"] == 4  # a tie goes to the earlier step
    monkeypatch.undo()
    best, expected = load_file(task.best / "model.safetensors"), weights_after(world, tmp_path / "short", 4)
    assert all(torch.equal(value, best[name]) for name, value in expected.items())


def test_the_order_of_sets_does_not_matter():
    found = [SetMean("a", 0.1), SetMean("b", 0.2), SetMean("c", 0.3)]
    assert mean_over_sets(found) == mean_over_sets(found[::-1]) == pytest.approx(0.2)
    assert sum(each.value for each in found) != sum(each.value for each in found[::-1])  # as a plain sum would


def test_a_training_stops_after_enough_validations_without_a_new_best(world, tmp_path, monkeypatch):
    found = {2: [0.1], 4: [0.5], 6: [0.4], 8: [0.5], 10: [0.3], 12: [0.9]}
    means_by_step(monkeypatch, found)
    parameters = {"schedule": "constant", "validation": validation(world), "steps": 12}
    patient = learner(world, tmp_path / "patient", patience=3, **parameters)
    train(patient)
    assert list(means(patient)) == [2, 4, 6, 8, 10]
    assert len(curve(patient)) == 10
    record = json.loads(patient.kept.read_text())
    assert (record["best"]["step"], record["last"]["step"]) == (4, 10)
    never = learner(world, tmp_path / "never", **parameters)
    train(never)
    assert list(means(never)) == list(found)
    assert json.loads(never.kept.read_text())["best"]["step"] == 12


def test_a_score_that_is_not_finite_names_the_set_and_the_query(world, tmp_path):
    task = learner(world, tmp_path, validation=validation(world))
    training = Training(task, torch.device("cpu"))
    with torch.no_grad():
        training.scorer.model.classifier.bias.fill_(torch.nan)
    with pytest.raises(DataError, match=r"a score of query q\d+ of validation set validation-0 is not finite"):
        training.validate()


def test_a_damaged_best_checkpoint_is_made_again(world, tmp_path):
    task, steps = learner(world, tmp_path, validation=validation(world)), []
    train(task)
    train(task, after_step=steps.append)
    assert not steps
    content = (task.best / "model.safetensors").read_bytes()
    (task.best / "model.safetensors").write_bytes(b"")
    train(task, after_step=steps.append)
    assert len(steps) == 8
    assert (task.best / "model.safetensors").read_bytes() == content


# -- configurations -----------------------------------------------------------------------------------------


def identity(config) -> bytes:
    return config.__identifier__().all


def test_a_validation_is_part_of_a_learner_and_none_is_the_learner_as_it_was(world):
    plain = identity(learner_config(world))
    assert identity(learner_config(world, validation=None, patience=0)) == plain
    found = {
        identity(learner_config(world, **changed))
        for changed in (
            {"validation": validation(world)},
            {"validation": validation(world, interval=3)},
            {"validation": validation(world, depth=4)},
            {"validation": validation(world, measure="RR@10")},
            {"validation": validation(world), "patience": 2},
        )
    }
    assert len(found | {plain}) == 6


def test_two_rules_share_the_training_and_nothing_after_it(world, tmp_path):
    last_wanted = learner_config(world, validation=validation(world))
    best_wanted = learner_config(world, validation=validation(world), keep="best")
    assert identity(last_wanted) == identity(best_wanted)
    information = last_wanted.__xpm__
    for name in ("checkpoint", "best"):
        information.values[name] = tmp_path / name  # as the planner does
    information.task = last_wanted
    last = Learner.task_outputs(last_wanted, information.mark_output)
    best = kept(last, "best")
    assert kept(last, "last") is last
    assert (best.rule, best.path) == ("best", tmp_path / "best")
    assert best.__xpm__.task is last.__xpm__.task
    assert identity(last) != identity(best)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"keep": "best"}, "keep needs a validation"),
        ({"patience": 3}, "patience needs a validation"),
        ({"keep": "first"}, "keep is 'first'"),
        ({"patience": -1}, "patience is -1"),
    ],
)
def test_what_needs_a_validation_is_refused_without_one(changed, message, world):
    with pytest.raises(ConfigurationError, match=message):
        Learner.__validate__(learner_config(world, **changed))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"interval": 0}, "interval is 0"),
        ({"depth": 0}, "depth is 0"),
        ({"measure": "nDCG@ten"}, "nDCG@ten"),
        ({"sets": 0}, "sets is empty"),
    ],
)
def test_a_validation_that_says_nothing_is_refused(changed, message, world):
    with pytest.raises(ConfigurationError, match=message):
        Validation.__validate__(validation(world, **changed))
