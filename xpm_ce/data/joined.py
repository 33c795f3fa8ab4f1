"""Runs over different queries joined to one: the parts of a cross-fitting, or shards of a large scoring.

This module does not know who ranked, nor why the queries were divided.
"""

from pathlib import Path

from experimaestro import Constant, Meta, Param, PathGenerator, field

from xpm_ce import atomic
from xpm_ce.data.parts import Queries
from xpm_ce.data.runs import Rankings, Run, write_run
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.jobs import Job


class JoinRuns(Job):
    """Join runs of which no two rank the same query; a query that none of them ranks is counted and left out."""

    __xpmid__ = "xpm_ce.data.join_runs"
    version: Constant[int] = 1

    runs: Param[list[Run]]
    """The runs, each over queries of its own"""

    queries: Param[Queries]
    """The queries of all runs; they give the order"""

    ranking: Meta[Path] = field(default_factory=PathGenerator("run.gz"))
    """The joined run (TREC format, scores as they were)"""

    counts: Meta[Path] = field(default_factory=PathGenerator("counts.json"))
    """Queries of each run, and those without a ranking"""

    def __validate__(self) -> None:
        if not self.runs:
            raise ConfigurationError("runs is empty", remedy="Give at least one run.")

    def compute(self) -> None:
        runs, queries = [run.read() for run in self.runs], self.queries.read()
        joined = join(runs, list(queries), names=[str(run.path) for run in self.runs])
        write_run(self.ranking, joined, tag="xpm-ce-joined")
        atomic.write_json(
            self.counts,
            {
                "schema": 1, "queries": len(queries), "queries_of_runs": [len(rankings) for rankings in runs],
                "queries_without_ranking": len(queries) - len(joined),
            },
        )  # fmt: skip

    def task_outputs(self, dep):
        return dep(Run.C(path=self.ranking))


def join(runs: list[Rankings], query_ids: list[str], *, names: list[str]) -> Rankings:
    """The rankings of all `runs` in the order of `query_ids`; `names` say in errors which run is meant.

    DataError for a query that two of them rank, and for one that is not among `query_ids`.
    """
    places: dict[str, int] = {}
    for place, rankings in enumerate(runs):
        for query_id in rankings:
            if query_id in places:
                raise DataError(
                    f"query {query_id} is ranked in {names[places[query_id]]} too",
                    where=names[place],
                    remedy="Join runs over different queries only: nothing says which ranking to keep.",
                )
            places[query_id] = place
    unknown = sorted(places.keys() - set(query_ids))
    if unknown:
        raise DataError(
            f"{len(unknown)} ranked queries are not among those of the joined run, the first is {unknown[0]}",
            where=names[places[unknown[0]]],
            remedy="Give the runs of the same split of the same collection.",
        )
    return {query_id: runs[places[query_id]][query_id] for query_id in query_ids if query_id in places}
