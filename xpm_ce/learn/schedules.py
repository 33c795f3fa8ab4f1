"""How the learning rate changes from step to step.

This module does not know the highest rate, nor the optimiser.
"""

import math
from collections.abc import Callable
from typing import NamedTuple


class Course(NamedTuple):
    """The lengths of a training, in steps."""

    steps: int
    """All of them"""

    warmup_steps: int = 0
    """Those at the beginning in which the learning rate rises"""

    decay_steps: int = 0
    """Those at the end in which it falls, where the schedule has such"""


class Schedule(NamedTuple):
    """A way for the learning rate to change."""

    share: Callable[[int, Course], float]
    """The share of the highest learning rate at a step counted from 0, once warm-up is over"""

    common_steps: Callable[[Course], int]
    """Steps in which this training and every longer one that is otherwise the same do the same"""

    decays: bool = False
    """Whether it takes `decay_steps`"""

    def rate(self, step: int, course: Course) -> float:
        """The share of the highest learning rate at a step counted from 0; it rises linearly from 0 in warm-up."""
        return step / course.warmup_steps if step < course.warmup_steps else self.share(step, course)


def linear(step: int, course: Course) -> float:
    """Down towards 0, which it would reach after the last step."""
    return (course.steps - step) / (course.steps - course.warmup_steps)


def constant(step: int, course: Course) -> float:
    """1."""
    return 1.0


def warm_up_stable_decay(step: int, course: Course) -> float:
    """1, then down by 1 - sqrt(share of the decay that is done) towards 0, reached after the last step.

    Three phases as in arXiv 2404.06395, the form of the decay as in arXiv 2405.18392.
    """
    start = course.steps - course.decay_steps
    return 1.0 if step < start else 1.0 - math.sqrt((step - start) / course.decay_steps)


SCHEDULES = {
    "linear": Schedule(linear, lambda course: 0),
    "constant": Schedule(constant, lambda course: course.steps),
    "wsd": Schedule(warm_up_stable_decay, lambda course: course.steps - course.decay_steps, decays=True),
}
"""Schedules by name"""
