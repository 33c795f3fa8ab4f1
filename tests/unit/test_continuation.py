"""Longer trainings that go on with a shorter one's state: the same weights to the bit, and the ledger says so."""

import json

import pytest
from learners import (
    Interrupted,
    assert_same_weights,
    curve,
    interrupt_at,
    learner,
    make_world,
    validation,
)

from xpm_ce.learn.loop import train

pytestmark = pytest.mark.usefixtures("one_thread")

STABLE = ("step", "documents", "loss", "learning_rate", "gradient_norm")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


def trained(world, folder, steps: int, **parameters):
    """A learner that has ended, with a validation that does not fall on its last step."""
    settings = {"dropout": 0.1, "weight_decay": 0.01, "validation": validation(world, interval=4), "keep": "best"}
    task = learner(world, folder, steps=steps, **{**settings, **parameters})
    steps_done: list[int] = []
    train(task, after_step=steps_done.append)
    return task, steps_done


def assert_same(one, other) -> None:
    assert_same_weights(one, other)
    assert (one.best / "model.safetensors").read_bytes() == (other.best / "model.safetensors").read_bytes()
    assert one.validations.read_text() == other.validations.read_text()
    ours, theirs = ([[row[name] for name in STABLE] for row in curve(task)] for task in (one, other))
    assert ours == theirs
    first, second = (json.loads(task.kept.read_text()) for task in (one, other))
    assert first == second


@pytest.mark.parametrize(
    ("schedule", "shared"), [({"schedule": "constant"}, 6), ({"schedule": "wsd", "decay_steps": 2}, 4)]
)
def test_a_longer_training_goes_on_with_the_shorter_ones_state_and_equals_the_uninterrupted_one(
    schedule, shared, world, tmp_path
):
    whole, _ = trained(world, tmp_path / "whole", 11, **schedule)
    shorter, _ = trained(world, tmp_path / "shorter", 6, **schedule)
    longer, done = trained(world, tmp_path / "longer", 11, continue_from=tmp_path / "shorter", **schedule)
    assert done == list(range(shared + 1, 12))
    assert_same(whole, longer)
    ledger = json.loads(longer.ledger.read_text())
    assert ledger["continued_from"] == {"learner": "shorter", "step": shared}
    assert json.loads(shorter.ledger.read_text())["continued_from"] is None
    assert (ledger["steps"], ledger["documents"]) == (11, 11 * 8)


def test_a_chain_of_trainings_names_the_one_before(world, tmp_path):
    whole, _ = trained(world, tmp_path / "whole", 9, schedule="constant")
    for steps, shorter in ((3, None), (6, tmp_path / "3"), (9, tmp_path / "6")):
        last, _ = trained(world, tmp_path / str(steps), steps, schedule="constant", continue_from=shorter)
    assert_same(whole, last)
    assert json.loads(last.ledger.read_text())["continued_from"] == {"learner": "6", "step": 6}


def test_an_interrupted_continuation_goes_on_with_its_own_state(world, tmp_path):
    settings = {"schedule": "constant", "dropout": 0.1}
    whole = learner(world, tmp_path / "whole", steps=12, **settings)
    train(whole)
    train(learner(world, tmp_path / "shorter", steps=5, **settings))
    longer = learner(
        world, tmp_path / "longer", steps=12, continue_from=tmp_path / "shorter", checkpoint_interval=4, **settings
    )
    for step in (6, 9):
        with pytest.raises(Interrupted):
            train(longer, after_step=interrupt_at(step))
    train(longer)
    assert_same_weights(whole, longer)
    ledger = json.loads(longer.ledger.read_text())
    assert [each["from_step"] for each in ledger["executions"]] == [5, 5, 8]
    assert ledger["continued_from"] == {"learner": "shorter", "step": 5}


def test_a_damaged_state_of_the_shorter_training_costs_time_only(world, tmp_path, caplog):
    whole, _ = trained(world, tmp_path / "whole", 8, schedule="constant")
    trained(world, tmp_path / "shorter", 6, schedule="constant")
    (tmp_path / "shorter" / ".state" / "state.pt").write_bytes(b"half a file")
    longer, done = trained(world, tmp_path / "longer", 8, schedule="constant", continue_from=tmp_path / "shorter")
    assert done == list(range(1, 9))
    assert "begins at its beginning, with the same result" in caplog.text
    assert_same(whole, longer)
    assert json.loads(longer.ledger.read_text())["continued_from"] is None


def test_a_training_that_stopped_early_stops_its_longer_one_at_the_same_step(world, tmp_path):
    """With a learning rate of next to nothing no validation is better than the first."""
    settings = {"schedule": "constant", "learning_rate": 1e-12, "patience": 1, "warmup_steps": 0}
    whole, _ = trained(world, tmp_path / "whole", 20, **settings)
    shorter, _ = trained(world, tmp_path / "shorter", 12, **settings)
    assert json.loads(shorter.ledger.read_text())["steps"] == 8
    longer, done = trained(world, tmp_path / "longer", 20, continue_from=tmp_path / "shorter", **settings)
    assert done == []
    assert_same(whole, longer)


@pytest.mark.parametrize("kept", [{"schedule": "linear"}, {"schedule": "constant", "keep_state": False}])
def test_no_state_is_kept_where_it_is_of_no_use_or_not_wanted(kept, world, tmp_path):
    task, _ = trained(world, tmp_path, 3, **kept)
    assert not task.state.exists()
