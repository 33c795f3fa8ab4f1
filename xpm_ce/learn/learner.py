"""The task that trains: a scorer, a training set, a sampler, a loss and a number of steps give a checkpoint.

This module does not know how its checkpoint is judged; `loop.py` computes.
"""

from pathlib import Path
from typing import Any, Optional

from experimaestro import Constant, Meta, Param, PathGenerator, field

from xpm_ce.data.parts import Queries
from xpm_ce.data.supervision import carried
from xpm_ce.data.training_set import TrainingSet
from xpm_ce.engine.precision import check_name
from xpm_ce.errors import ConfigurationError
from xpm_ce.jobs import ResumableJob
from xpm_ce.learn.schedules import SCHEDULES, Course
from xpm_ce.learn.validation import Validation
from xpm_ce.libraries import loading
from xpm_ce.losses.loss import Loss
from xpm_ce.losses.table import served_by
from xpm_ce.samplers.sampler import Sampler
from xpm_ce.scorers.models import BEST, LAST, RULES, Checkpoint
from xpm_ce.scorers.scorer import Scorer
from xpm_ce.tokens.store import TokenStore


class Learner(ResumableJob):
    """Trains a scorer for a number of steps; interrupted, it goes on and ends with the same weights.

    On a CPU in fp32, with the same number of threads and the same versions, the same to the bit.
    """

    __xpmid__ = "xpm_ce.learn.learner"

    version: Constant[int] = 1
    """Version of the optimisation"""

    tokens: Param[TokenStore]
    """The documents as the scorer's tokenizer reads them"""

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
    """The learning rate after warm-up: falling to 0 (linear, as in arXiv 2603.03010), staying (constant), or staying
    until its last decay_steps, in which it falls to 0 by 1 - sqrt (wsd, arXiv 2404.06395 and 2405.18392)"""

    decay_steps: Param[int] = field(default=0, ignore_default=True)
    """Steps at the end in which the learning rate of schedule wsd falls"""

    weight_decay: Param[float] = field(default=0.0)
    """Decoupled decay of matrices; biases and norms have none (0: arXiv 2603.03010)"""

    max_gradient_norm: Param[float] = field(default=1.0)
    """Global norm to which a larger gradient is scaled down (1: arXiv 2603.03010, there applied per group)"""

    seed: Param[int] = field(default=0)
    """Seed of the order of the data and of dropout; initial weights have seeds of their own"""

    validation: Param[Optional[Validation]] = field(default=None, ignore_default=True)
    """What the model is validated on, and how often; with it, the best checkpoint is kept beside the last"""

    patience: Param[int] = field(default=0, ignore_default=True)
    """Validations without a new best mean after which the training stops; 0 for never"""

    precision: Param[str] = field(default="fp32")
    """Precision of the forward and backward pass; weights and optimiser are fp32 in any case"""

    device: Meta[str] = field(default="cpu")
    """Where it is trained: cpu, cuda, cuda:1"""

    tokens_per_batch: Meta[int] = field(default=4096)
    """Tokens whose gradient is computed at once, at least max_length; bounds the memory. A step of more is cut, with
    the same gradient up to rounding; only a list that has more by itself costs a second forward pass (4096: about the
    fastest on processors; GPUs want more)"""

    checkpoint_interval: Meta[int] = field(default=1000)
    """Steps between states from which an interrupted job resumes; has no effect on the result"""

    processes: Meta[int] = field(default=1)
    """Processes that share each step: the threads of a processor, or a GPU each; the same result up to rounding"""

    keep: Meta[str] = field(default=LAST)
    """Which checkpoint is evaluated: that of the last step (last) or of the best validation (best); both are kept"""

    keep_state: Meta[bool] = field(default=True)
    """Keep, where the schedule permits it, a state from which a training of more steps can go on (three times the
    weights, in `.state`, which may be deleted)"""

    continue_from: Meta[Optional[Path]] = field(default=None)
    """Folder of a learner that differs in having fewer steps, and whose state is gone on with; found when planning"""

    tensorboard: Meta[bool] = field(default=False)
    """Write the course of the training for TensorBoard, too, into `tensorboard` (which may be deleted)"""

    checkpoint: Meta[Path] = field(default_factory=PathGenerator("checkpoint"))
    """The trained model, as a transformers folder"""

    ledger: Meta[Path] = field(default_factory=PathGenerator("ledger.json"))
    """What the training has seen and cost"""

    curve: Meta[Path] = field(default_factory=PathGenerator("curve.csv"))
    """Loss, learning rate and gradient norm of each step"""

    best: Meta[Path] = field(default_factory=PathGenerator("best"))
    """The model at its best validation, as a transformers folder"""

    validations: Meta[Path] = field(default_factory=PathGenerator("validation.csv"))
    """Each validation's mean for each set, and over all sets"""

    kept: Meta[Path] = field(default_factory=PathGenerator("kept.json"))
    """The steps that were asked for, and which one's weights each rule kept"""

    state: Meta[Path] = field(default_factory=PathGenerator(".state"))
    """State from which a training of more steps can go on"""

    scalars: Meta[Path] = field(default_factory=PathGenerator("tensorboard"))
    """Event files of TensorBoard, where they are asked for"""

    resume: Meta[Path] = field(default_factory=PathGenerator("resume"))
    """State of an unfinished training; removed at the end"""

    executions: Meta[Path] = field(default_factory=PathGenerator("executions.json"))
    """When an unfinished training was started and from which step; part of the ledger at the end"""

    def __validate__(self) -> None:
        check_name(self.precision, training=True)
        check_course(self)
        check_validation(self)
        for name in ("learning_rate", "max_gradient_norm", "tokens_per_batch", "checkpoint_interval", "processes"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} is {getattr(self, name)}", remedy="Give more than 0.")
        if self.weight_decay < 0:
            raise ConfigurationError(f"weight_decay is {self.weight_decay}", remedy="Give 0 or more.")
        if self.processes > 1 and ":" in self.device:
            raise ConfigurationError(
                f"device is {self.device}, but {self.processes} processes need a GPU each", remedy="Give cuda."
            )
        check_supervision(self.loss, self.sampler, self.training_set)

    def course(self) -> Course:
        """The lengths of the training."""
        return Course(self.steps, self.warmup_steps, self.decay_steps)

    def task_outputs(self, dep):
        return dep(Checkpoint.C(rule=LAST, path=self.checkpoint))

    def compute(self) -> None:
        with loading():
            from xpm_ce.learn.loop import train
        from xpm_ce.progress import job_progress

        train(self, progress=job_progress())


def kept(last: Checkpoint, rule: str) -> Checkpoint:
    """What the learner that left `last` kept by a rule: another checkpoint of the same training."""
    if rule == LAST:
        return last
    learner: Any = last.__xpm__.task
    return learner.__xpm__.mark_output(Checkpoint.C(rule=BEST, path=learner.__xpm__.values["best"]))


def check_course(learner: Learner) -> None:
    """ConfigurationError where there is no such schedule, or the steps of its phases are too many."""
    if learner.schedule not in SCHEDULES:
        raise ConfigurationError(
            f"schedule {learner.schedule!r} does not exist", remedy=f"Give one of: {', '.join(SCHEDULES)}."
        )
    if not 0 <= learner.warmup_steps < learner.steps:
        raise ConfigurationError(
            f"warmup_steps is {learner.warmup_steps}, but there are {learner.steps} steps",
            remedy="Give fewer steps of warm-up than steps, and 1 step or more.",
        )
    if not SCHEDULES[learner.schedule].decays:
        if learner.decay_steps:
            raise ConfigurationError(
                f"decay_steps is {learner.decay_steps}, which schedule {learner.schedule} does not take",
                remedy="Remove it, or give schedule: wsd.",
            )
    elif not 0 < learner.decay_steps <= learner.steps - learner.warmup_steps:
        raise ConfigurationError(
            f"decay_steps is {learner.decay_steps}, with {learner.steps} steps of which {learner.warmup_steps} warm up",
            remedy="Give 1 or more, and no more than are left after warm-up (a tenth to a fifth of steps is usual).",
        )


def check_validation(learner: Learner) -> None:
    """ConfigurationError where what depends on validation is asked for without it."""
    if learner.keep not in RULES:
        raise ConfigurationError(f"keep is {learner.keep!r}", remedy=f"Give one of: {', '.join(RULES)}.")
    if learner.patience < 0:
        raise ConfigurationError(f"patience is {learner.patience}", remedy="Give 0 for never, or more.")
    if learner.validation is None and (learner.keep == BEST or learner.patience):
        name = "patience" if learner.patience else "keep"
        raise ConfigurationError(
            f"{name} needs a validation", remedy="Add validation: {sets: [{split: ...}], interval: ...}."
        )


def check_supervision(loss: Loss, sampler: Sampler, training_set: TrainingSet) -> None:
    """ConfigurationError where a training set does not hold or carry what a loss or a sampler needs."""
    sampler.check(training_set)
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
