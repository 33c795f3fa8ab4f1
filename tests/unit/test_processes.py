"""Several processes of one training: the step of one up to rounding, and none is left over whatever ends them."""

import json
import multiprocessing
import os
import signal
import time

import pytest
import torch
import torch.distributed as distributed
from experimaestro import GracefulTimeout
from experimaestro.taskglobals import Env, LauncherInformation
from learners import curve, learner, learner_config, make_world, validation, weights

from xpm_ce.errors import ConfigurationError, DataError, MachineError
from xpm_ce.learn.learner import Learner
from xpm_ce.learn.loop import train
from xpm_ce.losses.loss import Loss
from xpm_ce.samplers.groups import GroupSampler

pytestmark = [pytest.mark.pipeline, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def nobody_is_left():
    yield
    assert not multiprocessing.active_children()
    assert not distributed.is_initialized()


UNSEEN = ("key.bias", "classifier.bias")
"""Weights whose gradient is 0 but for rounding, which Adam scales up: a softmax, and a loss on differences, do not see
what all their inputs share"""


class Whole(Loss):
    """A loss that is no mean over queries."""

    __xpmid__ = "tests.whole"
    NAME = "whole"
    NEEDS = frozenset()

    def __call__(self, scores, supervision, mask):
        return (scores[mask] - scores[mask].mean()).square().mean() - scores[:, 0].mean()


def together(world) -> dict:
    """What a learner of two processes is told."""
    return {"dropout": 0.1, "weight_decay": 0.01, "validation": validation(world, interval=4), "processes": 2}


def undisturbed(world) -> Learner:
    """A learner of two processes that nothing happened to, trained the first time that it is asked for."""
    task = learner(world, world / "together", checkpoint_interval=3, **together(world))
    train(task)
    return task


def assert_equal_up_to_rounding(two: Learner, one: Learner) -> None:
    for name in ("loss", "gradient_norm"):
        ours, theirs = ([float(row[name]) for row in curve(task)] for task in (two, one))
        assert ours == pytest.approx(theirs, rel=2e-3)
        assert ours[0] == pytest.approx(theirs[0], rel=1e-5)  # before Adam has scaled rounding up
    for name, weight in weights(one).items():
        if not name.endswith(UNSEEN):
            torch.testing.assert_close(weights(two)[name], weight, rtol=0, atol=5e-4, msg=name)


def test_two_processes_give_the_losses_and_weights_of_one_with_dropout_active(world, tmp_path):
    one, two = learner(world, tmp_path, **{**together(world), "processes": 1}), undisturbed(world)
    train(one)
    assert_equal_up_to_rounding(two, one)
    ledgers = [json.loads(task.ledger.read_text()) for task in (one, two)]
    assert [ledger["processes"] for ledger in ledgers] == [1, 2]
    assert [ledger["executions"][0]["from_step"] for ledger in ledgers] == [0, 0]
    for name in ("steps", "documents", "tokens"):
        assert ledgers[0][name] == ledgers[1][name]


def test_a_loss_of_the_whole_step_may_be_shared(world, tmp_path):
    settings = {"dropout": 0.1, "loss": Whole.C(), "sampler": GroupSampler.C(queries=3, negatives=5)}
    one, two = (learner(world, tmp_path / str(count), processes=count, **settings) for count in (1, 2))
    train(one)
    train(two)
    assert_equal_up_to_rounding(two, one)


class Failing(Loss):
    """A loss that fails in the second process at its third step."""

    __xpmid__ = "tests.failing"
    NAME = "failing"
    NEEDS = frozenset()

    def __call__(self, scores, supervision, mask):
        self.calls = getattr(self, "calls", 0) + 1
        if distributed.get_rank() == 1 and self.calls == 3:
            self.fail()
        return scores.square().mean()

    def fail(self) -> None:
        raise DataError("the second process met what it cannot read", where="a.tsv:3", remedy="Mend line 3.")


class Breaking(Failing):
    """The same with an error that is none of ours."""

    __xpmid__ = "tests.breaking"

    def fail(self) -> None:
        raise ZeroDivisionError("nothing to divide by")


class Killed(Failing):
    """The same, killed by the system."""

    __xpmid__ = "tests.killed"

    def fail(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("loss", "kind", "message"),
    [
        (Failing, DataError, r"a\.tsv:3: the second process met what it cannot read\n  Mend line 3\."),
        (Breaking, MachineError, r"process 1 of the training failed: ZeroDivisionError: nothing to divide by"),
        (Killed, MachineError, r"process 1 of the training was killed by signal 9"),
    ],
)
def test_what_ends_one_process_ends_all_with_its_own_words(loss, kind, message, world, tmp_path):
    task = learner(world, tmp_path, processes=2, loss=loss.C())
    reached = []
    with pytest.raises(kind, match=message):
        train(task, after_step=lambda done: reached.append(time.monotonic()))
    assert len(reached) == 2
    assert time.monotonic() - reached[-1] < 15
    assert not task.checkpoint.exists()


class FailingFirst(Failing):
    """A loss that fails in the first process."""

    __xpmid__ = "tests.failing_first"

    def __call__(self, scores, supervision, mask):
        if distributed.get_rank() == 0:
            raise DataError("the first process cannot go on")
        return scores.square().mean()


def test_an_error_of_the_first_process_ends_the_others(world, tmp_path):
    with pytest.raises(DataError, match="the first process cannot go on"):
        train(learner(world, tmp_path, processes=2, loss=FailingFirst.C()))


class NotFinite(Loss):
    """A loss that is not a number in what the second process computes."""

    __xpmid__ = "tests.not_finite"
    NAME = "not finite"
    NEEDS = frozenset()

    def terms(self, scores, supervision, mask):
        return scores.square() * (float("nan") if distributed.get_rank() == 1 else 1.0), mask


def test_a_loss_that_is_not_finite_in_one_process_stops_all(world, tmp_path):
    with pytest.raises(DataError, match=r"the loss is nan at step 1; its queries are q\d+"):
        train(learner(world, tmp_path, processes=2, loss=NotFinite.C()))


class Walltime(LauncherInformation):
    """A launcher whose time is up."""

    def remaining_time(self):
        return 0.0


def test_all_processes_leave_in_time_and_go_on_together(world, tmp_path, monkeypatch):
    task = learner(world, tmp_path / "limited", **together(world))
    monkeypatch.setattr(Env.instance(), "launcher_info", Walltime())
    with pytest.raises(GracefulTimeout):
        train(task)
    monkeypatch.undo()
    train(task)
    assert [each["from_step"] for each in json.loads(task.ledger.read_text())["executions"]] == [0, 1]
    whole = undisturbed(world)
    assert all(torch.equal(weight, weights(whole)[name]) for name, weight in weights(task).items())


def test_early_stopping_ends_every_process(world, tmp_path):
    settings = {"learning_rate": 1e-12, "patience": 1, "validation": validation(world), "steps": 20}
    task = learner(world, tmp_path, processes=2, **settings)
    train(task)
    assert json.loads(task.ledger.read_text())["steps"] == 4


def test_processes_on_one_gpu_are_refused(world):
    with pytest.raises(ConfigurationError, match="device is cuda:1, but 2 processes need a GPU each"):
        Learner.__validate__(learner_config(world, device="cuda:1", processes=2))
    with pytest.raises(ConfigurationError, match="processes is 0"):
        Learner.__validate__(learner_config(world, processes=0))


def test_more_processes_than_gpus_are_refused(world, tmp_path):
    count = torch.cuda.device_count() + 2
    with pytest.raises(MachineError, match=f"{count} processes need a GPU each, but torch sees {count - 2}"):
        train(learner(world, tmp_path, device="cuda", processes=count))
