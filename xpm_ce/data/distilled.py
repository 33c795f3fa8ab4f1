"""Training sets made of a run: a teacher's ranking of each query, to be learnt from.

This module does not know who ranked: a cross-encoder, a language model, another first stage.
"""

from pathlib import Path
from typing import Optional

from experimaestro import Constant, Meta, Param, PathGenerator, field

from xpm_ce.data.file_run import BY_RANK, FileRun
from xpm_ce.data.parts import Qrels, Queries
from xpm_ce.data.runs import Run
from xpm_ce.data.store import DocumentStore
from xpm_ce.data.supervision import LABELS, TEACHER_ORDER, TEACHER_SCORES
from xpm_ce.data.training_set import TrainingSet
from xpm_ce.errors import ConfigurationError
from xpm_ce.jobs import Job

NAME = "run"
TEACHES = {TEACHER_SCORES: [TEACHER_ORDER, TEACHER_SCORES], TEACHER_ORDER: [TEACHER_ORDER]}
"""Kinds of supervision by what the run's scores mean"""


class RunTrainingSet(Job):
    """Make a group of the first documents of each query of a run, with the run's scores as the teacher's."""

    __xpmid__ = "xpm_ce.data.run_training_set"
    version: Constant[int] = 1
    """Version of how groups are built"""

    store: Param[DocumentStore]
    """The collection; rows of the training set are its rows"""

    run: Param[Run]
    """The teacher's run; its queries are the groups, in its order"""

    queries: Param[Optional[Queries]] = field(default=None, ignore_default=True)
    """Training queries; the run's others are left out. Absent for all"""

    first_stage: Param[Optional[Run]] = field(default=None, ignore_default=True)
    """The run that the teacher re-ranked: the depth is then counted in its ranks, and the teacher orders what is left
    (the sub-sampling of arXiv 2405.07920); absent to count in the teacher's own"""

    depth: Param[int] = field(default=100)
    """Documents per query, from the first"""

    teaches: Param[str] = field(default=TEACHER_SCORES)
    """"teacher scores" where differences of scores mean something, "teacher order" where only ranks do (as those of a
    language model that permutes a list)"""

    qrels: Param[Optional[Qrels]] = field(default=None, ignore_default=True)
    """Judgements that give labels to the documents they know; absent for none"""

    training_set: Meta[Path] = field(default_factory=PathGenerator("training_set"))
    """The training set"""

    counts: Meta[Path] = field(default_factory=PathGenerator("counts.json"))
    """What was built and left out"""

    @property
    def supervision(self) -> list[str]:
        """Kinds of supervision that the documents carry, sorted."""
        return sorted([*TEACHES[self.teaches], *([LABELS] if self.qrels is not None else [])])

    def __validate__(self) -> None:
        if self.teaches not in TEACHES:
            raise ConfigurationError(f"unknown meaning of scores {self.teaches!r}", remedy=f"One of {list(TEACHES)}.")
        by_rank = isinstance(self.run, FileRun) and self.run.order == BY_RANK
        if by_rank and self.teaches == TEACHER_SCORES:
            raise ConfigurationError(
                "teaches is teacher scores, but the run is read by rank",
                remedy="Give teaches: teacher order, or order: score for a run whose scores mean something.",
            )
        if self.depth < 1:
            raise ConfigurationError(f"a depth of {self.depth} leaves no document", remedy="Give 1 or more.")

    def compute(self) -> None:
        from xpm_ce.data.groups import distil

        distil(self)

    def task_outputs(self, dep):
        return dep(TrainingSet.C(path=self.training_set, supervision=self.supervision))
