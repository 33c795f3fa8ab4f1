"""The computation of `Retrieve`: search past the depth until the score drops, order, cut; BM25 is one search.

This module does not know how the index was built.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import impact_index
import numpy as np

from xpm_ce import atomic
from xpm_ce.data.run_metadata import write_metadata
from xpm_ce.data.runs import Ranking, Rankings, write_run

if TYPE_CHECKING:
    from xpm_ce.data.stored_documents import StoredDocuments
    from xpm_ce.firststage.retrieve import Retrieve
    from xpm_ce.firststage.splade import SpladeRetrieve

SCHEMA = 1
TAG = "bm25"
"""Last column of the run"""

logger = logging.getLogger(__name__)

Search = Callable[[str, int], tuple[list[int], np.ndarray]]
"""(query text, number of documents) -> rows and float32 scores, best first, ties in any order"""


class Retrieved(NamedTuple):
    """The documents of one query."""

    ranking: Ranking
    """Documents by score, then by id"""
    tied_at_cut: bool
    """Whether the document below the cut has the score of the one above it"""


def bm25(folder: Path, *, k1: float, b: float) -> Search:
    """A function that searches an index by BM25.

    impact-index keeps the length norm of a document to about 2e-4, so scores differ from the formula's by as much.
    """
    index = impact_index.Index.load(str(folder), False)
    analyser = index.analyzer()
    scored = index.with_scoring(impact_index.BM25Scoring(k1=k1, b=b, variant="lucene"))

    def search(text: str, size: int) -> tuple[list[int], np.ndarray]:
        hits = scored.search_maxscore(analyser.analyze_query(text), size)
        return [hit.docid for hit in hits], np.array([hit.score for hit in hits], np.float32)

    return search


def best(search: Search, text: str, *, depth: int, documents: "StoredDocuments", without: str = "") -> Retrieved:
    """The best `depth` documents by (score descending, id), leaving out the document whose id is `without`.

    A search gives any of the documents that are tied at its end, so it is widened until the end scores less than the
    last document that is kept.
    """
    wanted = depth + 1 if without else depth
    size = wanted + 1
    while True:
        rows, scores = search(text, size)
        if len(rows) < size or scores[-1] < scores[wanted - 1]:
            break
        size *= 2
    ids = [documents.ids[row] for row in rows]
    order = sorted(range(len(rows)), key=lambda place: (-scores[place], ids[place]))
    order = [place for place in order if not without or ids[place] != without]
    kept, below = order[:depth], order[depth : depth + 1]
    tied = bool(below) and bool(scores[below[0]] == scores[kept[-1]])
    return Retrieved(Ranking([ids[place] for place in kept], scores[kept]), tied)


def retrieve(task: "Retrieve") -> None:
    """Write `run.gz` with its sidecar, and `counts.json`."""
    write_rankings(task, task.queries.read(), bm25(task.index.path, k1=task.k1, b=task.b), tag=TAG)


def write_rankings(task: "Retrieve | SpladeRetrieve", queries: dict[str, str], search: Search, *, tag: str) -> None:
    """Write `run.gz` with its sidecar, and `counts.json`, of a search of every query."""
    documents = task.index.store.open()
    rankings: Rankings = {}
    tied = 0
    for query_id, text in queries.items():
        without = query_id if task.ignore_identical_ids else ""
        retrieved = best(search, text, depth=task.depth, documents=documents, without=without)
        tied += retrieved.tied_at_cut
        if retrieved.ranking.documents:
            rankings[query_id] = retrieved.ranking
    ties = write_run(task.ranking, rankings, tag=tag)
    write_metadata(task.ranking, tag=tag, module=type(task).__module__, score_ties="document id, ascending")
    lengths = [len(ranking.documents) for ranking in rankings.values()]
    counts = {
        "schema": SCHEMA,
        "queries": len(queries),
        "queries_without_hit": len(queries) - len(rankings),
        "queries_below_depth": sum(length < task.depth for length in lengths),
        "queries_tied_at_cut": tied,
        "documents": sum(lengths),
        "ties": ties,
    }
    atomic.write_json(task.counts, counts)
    logger.info("%d documents retrieved for %d of %d queries", counts["documents"], len(rankings), len(queries))
