"""AdamW, its learning rate, and the gradient's global norm.

This module does not know the model, nor what the gradient is of.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from xpm_ce.learn.schedules import Course, Schedule

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""As in arXiv 2603.03010: torch's own"""


class Optimisation:
    """Updates weights; the learning rate of a step is a function of its number."""

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        *,
        learning_rate: float,
        schedule: Schedule,
        course: Course,
        weight_decay: float,
        max_gradient_norm: float,
    ):
        self.weights = [weight for weight in weights if weight.requires_grad]
        groups = [
            {"params": [each for each in self.weights if each.ndim > 1], "weight_decay": weight_decay},
            {"params": [each for each in self.weights if each.ndim < 2], "weight_decay": 0.0},
        ]
        self._optimiser = torch.optim.AdamW(groups, lr=learning_rate, betas=BETAS, eps=EPSILON, fused=True)
        self._highest, self._schedule, self._course = learning_rate, schedule, course
        self._largest = max_gradient_norm

    def learning_rate(self, step: int) -> float:
        """The learning rate of a step counted from 0."""
        return self._highest * self._schedule.rate(step, self._course)

    def gradient_norm(self) -> float:
        """Scale the gradient down to the largest norm, of all weights together; gives the norm before."""
        return float(nn.utils.clip_grad_norm_(self.weights, self._largest))

    def update(self, step: int) -> None:
        """Update the weights, and forget the gradient."""
        for group in self._optimiser.param_groups:
            group["lr"] = self.learning_rate(step)
        self._optimiser.step()
        # gradients keep their memory, so that a step in one batch has the peak of a step in many
        self._optimiser.zero_grad(set_to_none=False)

    def state(self) -> dict[str, Any]:
        """What has to be saved to go on."""
        return self._optimiser.state_dict()

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self._optimiser.load_state_dict(state)
