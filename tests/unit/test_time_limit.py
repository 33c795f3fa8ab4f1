"""Time limits: a job leaves while there is time to save, and goes on with the same result."""

import json
import time

import pytest
from experimaestro import GracefulTimeout
from experimaestro.taskglobals import Env, LauncherInformation
from learners import assert_same_weights, learner, make_world

from xpm_ce import time_limit
from xpm_ce.learn.loop import train
from xpm_ce.time_limit import TimeLimit

pytestmark = pytest.mark.usefixtures("one_thread")


class Walltime(LauncherInformation):
    """What a launcher with a time limit tells a job: the seconds until an end."""

    def __init__(self, seconds: float):
        self.end, self.asked = time.monotonic() + seconds, 0

    def remaining_time(self):
        self.asked += 1
        return self.end - time.monotonic()


@pytest.fixture
def walltime(monkeypatch):
    """Gives this process a launcher whose time ends after some seconds."""

    def limit(seconds: float) -> Walltime:
        information = Walltime(seconds)
        monkeypatch.setattr(Env.instance(), "launcher_info", information)
        return information

    return limit


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


def test_a_job_without_time_for_another_step_saves_leaves_and_goes_on_to_the_same_weights(
    world, tmp_path, walltime, monkeypatch
):
    whole = learner(world, tmp_path / "whole", dropout=0.1)
    train(whole)
    monkeypatch.setattr(time_limit, "SPARE", 0.0)
    task = learner(world, tmp_path / "limited", dropout=0.1)
    information, done = walltime(60), []

    def slow_third_step(step):
        done.append(step)
        if step == 3:
            information.end = time.monotonic()
            monkeypatch.setattr(time_limit, "ASKED_EVERY", 0.0)

    with pytest.raises(GracefulTimeout, match="no time for another step after 4 of 8; the state is saved"):
        train(task, after_step=slow_third_step)
    assert done == [1, 2, 3]
    assert not task.checkpoint.exists()
    walltime(1000)
    train(task)
    assert [each["from_step"] for each in json.loads(task.ledger.read_text())["executions"]] == [0, 4]
    assert_same_weights(whole, task)


def test_a_job_with_a_limit_measures_saving_after_its_first_step_and_asks_once_a_minute(world, tmp_path, walltime):
    information = walltime(1000)
    task, states = learner(world, tmp_path), []
    train(task, after_step=lambda done: states.append(sorted(each.name for each in task.resume.glob("*"))))
    assert states == [["step-00000001"]] * 8
    assert information.asked == 1


def test_a_job_without_a_limit_saves_only_where_it_is_told_to(world, tmp_path):
    task, states = learner(world, tmp_path), []
    train(task, after_step=lambda done: states.append(task.resume.exists()))
    assert states == [False] * 8


def test_the_time_is_up_when_two_of_the_longest_steps_and_savings_no_longer_fit(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    limit = TimeLimit(lambda: 100.0 + 60.0 - clock[0])
    clock[0] += 2.0
    assert not limit.reached()
    assert limit.unmeasured
    with limit.saving():
        clock[0] += 3.0
    clock[0] += 1.0
    assert not limit.reached()  # the saving was no part of this step
    clock[0] = 160.0 - 2 * (2.0 + 3.0) - time_limit.SPARE - 2.0
    limit._looked = clock[0]
    assert not limit.reached()
    clock[0] += 2.1
    assert limit.reached()
