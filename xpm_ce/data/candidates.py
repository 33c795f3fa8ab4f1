"""The documents of a training set's groups as a run, so that a model can score exactly what learners will see.

This module does not know how groups were built, nor which model will score them.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from experimaestro import Constant, Meta, Param, PathGenerator, field

from xpm_ce import atomic
from xpm_ce.data.parts import Queries
from xpm_ce.data.runs import Ranking, Rankings, Run, write_run
from xpm_ce.data.store import DocumentStore
from xpm_ce.data.training_set import StoredGroups, TrainingSet
from xpm_ce.errors import DataError
from xpm_ce.jobs import Job

if TYPE_CHECKING:
    from xpm_ce.data.stored_documents import StoredIds


class GroupCandidates(Job):
    """Write the groups of some queries as a run, each in the order of the collection, so that no rank shows a label."""

    __xpmid__ = "xpm_ce.data.group_candidates"
    version: Constant[int] = 1

    training_set: Param[TrainingSet]
    """Its groups are the candidates"""

    queries: Param[Queries]
    """Whose groups are written"""

    store: Param[DocumentStore]
    """Ids of the documents"""

    ranking: Meta[Path] = field(default_factory=PathGenerator("run.gz"))
    """The candidates as a run, whose ranks mean nothing (TREC format)"""

    counts: Meta[Path] = field(default_factory=PathGenerator("counts.json"))
    """Queries, those without a group, documents"""

    def compute(self) -> None:
        queries = self.queries.read()
        rankings = candidates(self.training_set.open(), self.store.open().ids, set(queries))
        if not rankings:
            raise DataError(
                f"none of the {len(queries)} queries has a group",
                where=str(self.training_set.path),
                remedy="Look at the counts of the training set; a collection this small needs fewer folds.",
            )
        write_run(self.ranking, rankings, tag="xpm-ce-candidates")
        documents = sum(len(ranking.documents) for ranking in rankings.values())
        atomic.write_json(
            self.counts,
            {
                "schema": 1, "queries": len(rankings), "queries_without_group": len(queries) - len(rankings),
                "documents": documents,
            },
        )  # fmt: skip

    def task_outputs(self, dep):
        return dep(Run.C(path=self.ranking))


def candidates(groups: StoredGroups, ids: "StoredIds", query_ids: set[str]) -> Rankings:
    """The documents of the groups of `query_ids`, by row; `ids` gives the id of a row."""
    import numpy as np

    rankings: Rankings = {}
    for query in range(len(groups)):
        if groups.query_id(query) in query_ids:
            documents = [ids[row] for row in np.sort(groups.documents(query)).tolist()]
            rankings[groups.query_id(query)] = Ranking(documents, -np.arange(len(documents), dtype=np.float32))
    return rankings
