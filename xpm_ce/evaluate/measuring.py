"""The computation of `Measure`: cut a run to each depth, measure it, write per-query values and their means."""

from itertools import chain, count, repeat
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from xpm_ce import atomic
from xpm_ce.data.judged import check_judged
from xpm_ce.data.runs import Ranking, Rankings
from xpm_ce.measures.bounds import best_order, random_order
from xpm_ce.measures.evaluate import Graded, graded
from xpm_ce.measures.table import Column, PerQueryTable, write_per_query

if TYPE_CHECKING:
    from xpm_ce.evaluate.measure import Measure

RANDOM_ORDER_SEED = 0
"""Seed of the random order, the same in every table"""
NOWHERE = int(np.iinfo(np.int64).max)
"""Rank of a document that was not retrieved"""


def first_stage_ranks(run: Rankings, first_stage: Rankings | None, query_ids: list[str]) -> np.ndarray:
    """The rank of each document of these queries in the first stage, or in the run itself where there is none before.

    int64 [documents], from 1; documents that the first stage has not retrieved are past every depth.
    """
    shown = [run[query_id].documents if query_id in run else [] for query_id in query_ids]
    if first_stage is None:
        return np.concatenate([np.arange(1, len(documents) + 1) for documents in shown])
    before = [first_stage[query_id].documents if query_id in first_stage else [] for query_id in query_ids]
    ranks = (
        map(dict(zip(candidates, count(1), strict=False)).get, documents, repeat(NOWHERE))
        for candidates, documents in zip(before, shown, strict=True)
    )
    return np.fromiter(chain.from_iterable(ranks), dtype=np.int64, count=sum(map(len, shown)))


def without_identical_ids(run: Rankings) -> Rankings:
    """The run without documents whose id is the query's."""
    kept = dict(run)
    for query_id, ranking in run.items():
        if query_id in ranking.documents:
            place = ranking.documents.index(query_id)
            documents = ranking.documents[:place] + ranking.documents[place + 1 :]
            kept[query_id] = Ranking(documents, np.delete(ranking.scores, place))
    return kept


class Measured(NamedTuple):
    """Every measure at every depth and in every order."""

    query_ids: list[str]
    """Judged queries, in the order of the qrels"""
    columns: list[Column]
    """By depth, order, measure"""
    values: np.ndarray
    """float64 [queries, columns]"""
    missing: list[str]
    """Judged queries without results; they count as 0"""


def measured(
    run: Rankings, qrels: dict[str, dict[str, int]], *, first_stage: Rankings | None, depths: list[int],
    measures: list[str], bounds: bool,
) -> Measured:  # fmt: skip
    """Measure a run at every depth: only the first stage's first so many documents, in the run's order.

    The documents are looked up once. DataError where no query is judged, or none of the run's.
    """
    looked_up = graded(run, qrels)
    ranks = first_stage_ranks(run, first_stage, looked_up.query_ids)
    columns: list[Column] = []
    values: list[np.ndarray] = []
    missing: list[str] = []
    orders = _orders(run, looked_up, bounds=bounds)
    for depth in depths:
        for order, positions in orders.items():
            found = looked_up.taken(positions[ranks[positions] <= depth]).measured(measures)
            columns += [Column(name, depth, order) for name in found.measures]
            values.append(found.values)
            missing = found.missing
    return Measured(looked_up.query_ids, columns, np.hstack(values), missing)


def measure(task: "Measure") -> None:
    """Write `per_query.parquet` and `summary.json`."""
    run, qrels, store = task.run.read(), task.qrels.read(), task.store.open()
    first_stage = task.first_stage.read() if task.first_stage else None
    if task.ignore_identical_ids:
        run = without_identical_ids(run)
        first_stage = without_identical_ids(first_stage) if first_stage is not None else None
    found = measured(
        run, qrels, first_stage=first_stage, depths=task.depths, measures=task.measures, bounds=task.bounds
    )
    identity = task.listing.parent.name
    write_per_query(task.values, PerQueryTable(found.query_ids, task.protocol, identity, found.columns, found.values))
    means = zip(found.columns, found.values.mean(axis=0).tolist(), strict=True)
    atomic.write_json(
        task.summary,
        {
            "schema": 1, "queries": len(found.query_ids), "queries_without_result": found.missing,
            "judgements_of_unknown_documents": check_judged(qrels, store).unknown_documents,
            "means": [
                {"order": column.order, "depth": column.depth, "measure": column.measure, "mean": mean}
                for column, mean in means
            ],
        },
    )  # fmt: skip


def _orders(run: Rankings, looked_up: Graded, *, bounds: bool) -> dict[str, np.ndarray]:
    """Positions of all documents as given and, where the bounds are asked for, in the best and in a random order.

    Cutting to a depth and ordering commute: both bounds order a part as it stands in the whole.
    """
    given = np.arange(len(looked_up.query))
    if not bounds:
        return {"given": given}
    drawn, start = [], 0
    for query_id in looked_up.query_ids:
        documents = run[query_id].documents if query_id in run else []
        drawn.append(np.array(random_order(documents, query_id, RANDOM_ORDER_SEED), np.int64) + start)
        start += len(documents)
    return {
        "given": given,
        "ceiling": best_order(looked_up.grade, looked_up.query),
        "random": np.concatenate(drawn),
    }
