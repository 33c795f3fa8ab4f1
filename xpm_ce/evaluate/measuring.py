"""The computation of `Measure`: cut a run to each depth, measure it, write per-query values and their means."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from xpm_ce import atomic
from xpm_ce.data.judged import check_judged
from xpm_ce.data.runs import Ranking, Rankings, cut
from xpm_ce.measures.bounds import best_order, random_order
from xpm_ce.measures.evaluate import per_query
from xpm_ce.measures.table import Column, PerQueryTable, write_per_query

if TYPE_CHECKING:
    from xpm_ce.evaluate.measure import Measure

RANDOM_ORDER_SEED = 0
"""Seed of the random order, the same in every table"""


def at_depth(run: Rankings, first_stage: Rankings | None, depth: int) -> Rankings:
    """The run as if it had been made at `depth`: only the first stage's first so many documents, in the run's order."""
    if first_stage is None:
        return cut(run, depth)
    kept = {query_id: frozenset(ranking.documents[:depth]) for query_id, ranking in first_stage.items()}
    cut_run: Rankings = {}
    for query_id, ranking in run.items():
        keep = [document in kept.get(query_id, ()) for document in ranking.documents]
        documents = [document for document, kept_here in zip(ranking.documents, keep, strict=True) if kept_here]
        cut_run[query_id] = Ranking(documents, ranking.scores[keep])
    return cut_run


def without_identical_ids(run: Rankings) -> Rankings:
    """The run without documents whose id is the query's."""
    kept: Rankings = {}
    for query_id, ranking in run.items():
        keep = [document != query_id for document in ranking.documents]
        documents = [document for document in ranking.documents if document != query_id]
        kept[query_id] = Ranking(documents, ranking.scores[keep])
    return kept


def measure(task: "Measure") -> None:
    """Write `per_query.parquet` and `summary.json`."""
    run, qrels, store = task.run.read(), task.qrels.read(), task.store.open()
    first_stage = task.first_stage.read() if task.first_stage else None
    if task.ignore_identical_ids:
        run = without_identical_ids(run)
        first_stage = without_identical_ids(first_stage) if first_stage is not None else None
    columns: list[Column] = []
    values: list[np.ndarray] = []
    means: list[dict[str, Any]] = []
    missing: list[str] = []
    for depth in task.depths:
        for order, rankings in _orders(at_depth(run, first_stage, depth), qrels, bounds=task.bounds):
            measured = per_query(rankings, qrels, task.measures)
            missing = measured.missing
            columns += [Column(name, depth, order) for name in measured.measures]
            values.append(measured.values)
            means += [
                {"order": order, "depth": depth, "measure": name, "mean": mean}
                for name, mean in measured.means().items()
            ]
    identity = task.listing.parent.name
    write_per_query(task.values, PerQueryTable(measured.query_ids, task.protocol, identity, columns, np.hstack(values)))
    atomic.write_json(
        task.summary,
        {
            "schema": 1, "queries": len(measured.query_ids), "queries_without_result": missing,
            "judgements_of_unknown_documents": check_judged(qrels, store).unknown_documents, "means": means,
        },
    )  # fmt: skip


def _orders(given: Rankings, qrels: dict[str, dict[str, int]], *, bounds: bool) -> Iterator[tuple[str, Rankings]]:
    """The run as given and, where the bounds are asked for, its documents in the best and in a random order."""
    yield "given", given
    if bounds:
        yield "ceiling", {query: best_order(ranking, qrels.get(query, {})) for query, ranking in given.items()}
        yield "random", {query: random_order(ranking, query, RANDOM_ORDER_SEED) for query, ranking in given.items()}
