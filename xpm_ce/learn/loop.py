"""The computation of `Learner`: step after step, with a state to resume from, a curve and a ledger.

A step is a function of its number and the weights before it. This module knows no loss, sampler or scorer by name.
"""

import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from xpm_ce.engine.compute import ComputedType, computing, opened_device
from xpm_ce.engine.dropout import sequence_keys
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.learn.counts import Counts
from xpm_ce.learn.curve import CurveFile, CurvePoint
from xpm_ce.learn.ledger import finished, note_execution, write_ledger
from xpm_ce.learn.optimisation import Optimisation
from xpm_ce.learn.progress import Progress
from xpm_ce.learn.state import remove_state, restore_state, save_state
from xpm_ce.learn.step import StepResult, TrainingStep, TrainingTexts, gradient

if TYPE_CHECKING:
    from xpm_ce.learn.learner import Learner

logger = logging.getLogger(__name__)

QUERIES_NAMED = 8
"""Queries that a message names at most"""


def train(
    task: "Learner",
    *,
    progress: Progress = lambda share, words: None,
    after_step: Callable[[int], object] = lambda step: None,
) -> None:
    """Train from the last saved state to the last step, and leave checkpoint, ledger and curve.

    `after_step` is called with the number of steps done, after all that belongs to a step. DataError where a loss
    is not finite or inputs do not belong together, MachineError where the machine lacks what is asked for.
    """
    if finished(task.ledger, task.checkpoint):
        remove_state(task.resume)
        return
    device = opened_device(task.device)
    with computing(task.precision, device):
        training = Training(task, device)
        executions = note_execution(task.executions, from_step=training.counts.steps)
        training.run(progress, after_step)
        training.finish(executions)


class Training:
    """A scorer that is being trained."""

    def __init__(self, task: "Learner", device: torch.device):
        self.task, self.device = task, device
        groups = task.training_set.open()
        self.scorer = task.scorer.build().prepare_training().to(device)
        longest = self.scorer.limits.max_length
        if task.tokens_per_batch < longest:
            raise ConfigurationError(
                f"tokens_per_batch is {task.tokens_per_batch}, but a pair may have {longest} tokens",
                remedy="Raise tokens_per_batch to max_length or more.",
            )
        self.steps = task.sampler.open(groups, task.seed)
        self.texts = TrainingTexts(
            groups, queries=task.queries.read(), documents=task.store.open(), encoder=self.scorer.encoder
        )
        self.training_queries = len(groups)
        self.optimisation = Optimisation(
            self.scorer.parameters(),
            learning_rate=task.learning_rate,
            schedule=task.schedule,
            steps=task.steps,
            warmup_steps=task.warmup_steps,
            weight_decay=task.weight_decay,
            max_gradient_norm=task.max_gradient_norm,
        )
        self.counts = restore_state(task.resume, self.scorer, self.optimisation)
        self.curve = CurveFile(task.curve, step=self.counts.steps)
        self.last_loss = math.nan

    def run(self, progress: Progress, after_step: Callable[[int], object]) -> None:
        """All steps that are missing."""
        total = self.task.steps
        computed = ComputedType(self.scorer)
        for step in range(self.counts.steps, total):
            self.step(step)
            computed.check(self.task.precision)
            done = step + 1
            progress(done / total, f"step {done} of {total}, loss {self.last_loss:.4f}")
            if done % self.task.checkpoint_interval == 0 and done < total:
                self.curve.sync()
                save_state(self.task.resume, self.scorer, self.optimisation, self.counts)
            after_step(done)

    def step(self, step: int) -> None:
        """One update, counted and noted."""
        started = time.monotonic()
        inputs = self.texts.read(self.steps.step(step))
        keys = sequence_keys(len(inputs.pairs), seed=self.task.seed, step=step)
        result = gradient(
            inputs,
            self.scorer,
            self.task.loss,
            dropout_keys=keys,
            tokens_per_batch=self.task.tokens_per_batch,
            precision=self.task.precision,
            device=self.device,
        )
        norm = self.optimisation.gradient_norm() if math.isfinite(result.loss) else math.nan
        if not math.isfinite(norm):
            self.curve.close()
            raise _not_finite(step + 1, result, inputs)
        self.optimisation.update(step)
        self.last_loss = result.loss
        self.counts = self.counts.plus(
            Counts(
                steps=1,
                queries=len(inputs.query_ids),
                documents=len(inputs.pairs),
                tokens=inputs.tokens,
                padded_tokens=result.padded_tokens,
                pairs_truncated=inputs.pairs_truncated,
                queries_truncated=inputs.queries_truncated,
                seconds=time.monotonic() - started,
            )
        )
        rate = self.optimisation.learning_rate(step)
        self.curve.append(CurvePoint(step + 1, self.counts.documents, result.loss, rate, norm, self.counts.seconds))

    def finish(self, executions: list[dict]) -> None:
        """Leave the checkpoint, then the ledger that names it; only then is the state of no use."""
        self.curve.close()
        self.scorer.save(self.task.checkpoint)
        write_ledger(
            self.task.ledger,
            counts=self.counts,
            scorer=self.scorer,
            executions=executions,
            precision=self.task.precision,
            device=self.device,
            last_loss=self.last_loss,
            epochs=self.steps.epochs(self.task.steps),
            training_queries=self.training_queries,
            skipped_queries=self.steps.skipped,
            checkpoint=self.task.checkpoint,
        )
        remove_state(self.task.resume)
        self.task.executions.unlink(missing_ok=True)


def _not_finite(step: int, result: StepResult, inputs: TrainingStep) -> DataError:
    """The error that stops a training before it ruins the weights."""
    named = ", ".join(inputs.query_ids[:QUERIES_NAMED])
    more = len(inputs.query_ids) - QUERIES_NAMED
    what = f"the loss is {result.loss}" if not math.isfinite(result.loss) else "the gradient is not finite"
    return DataError(
        f"{what} at step {step}; its queries are {named}{f' and {more} more' if more > 0 else ''}",
        remedy="Look at these queries and at curve.csv: a lower learning_rate or more warmup_steps may help.",
    )
