"""Where a training stands: what its loop has to know to go on, besides weights and optimiser.

This module loads nothing.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from xpm_ce.learn.counts import Counts


class Position(NamedTuple):
    """All that changes from step to step and is no tensor. Data order and dropout are functions of the step."""

    counts: Counts = Counts()
    """What was seen so far; its `steps` are the updates that are done"""

    last_loss: float = math.nan
    """Loss of the last step"""

    level_steps: int = 0
    """Steps in a row whose scores told no two documents of a query apart"""

    validated_step: int = 0
    """The last step after which the model was validated"""

    best_step: int = 0
    """The step of the best validation so far; 0 where there was none"""

    best_mean: float = -math.inf
    """Its mean over the validation sets"""

    validations_since_best: int = 0
    """Validations that were no better"""

    continued_from: str = ""
    """Identity of the shorter training that this one goes on with; empty where there is none"""

    continued_at: int = 0
    """The step from which it goes on"""

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return {**self._asdict(), "counts": self.counts._asdict()}

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "Position":
        """From plain data; ValueError where it is that of another version of this class."""
        if set(record) != set(cls._fields):
            raise ValueError(f"it says {', '.join(sorted(record))}, not {', '.join(sorted(cls._fields))}")
        return cls(**{**record, "counts": Counts.read(record["counts"])})
