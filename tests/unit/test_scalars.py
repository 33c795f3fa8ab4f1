"""Scalars for TensorBoard: what curve.csv says, once, and only where they are asked for."""

import csv

import pytest
from learners import Interrupted, curve, interrupt_at, learner, learner_config, make_world, validation
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from xpm_ce.jobs import listed_files
from xpm_ce.learn.loop import train

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


def shown(task):
    """What TensorBoard shows: step -> value, by name."""
    events = EventAccumulator(str(task.scalars))
    events.Reload()
    return {name: [(each.step, each.value) for each in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_they_are_the_curve_each_step_once_although_the_training_was_interrupted(world, tmp_path):
    given = {"tensorboard": True, "checkpoint_interval": 3, "validation": validation(world, sets=1)}
    with pytest.raises(Interrupted):
        train(learner(world, tmp_path / "job", **given), after_step=interrupt_at(5))
    task = learner(world, tmp_path / "job", **given)
    train(task)
    found, lines = shown(task), curve(task)
    assert len(lines) == 8
    for name in ("loss", "learning_rate", "gradient_norm", "documents"):
        steps, values = zip(*found[f"training/{name}"], strict=True)
        assert steps == tuple(range(1, 9))
        assert values == pytest.approx([float(line[name]) for line in lines], rel=1e-6)
    with open(task.validations, newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["set"] == "validation-0"]
    assert found["validation/nDCG@10/validation-0"] == [
        (int(row["step"]), pytest.approx(float(row["value"]), rel=1e-6)) for row in rows
    ]


def test_they_are_written_only_where_asked_for_and_may_be_deleted(world, tmp_path):
    without, asked = learner(world, tmp_path / "a", steps=3), learner(world, tmp_path / "b", steps=3, tensorboard=True)
    train(without)
    train(asked)
    assert not without.scalars.exists()
    assert list(asked.scalars.iterdir())
    names = [{file["path"] for file in listed_files(tmp_path / folder)} for folder in ("a", "b")]
    assert names[0] == names[1]


def test_asking_for_them_is_no_other_training(world):
    one, other = learner_config(world), learner_config(world, tensorboard=True)
    assert one.__identifier__().all == other.__identifier__().all
