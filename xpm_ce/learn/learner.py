"""The task that trains: a scorer, a training set, a sampler, a loss and a number of steps give a checkpoint.

This module does not know how its checkpoint is judged; `loop.py` computes.
"""

from pathlib import Path

from experimaestro import Constant, Meta, Param, PathGenerator, field

from xpm_ce.data.parts import Queries
from xpm_ce.data.store import DocumentStore
from xpm_ce.data.supervision import carried
from xpm_ce.data.training_set import TrainingSet
from xpm_ce.engine.precision import check_name
from xpm_ce.errors import ConfigurationError
from xpm_ce.jobs import ResumableJob
from xpm_ce.learn.schedules import SCHEDULES
from xpm_ce.losses.loss import Loss
from xpm_ce.losses.table import served_by
from xpm_ce.samplers.sampler import Sampler
from xpm_ce.scorers.models import Checkpoint
from xpm_ce.scorers.scorer import Scorer


class Learner(ResumableJob):
    """Trains a scorer for a number of steps; interrupted, it goes on and ends with the same weights.

    On a CPU in fp32, with the same number of threads and the same versions, the same to the bit.
    """

    __xpmid__ = "xpm_ce.learn.learner"

    version: Constant[int] = 1
    """Version of the optimisation"""

    store: Param[DocumentStore]
    """Texts of the documents"""

    queries: Param[Queries]
    """Texts of the training queries"""

    training_set: Param[TrainingSet]
    """Which documents may be seen with a query, and what is known about them"""

    scorer: Param[Scorer]
    """What is trained"""

    loss: Param[Loss]
    """What is minimised"""

    sampler: Param[Sampler]
    """Which queries and documents make up a step"""

    steps: Param[int]
    """Updates of the weights"""

    learning_rate: Param[float]
    """The highest learning rate, which the schedule reaches after warm-up"""

    warmup_steps: Param[int] = field(default=0)
    """Steps in which the learning rate rises linearly from 0"""

    schedule: Param[str] = field(default="linear")
    """The learning rate after warm-up: falling to 0 (linear, as in arXiv 2603.03010) or staying (constant)"""

    weight_decay: Param[float] = field(default=0.0)
    """Decoupled decay of matrices; biases and norms have none (0: arXiv 2603.03010)"""

    max_gradient_norm: Param[float] = field(default=1.0)
    """Global norm to which a larger gradient is scaled down (1: arXiv 2603.03010, there applied per group)"""

    seed: Param[int] = field(default=0)
    """Seed of the order of the data and of dropout; initial weights have seeds of their own"""

    precision: Param[str] = field(default="fp32")
    """Precision of the forward and backward pass; weights and optimiser are fp32 in any case"""

    device: Meta[str] = field(default="cpu")
    """Where it is trained: cpu, cuda, cuda:1"""

    tokens_per_batch: Meta[int] = field(default=2048)
    """Padded tokens of a forward pass, at least max_length; a step of more is cut, with the same gradient up to
    rounding (2048: about the fastest on processors, whose caches hold it; GPUs want more)"""

    checkpoint_interval: Meta[int] = field(default=1000)
    """Steps between states from which an interrupted job resumes; has no effect on the result"""

    checkpoint: Meta[Path] = field(default_factory=PathGenerator("checkpoint"))
    """The trained model, as a transformers folder"""

    ledger: Meta[Path] = field(default_factory=PathGenerator("ledger.json"))
    """What the training has seen and cost"""

    curve: Meta[Path] = field(default_factory=PathGenerator("curve.csv"))
    """Loss, learning rate and gradient norm of each step"""

    resume: Meta[Path] = field(default_factory=PathGenerator("resume"))
    """State of an unfinished training; removed at the end"""

    executions: Meta[Path] = field(default_factory=PathGenerator("executions.json"))
    """When an unfinished training was started and from which step; part of the ledger at the end"""

    def __validate__(self) -> None:
        check_name(self.precision)
        if self.schedule not in SCHEDULES:
            raise ConfigurationError(
                f"schedule {self.schedule!r} does not exist", remedy=f"Give one of: {', '.join(SCHEDULES)}."
            )
        if not 0 <= self.warmup_steps < self.steps:
            raise ConfigurationError(
                f"warmup_steps is {self.warmup_steps}, but there are {self.steps} steps",
                remedy="Give fewer steps of warm-up than steps, and 1 step or more.",
            )
        for name in ("learning_rate", "max_gradient_norm", "tokens_per_batch", "checkpoint_interval"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} is {getattr(self, name)}", remedy="Give more than 0.")
        if self.weight_decay < 0:
            raise ConfigurationError(f"weight_decay is {self.weight_decay}", remedy="Give 0 or more.")
        check_supervision(self.loss, self.sampler, self.training_set)

    def task_outputs(self, dep):
        return dep(Checkpoint.C(rule="last", path=self.checkpoint))

    def compute(self) -> None:
        from xpm_ce.learn.loop import train
        from xpm_ce.learn.progress import job_progress

        train(self, progress=job_progress())


def check_supervision(loss: Loss, sampler: Sampler, training_set: TrainingSet) -> None:
    """ConfigurationError where a training set does not carry what a loss or a sampler needs."""
    known = carried(training_set.supervision)
    missing = sorted(loss.NEEDS - known)
    if missing:
        fitting = served_by(training_set.supervision)
        raise ConfigurationError(
            f"loss {loss.NAME} needs {' and '.join(missing)}, but the training set carries "
            f"{' and '.join(sorted(known)) or 'nothing'}",
            remedy=f"Use another training set, or a loss that it serves: {', '.join(fitting) or 'none'}.",
        )
    missing = sorted(sampler.NEEDS - known)
    if missing:
        raise ConfigurationError(
            f"sampler {sampler.NAME} needs {' and '.join(missing)}, but the training set carries "
            f"{' and '.join(sorted(known)) or 'nothing'}",
            remedy="Use another training set or another sampler.",
        )
