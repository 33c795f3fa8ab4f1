"""The course of a training as scalars of TensorBoard, for whoever looks at it there.

What is written is in curve.csv and validation.csv too; nothing is read back. This module does not know how a step is
computed.
"""

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from xpm_ce.learn.curve import CurvePoint, ValidationPoint

CURVE = ("loss", "learning_rate", "gradient_norm", "documents")
"""Fields of a point of the curve that are shown"""


class Scalars:
    """An event file of TensorBoard; what an earlier execution wrote after `step` is hidden."""

    def __init__(self, folder: Path, *, step: int):
        self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def append(self, point: CurvePoint | ValidationPoint) -> None:
        """Add a step, or a validation on one set."""
        if isinstance(point, CurvePoint):
            for name in CURVE:
                self._writer.add_scalar(f"training/{name}", getattr(point, name), point.step)
        else:
            self._writer.add_scalar(f"validation/{point.measure}/{point.set}", point.value, point.step)

    def close(self) -> None:
        """Have everything on the disk."""
        self._writer.close()
