"""The part of a large run that a study needs, as a run of its own: some queries, the first documents of each.

This module does not know what the part is used for.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from experimaestro import Constant, Meta, Param, PathGenerator, field

from xpm_ce import atomic
from xpm_ce.data.parts import Queries
from xpm_ce.data.runs import Ranking, Rankings, Run, write_run
from xpm_ce.data.store import DocumentStore
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.jobs import Job

if TYPE_CHECKING:
    from xpm_ce.data.ranked_rows import RowRankings
    from xpm_ce.data.stored_documents import StoredIds


class FirstDocuments(Job):
    """Write the first documents of each query of a split; the rest of the run, of any size, is never in memory.

    Scores are the run's, or count down where only its ranks mean something.
    """

    __xpmid__ = "xpm_ce.data.first_documents"
    version: Constant[int] = 1
    """Version of what is written"""

    run: Param[Run]
    """The run to take from"""

    queries: Param[Queries]
    """The queries; they give the order"""

    store: Param[DocumentStore]
    """The collection"""

    depth: Param[int]
    """Documents of a query"""

    ranking: Meta[Path] = field(default_factory=PathGenerator("run.gz"))
    """The part (TREC format)"""

    counts: Meta[Path] = field(default_factory=PathGenerator("counts.json"))
    """Queries that were written, and those without a ranking"""

    def __validate__(self) -> None:
        if self.depth < 1:
            raise ConfigurationError(f"a depth of {self.depth} leaves no document", remedy="Give 1 or more.")

    def compute(self) -> None:
        from xpm_ce.data.ranked_rows import row_rankings

        store, queries = self.store.open(), self.queries.read()
        with row_rankings(self.run, store, scratch=self.ranking.parent, only=queries) as rankings:
            part = _Part(rankings, store.ids, [query for query in queries if query in rankings], self.depth)
            if not len(part):
                raise DataError("the run ranks none of the queries", remedy="Give a run over these queries.")
            # written as they are asked for: nobody but the writer looks at more than one
            write_run(self.ranking, cast(Rankings, part), tag="first")
        record = {"schema": 1, "queries": len(part), "queries_without_ranking": len(queries) - len(part)}
        atomic.write_json(self.counts, record)

    def task_outputs(self, dep):
        return dep(Run.C(path=self.ranking))


class _Part(Mapping[str, Ranking]):
    """The first documents of some queries, made when they are asked for."""

    def __init__(self, rankings: "RowRankings", ids: "StoredIds", queries: list[str], depth: int):
        self._rankings, self._ids, self._queries, self._depth = rankings, ids, queries, depth

    def __getitem__(self, query: str) -> Ranking:
        rows, scores = self._rankings.ranking(query, 0, self._depth)
        return Ranking([self._ids[row] for row in rows.tolist()], scores)

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)
