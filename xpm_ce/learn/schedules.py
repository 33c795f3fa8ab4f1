"""How the learning rate changes from step to step.

This module does not know the highest rate, nor the optimiser.
"""

from collections.abc import Callable


def linear(step: int, steps: int, warmup: int) -> float:
    """Up from 0 during warm-up, then down towards 0, which it would reach after the last step."""
    return step / warmup if step < warmup else (steps - step) / (steps - warmup)


def constant(step: int, steps: int, warmup: int) -> float:
    """Up from 0 during warm-up, then 1."""
    return step / warmup if step < warmup else 1.0


SCHEDULES: dict[str, Callable[[int, int, int], float]] = {"linear": linear, "constant": constant}
"""The share of the highest learning rate at a step counted from 0, by name: `(step, steps, warmup_steps)`"""
