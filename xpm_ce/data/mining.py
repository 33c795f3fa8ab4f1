"""Training sets mined from a first stage: judged positives, and negatives that the first stage ranked high.

This module does not know which loss will be trained, nor which documents of a group a step will use.
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

NAME = "mined"


class MineTrainingSet(Job):
    """Build a group for each query: its relevant documents, then the first stage's window, then random documents.

    Relevant documents stand first, by grade and id; those that the first stage missed are there too, unless `inject` is
    false. In the window, by
    rank, a document is a negative (label -1) if it is unjudged and keeps label 0 if it was judged not relevant; a
    judged document is never a negative. Random documents are unjudged too. Queries without a positive are left out.
    """

    __xpmid__ = "xpm_ce.data.mine_training_set"
    version: Constant[int] = 1
    """Version of how groups are built"""

    store: Param[DocumentStore]
    """The collection; rows of the training set are its rows"""

    queries: Param[Queries]
    """Training queries; they give the order of the groups"""

    qrels: Param[Qrels]
    """Their judgements"""

    run: Param[Run]
    """The first stage's run over them"""

    teacher: Param[Optional[Run]] = field(default=None, ignore_default=True)
    """A run whose scores are attached to the documents it holds; the others have none, and are counted"""

    first_rank: Param[int] = field(default=1)
    """First rank of the window, from 1; a later one leaves out documents that are likely relevant though unjudged"""

    last_rank: Param[int] = field(default=100)
    """Last rank of the window"""

    inject: Param[bool] = field(default=True, ignore_default=True)
    """Put relevant documents that the window does not hold into the group, too; false leaves them out, and with them
    the queries that have no other positive (arXiv 2603.03010)"""

    negative_margin: Param[Optional[float]] = field(default=None, ignore_default=True)
    """An unjudged document of the window that the teacher scores above the lowest relevant one, or by less than this
    below it, is left out as likely relevant; absent to keep all, and those without a teacher score are kept"""

    random_documents: Param[int] = field(default=0)
    """Unjudged documents per query that are drawn from the whole collection"""

    positive_grade: Param[int] = field(default=1)
    """Grade from which a document is a positive; lower ones above 0 stay in the group with their grade"""

    seed: Param[int] = field(default=0)
    """Seed of the random documents; each query has its own draws"""

    training_set: Meta[Path] = field(default_factory=PathGenerator("training_set"))
    """The training set"""

    counts: Meta[Path] = field(default_factory=PathGenerator("counts.json"))
    """What was built, injected and left out"""

    @property
    def supervision(self) -> list[str]:
        """Kinds of supervision that the documents carry, sorted."""
        if self.teacher is None:
            return [LABELS]
        # a run that is ordered by rank has no scores of its own
        by_rank = isinstance(self.teacher, FileRun) and self.teacher.order == BY_RANK
        return sorted([LABELS, TEACHER_ORDER] if by_rank else [LABELS, TEACHER_ORDER, TEACHER_SCORES])

    def __validate__(self) -> None:
        if not 1 <= self.first_rank <= self.last_rank:
            raise ConfigurationError(
                f"the window of ranks {self.first_rank} to {self.last_rank} is empty",
                remedy="Ranks count from 1, and last_rank is in the window.",
            )
        if self.negative_margin is not None and TEACHER_SCORES not in self.supervision:
            raise ConfigurationError(
                "negative_margin compares scores of a teacher, and there are none", remedy="Add a teacher with scores."
            )
        if self.random_documents < 0 or self.positive_grade < 1:
            raise ConfigurationError(
                f"random_documents is {self.random_documents} and positive_grade {self.positive_grade}",
                remedy="Give random_documents of 0 or more and a positive_grade of 1 or more.",
            )

    def compute(self) -> None:
        from xpm_ce.data.groups import mine

        mine(self)

    def task_outputs(self, dep):
        return dep(TrainingSet.C(path=self.training_set, supervision=self.supervision))
