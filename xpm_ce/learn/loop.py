"""The computation of `Learner`: step after step, with states to resume from, validations, curves and a ledger.

A step is a function of its number and the weights before it. This module knows no loss, sampler or scorer by name.
"""

import functools
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from experimaestro import GracefulTimeout

from xpm_ce import atomic
from xpm_ce.engine.compute import check_computed, computing, opened_device
from xpm_ce.engine.dropout import sequence_keys
from xpm_ce.errors import ConfigurationError, MachineError
from xpm_ce.learn import collapse
from xpm_ce.learn.counts import Counts
from xpm_ce.learn.curve import MEAN, CurveFile, CurvePoint, ValidationPoint
from xpm_ce.learn.ledger import contents, finished, note_execution, write_ledger
from xpm_ce.learn.optimisation import Optimisation
from xpm_ce.learn.position import Position
from xpm_ce.learn.processes import Ranks, together
from xpm_ce.learn.schedules import SCHEDULES
from xpm_ce.learn.state import DamagedStateError, SavedState, States, read_state, write_state
from xpm_ce.learn.step import TrainingTexts, gradient
from xpm_ce.learn.validating import Validator, mean_over_sets
from xpm_ce.progress import Progress
from xpm_ce.scorers.models import BEST, LAST
from xpm_ce.time_limit import TimeLimit
from xpm_ce.workspace import read_json

if TYPE_CHECKING:
    from xpm_ce.learn.learner import Learner
    from xpm_ce.learn.scalars import Scalars

logger = logging.getLogger(__name__)


def train(
    task: "Learner",
    *,
    progress: Progress = lambda share, words: None,
    after_step: Callable[[int], object] = lambda step: None,
) -> None:
    """Train from the last saved state to the last step, and leave checkpoints, ledger and curves.

    `after_step` is called with the number of steps done, after all that belongs to a step. DataError where a score
    is not finite, the scores collapse or inputs do not belong together, MachineError where the machine lacks what is
    asked for, GracefulTimeout where the job has no time for another step: its state is saved then.
    """
    if _done(task):
        States(task.resume).remove()
        return
    with together(functools.partial(_work, task), count=task.processes, device=task.device) as ranks:
        _work(task, ranks, progress=progress, after_step=after_step)


def _work(
    task: "Learner",
    ranks: Ranks,
    *,
    progress: Progress = lambda share, words: None,
    after_step: Callable[[int], object] = lambda step: None,
) -> None:
    """What each of the processes of a training does; only the first writes files."""
    device = opened_device(task.device)
    with computing(task.precision, device):
        training = Training(task, device, ranks)
        with training.writing():
            training.run(progress, after_step)
            if ranks.main:
                training.finish()


def _scalars(folder: Path, *, step: int) -> "Scalars":
    """Scalars for TensorBoard; MachineError where it is not installed."""
    if find_spec("tensorboard") is None:
        raise MachineError("tensorboard is not installed", remedy="Install it with pip, or remove tensorboard: true.")
    from xpm_ce.learn.scalars import Scalars

    return Scalars(folder, step=step)


def _done(task: "Learner") -> bool:
    """Whether all that a training leaves is there and belongs together."""
    if not finished(task.ledger, task.checkpoint):
        return False
    if task.validation is None:
        return True
    record = read_json(task.kept)
    return record is not None and task.best.is_dir() and record[BEST]["files"] == contents(task.best)


class Training:
    """A scorer that is being trained."""

    def __init__(self, task: "Learner", device: torch.device, ranks: Ranks | None = None):
        self.task, self.device, self.ranks = task, device, ranks or Ranks()
        groups = task.training_set.open()
        self.scorer = task.scorer.build().to(device).prepare_training(task.precision)
        longest = self.scorer.limits.max_length
        if task.tokens_per_batch < longest:
            raise ConfigurationError(
                f"tokens_per_batch is {task.tokens_per_batch}, but a pair may have {longest} tokens",
                remedy="Raise tokens_per_batch to max_length or more.",
            )
        self.steps = task.sampler.open(groups, task.seed)
        self.texts = TrainingTexts(
            groups, queries=task.queries.read(), tokens=task.tokens.open(), encoder=self.scorer.encoder
        )
        self.training_queries = len(groups.query_ids())
        self.optimisation = Optimisation(
            self.scorer.parameters(),
            learning_rate=task.learning_rate,
            schedule=SCHEDULES[task.schedule],
            course=task.course(),
            weight_decay=task.weight_decay,
            max_gradient_norm=task.max_gradient_norm,
        )
        self.validator = self._validator()
        self.limit = TimeLimit(task.remaining_time if self.ranks.main else lambda: None)
        self.states, self.position = States(task.resume), Position()
        self.curve: CurveFile[CurvePoint] | None = None
        self.validations: CurveFile[ValidationPoint] | None = None
        self.scalars: Scalars | None = None
        self.executions: list[dict[str, Any]] = []

    def _validator(self) -> Validator | None:
        if self.task.validation is None:
            return None
        return Validator(
            self.task.validation,
            self.scorer.encoder,
            tokens_per_batch=self.task.tokens_per_batch,
            rank=self.ranks.rank,
            world=self.ranks.world,
            summed=self.ranks.summed,
        )

    # -- where it stands ----------------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Go on from where an earlier execution was, with the curves open in the first process."""
        self.restore()
        if not self.ranks.main:
            yield
            return
        step = self.position.counts.steps
        self.executions = note_execution(self.task.executions, from_step=step)
        with ExitStack() as files:
            self.curve = files.enter_context(closing(CurveFile(self.task.curve, CurvePoint, step=step)))
            if self.validator is not None:
                # A shorter training validated its own last step, which is none of ours.
                opened = CurveFile(self.task.validations, ValidationPoint, step=self.position.validated_step)
                self.validations = files.enter_context(closing(opened))
            if self.task.tensorboard:
                self.scalars = files.enter_context(closing(_scalars(self.task.scalars, step=step)))
            yield

    def restore(self) -> None:
        """Go on from the last state, else from that of a shorter training, else from the beginning."""
        saved = self._found() if self.ranks.main else None
        folder = self.ranks.agreed(saved.folder if saved is not None else None)
        if folder is None:
            return
        saved = saved or read_state(folder)
        saved.restore(self.scorer, self.optimisation)
        self.position = saved.position
        if not self.ranks.main:
            return
        if folder == self._shorter:
            self._take_over(folder.parent)
        saved.restore_best(self.task.best)

    @property
    def _shorter(self) -> Path | None:
        """The state of a shorter training to go on with."""
        shorter = self.task.continue_from
        return shorter / self.task.state.name if shorter is not None else None

    def _found(self) -> SavedState | None:
        saved = self.states.newest(self.scorer)
        if saved is not None or self._shorter is None:
            return saved
        try:
            saved = read_state(self._shorter)
            saved.check(self.scorer)
        except DamagedStateError as error:
            logger.warning("%s: this training begins at its beginning, with the same result", error)
            return None
        return saved

    def _take_over(self, shorter: Path) -> None:
        """Note which training this one continues, and begin with its curves."""
        self.position = self.position._replace(continued_from=shorter.name, continued_at=self.position.counts.steps)
        for ours in (self.task.curve, self.task.validations):
            if (shorter / ours.name).exists():
                with atomic.writing(ours, "wb") as stream, open(shorter / ours.name, "rb") as theirs:
                    shutil.copyfileobj(theirs, stream)

    def save(self) -> None:
        """Save the state, curves first."""
        if not self.ranks.main:
            return
        with self.limit.saving():
            for curve in (self.curve, self.validations):
                if curve is not None:
                    curve.sync()
            self.states.save(self.scorer, self.optimisation, self.position, best=self.task.best)

    # -- steps --------------------------------------------------------------------------------------------------

    def run(self, progress: Progress, after_step: Callable[[int], object]) -> None:
        """All steps that are missing."""
        total, common = self.task.steps, SCHEDULES[self.task.schedule].common_steps(self.task.course())
        while (step := self.position.counts.steps) < total and not self.stopped:
            self.step(step)
            check_computed(self.scorer.computed, self.task.precision)
            done = step + 1
            progress(done / total, f"step {done} of {total}, loss {self.position.last_loss:.4f}")
            if self.validator is not None and done % self.task.validation.interval == 0:
                self.validate()
            if done == common or (self.stopped and done < common):
                self.keep_state()
            if done < total and not self.stopped:
                self._save_or_leave(done)
            after_step(done)
        if self.validator is not None and self.position.validated_step < self.position.counts.steps:
            self.validate()

    @property
    def stopped(self) -> bool:
        """Whether validations were no better for too long."""
        return 0 < self.task.patience <= self.position.validations_since_best

    def _save_or_leave(self, done: int) -> None:
        """Save the state where it is time to; GracefulTimeout where there is no time for another step."""
        leaving = self.ranks.agreed(self.limit.reached())
        if leaving or self.limit.unmeasured or done % self.task.checkpoint_interval == 0:
            self.save()
        if leaving:
            raise GracefulTimeout(f"no time for another step after {done} of {self.task.steps}; the state is saved")

    def step(self, step: int) -> None:
        """One update, counted and noted."""
        started = time.monotonic()
        inputs = self.texts.read(self.steps.step(step))
        result = self.ranks.total(
            gradient(
                inputs,
                self.scorer,
                self.task.loss,
                dropout_keys=sequence_keys(inputs.sequences.count, seed=self.task.seed, step=step),
                tokens_per_batch=self.task.tokens_per_batch,
                rank=self.ranks.rank,
                world=self.ranks.world,
            )
        )
        queries, number = inputs.query_ids, step + 1
        collapse.check_finite(result.loss, result.scores, mask=inputs.mask, query_ids=queries, step=number)
        self.ranks.sum_gradients(self.optimisation.weights)
        norm = self.optimisation.gradient_norm()
        collapse.check_gradient(norm, query_ids=queries, step=number)
        level_steps = self.position.level_steps + 1 if collapse.level(result.scores, inputs.mask) else 0
        if level_steps == collapse.STEPS:
            raise collapse.collapsed(result.scores, query_ids=queries, step=number)
        self.optimisation.update(step)
        counts = self.position.counts.plus(Counts.of(inputs, result, seconds=time.monotonic() - started))
        self.position = self.position._replace(counts=counts, last_loss=result.loss, level_steps=level_steps)
        if self.curve is not None:
            rate = self.optimisation.learning_rate(step)
            point = CurvePoint(number, counts.documents, result.loss, rate, norm, counts.seconds)
            self.curve.append(point)
            self.show(point)

    def show(self, point: CurvePoint | ValidationPoint) -> None:
        """Show a point in TensorBoard, where that is asked for."""
        if self.scalars is not None:
            self.scalars.append(point)

    # -- what is kept -------------------------------------------------------------------------------------------

    def validate(self) -> None:
        """Validate, and keep the model where the mean over the sets is higher than ever."""
        assert self.validator is not None
        means = self.validator.means(self.scorer)
        mean, step = mean_over_sets(means), self.position.counts.steps
        since = self.position.validations_since_best + 1
        self.position = self.position._replace(validated_step=step, validations_since_best=since)
        better = mean > self.position.best_mean
        if better:
            self.position = self.position._replace(best_step=step, best_mean=mean, validations_since_best=0)
        if self.validations is None:
            return
        for name, value in [*means, (MEAN, mean)]:
            documents = self.position.counts.documents
            point = ValidationPoint(step, documents, name, self.validator.measure, value)
            self.validations.append(point)
            self.show(point)
        if better:
            self.scorer.save(self.task.best)

    def keep_state(self) -> None:
        """Keep the state that longer trainings have in common with this one."""
        if self.ranks.main and self.task.keep_state:
            write_state(self.task.state, self.scorer, self.optimisation, self.position, best=self.task.best)

    def finish(self) -> None:
        """Leave the checkpoints, then the ledger that names the last; only then are the states of no use."""
        self.scorer.save(self.task.checkpoint)
        kept = {LAST: {"step": self.position.counts.steps, "files": contents(self.task.checkpoint)}}
        if self.position.best_step:
            best, mean = self.position.best_step, self.position.best_mean
            kept[BEST] = {"step": best, "mean": mean, "files": contents(self.task.best)}
        atomic.write_json(self.task.kept, {"schema": 1, "steps": self.task.steps, **kept})
        shorter = {"learner": self.position.continued_from, "step": self.position.continued_at}
        write_ledger(
            self.task,
            counts=self.position.counts,
            scorer=self.scorer,
            device=self.device,
            executions=self.executions,
            last_loss=self.position.last_loss,
            epochs=self.steps.epochs(self.position.counts.steps),
            training_queries=self.training_queries,
            skipped_queries=self.steps.skipped,
            checkpoint=self.task.checkpoint,
            processes=self.ranks.world,
            continued_from=shorter if self.position.continued_from else None,
        )
        self.states.remove()
        self.task.executions.unlink(missing_ok=True)
