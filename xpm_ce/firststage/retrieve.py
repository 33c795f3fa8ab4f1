"""The task that retrieves with BM25: an index and queries give a run.

This module does not know judgements, nor who re-ranks the run.
"""

from pathlib import Path

from experimaestro import Constant, Meta, Param, PathGenerator, field

from xpm_ce.data.parts import Queries
from xpm_ce.data.runs import Run
from xpm_ce.errors import ConfigurationError
from xpm_ce.firststage.bm25_index import Bm25Postings
from xpm_ce.jobs import Job


class Retrieve(Job):
    """Retrieve the best `depth` documents of each query by BM25 (Lucene's variant).

    Documents without any term of the query are not retrieved, so a ranking may be shorter. Equal scores at the cut are
    all looked at, and stand by document id. Queries without any hit are absent from the run, and counted.
    """

    __xpmid__ = "xpm_ce.firststage.retrieve"
    version: Constant[int] = 1
    """Version of how the ranking is made"""

    index: Param[Bm25Postings]
    """The index to search"""

    queries: Param[Queries]
    """The queries"""

    depth: Param[int] = field(default=1000)
    """Documents per query, at most"""

    k1: Param[float] = field(default=0.9)
    """Saturation of term frequencies (default of Anserini, which the published BEIR and MS MARCO baselines use)"""

    b: Param[float] = field(default=0.4)
    """Normalisation by document length, 0 to 1 (default of Anserini)"""

    ignore_identical_ids: Param[bool] = field(default=False)
    """Leave out a document whose id is the query's (BEIR's rule, which ArguAna and Quora need)"""

    ranking: Meta[Path] = field(default_factory=PathGenerator("run.gz"))
    """The run (TREC format, strictly decreasing scores)"""

    counts: Meta[Path] = field(default_factory=PathGenerator("counts.json"))
    """Queries, those without a hit or below the depth, documents retrieved, ties"""

    def __validate__(self) -> None:
        if self.depth < 1:
            raise ConfigurationError(f"a depth of {self.depth} retrieves nothing", remedy="Give 1 or more.")
        if self.k1 < 0 or not 0 <= self.b <= 1:
            raise ConfigurationError(
                f"BM25 has no k1 of {self.k1} with b of {self.b}", remedy="Give k1 of 0 or more, and b from 0 to 1."
            )

    def compute(self) -> None:
        from xpm_ce.firststage.retrieval import retrieve

        retrieve(self)

    def task_outputs(self, dep):
        return dep(Run.C(path=self.ranking))
