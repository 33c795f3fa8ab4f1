"""Schedules: their shapes against transformers', and which steps a longer training has in common with a shorter one."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import get_constant_schedule_with_warmup, get_linear_schedule_with_warmup
from transformers import get_wsd_schedule as get_warm_up_stable_decay

from xpm_ce.learn.schedules import SCHEDULES, Course


def rates(make, *arguments, steps: int, **named) -> list[float]:
    """The learning rate of each step by a schedule of transformers."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, found = make(optimiser, *arguments, **named), []
    for _ in range(steps):
        found += schedule.get_last_lr()
        optimiser.step()
        schedule.step()
    return found


def ours(name: str, course: Course) -> list[float]:
    return [SCHEDULES[name].rate(step, course) for step in range(course.steps)]


@pytest.mark.parametrize(("steps", "warmup"), [(10, 3), (10, 0), (1, 0)])
def test_the_linear_schedule_is_that_of_transformers(steps, warmup):
    theirs = rates(get_linear_schedule_with_warmup, warmup, steps, steps=steps)
    assert ours("linear", Course(steps, warmup)) == pytest.approx(theirs)


def test_the_constant_schedule_is_that_of_transformers():
    theirs = rates(get_constant_schedule_with_warmup, 2, steps=5)
    assert ours("constant", Course(5, 2)) == pytest.approx(theirs) == [0, 0.5, 1, 1, 1]


@pytest.mark.parametrize(("steps", "warmup", "decay"), [(12, 3, 4), (12, 0, 12), (5, 0, 1), (8, 2, 6)])
def test_warm_up_stable_decay_is_that_of_transformers(steps, warmup, decay):
    theirs = rates(
        get_warm_up_stable_decay, num_warmup_steps=warmup, num_decay_steps=decay, num_training_steps=steps,
        decay_type="1-sqrt", steps=steps,
    )  # fmt: skip
    assert ours("wsd", Course(steps, warmup, decay)) == pytest.approx(theirs)


@st.composite
def courses(draw) -> Course:
    warmup, stable, decay = draw(st.integers(0, 20)), draw(st.integers(0, 20)), draw(st.integers(1, 20))
    return Course(warmup + stable + decay, warmup, decay)


@given(st.sampled_from(sorted(SCHEDULES)), courses())
def test_a_rate_is_a_share_of_the_highest(name, course):
    assert all(0 <= rate <= 1 for rate in ours(name, course))


@given(st.sampled_from(sorted(SCHEDULES)), courses(), st.integers(1, 30))
def test_a_longer_training_begins_with_the_steps_in_common(name, course, more):
    """Where it is said that they have steps in common, their rates are equal, to the bit."""
    common = SCHEDULES[name].common_steps(course)
    longer = course._replace(steps=course.steps + more)
    assert 0 <= common <= course.steps
    assert ours(name, course)[:common] == ours(name, longer)[:common]


def test_what_trainings_of_several_lengths_have_in_common():
    course = Course(steps=100, warmup_steps=10, decay_steps=20)
    common = {name: schedule.common_steps(course) for name, schedule in SCHEDULES.items()}
    assert common == {"linear": 0, "constant": 100, "wsd": 80}
