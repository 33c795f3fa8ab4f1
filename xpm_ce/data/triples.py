"""Training sets made of triples: each line of a file names a query, a positive and a negative.

This module does not know who chose the negatives, nor whose the scores are.
"""

from pathlib import Path
from typing import Optional

from experimaestro import Constant, Meta, Param, PathGenerator, field

from xpm_ce.data.need import Need
from xpm_ce.data.parts import Queries
from xpm_ce.data.published import IGNORED, TRIPLES, check_source, located, need_of, obstacle, published
from xpm_ce.data.store import DocumentStore
from xpm_ce.data.supervision import LABELS, TEACHER_ORDER, TEACHER_SCORES
from xpm_ce.data.training_set import TRIPLES as HOLDS_TRIPLES
from xpm_ce.data.training_set import TrainingSet
from xpm_ce.errors import ConfigurationError
from xpm_ce.jobs import Job

IDS = ("query", "positive", "negative")
SCORES = ("positive_score", "negative_score")


class TripleTrainingSet(Job):
    """Store the triples of a file of any size: ids of a query, a positive and a negative, with or without scores.

    A line with a query that is not of the split, or a document that is not of the collection, is left out and counted.
    Lines that say the same are kept: they weigh more, as in the file.
    """

    __xpmid__ = "xpm_ce.data.triple_training_set"
    version: Constant[int] = 1
    """Version of how triples are read"""

    store: Param[DocumentStore]
    """The collection; rows of the training set are its rows"""

    queries: Param[Queries]
    """Training queries; triples of others are left out"""

    published: Param[Optional[str]] = field(default=None, ignore_default=True)
    """Name of a published file (msmarco-triples-1, msmarco-triples-2, bert-ensemble-triples, bert-base-triples); its
    columns are known, and its md5 is compared"""

    path: Meta[Optional[Path]] = field(default=None)
    """The file, decompressed where its name ends with .gz; may be absent for a published one that datamaestro has"""

    sha256: Param[Optional[str]] = field(default=None, ignore_default=True)
    """sha256 of the file's bytes, where it is not a published one"""

    columns: Param[Optional[list[str]]] = field(default=None, ignore_default=True)
    """What each column of your own file is, separated by tabs or blanks: query, positive and negative, positive_score
    and negative_score where there is a teacher, - for one to ignore; by default the first three"""

    training_set: Meta[Path] = field(default_factory=PathGenerator("training_set"))
    """The training set"""

    counts: Meta[Path] = field(default_factory=PathGenerator("counts.json"))
    """What was read and left out"""

    @property
    def obstacle(self) -> str | None:
        """What keeps the file from being had here, and what to do about it; None where nothing is known to."""
        return obstacle(self.published, self.path)

    @property
    def need(self) -> Need | None:
        """What is needed of those who published the file; None for a user's own."""
        return need_of(self.published, self.path)

    def obtain(self) -> str:
        """Have the file, downloaded if need be, and compare its content; where it is. DataError where it is another."""
        return str(located(self.published, self.path, self.sha256))

    @property
    def layout(self) -> list[str]:
        """What each column is."""
        if self.published is not None:
            return list(published(self.published, TRIPLES).publication.columns)
        return list(self.columns or IDS)

    @property
    def supervision(self) -> list[str]:
        """Kinds of supervision that the triples carry, sorted."""
        scored = set(SCORES) <= set(self.layout)
        return sorted([LABELS, TEACHER_ORDER, TEACHER_SCORES] if scored else [LABELS])

    def __validate__(self) -> None:
        check_source(self.published, self.path, self.sha256, kind=TRIPLES)
        if self.published is not None and self.columns is not None:
            raise ConfigurationError("columns of a published file are known", remedy="Leave them out.")
        given = [column for column in self.layout if column != IGNORED]
        if sorted(given) not in (sorted(IDS), sorted(IDS + SCORES)):
            raise ConfigurationError(
                f"columns {self.layout} do not describe triples",
                remedy=f"Name {', '.join(IDS)} once each, then none or both of {' and '.join(SCORES)}, and - for the "
                "columns to ignore.",
            )

    def compute(self) -> None:
        from xpm_ce.data.triple_rows import store_triples

        store_triples(self)

    def task_outputs(self, dep):
        return dep(TrainingSet.C(path=self.training_set, supervision=self.supervision, holds=HOLDS_TRIPLES))
