"""The computation of `Rerank`: score the candidates, order them, write the run.

Scores are kept in the first stage's order beside the run, so that another depth cuts or extends them; ties are broken
by the first stage's rank. This module does not know what kind of model scores.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xpm_ce import atomic
from xpm_ce.data.runs import Ranking, Rankings, cut, write_run
from xpm_ce.errors import DataError
from xpm_ce.identity import short
from xpm_ce.progress import Progress
from xpm_ce.tokens.sequences import Ragged
from xpm_ce.workspace import read_json

if TYPE_CHECKING:
    from xpm_ce.evaluate.rerank import Rerank

PAIRS_PER_SHARD = 8192
"""Pairs whose tokens are in memory at once; a shard holds whole queries and at least one"""


class Candidates:
    """The documents of a first-stage run at a depth, query by query, and their scores in the same order."""

    def __init__(self, rankings: Rankings):
        self.rankings = rankings
        self.query_ids = list(rankings)
        lengths = [len(rankings[query_id].documents) for query_id in self.query_ids]
        self.offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        self.scores = np.full(int(self.offsets[-1]), np.nan, dtype=np.float32)

    def take_over(self, folder: Path) -> int:
        """Copy the scores of a finished job at another depth; the number of pairs taken over."""
        counts = read_json(folder / "counts.json")
        depth, lengths = counts["depth"], counts["candidates"]
        finished, position = np.load(folder / "scores.npy"), 0
        if len(lengths) != len(self.query_ids):
            raise DataError("this finished run holds other queries", where=str(folder), remedy="Delete it, run again.")
        taken = 0
        for index, length in enumerate(lengths):
            start, end = self.offsets[index], self.offsets[index + 1]
            common = min(length, int(end - start), depth)
            self.scores[start : start + common] = finished[position : position + common]
            position, taken = position + length, taken + common
        return taken

    def missing(self) -> Iterator[tuple[list[str], list[str], np.ndarray]]:
        """Shards of (query ids, document ids, positions) of the pairs that have no score yet."""
        query_ids: list[str] = []
        documents: list[str] = []
        positions: list[np.ndarray] = []
        for index, query_id in enumerate(self.query_ids):
            start, end = int(self.offsets[index]), int(self.offsets[index + 1])
            unscored = np.flatnonzero(np.isnan(self.scores[start:end]))
            ranking = self.rankings[query_id]
            query_ids += [query_id] * len(unscored)
            documents += [ranking.documents[rank] for rank in unscored]
            positions.append(unscored + start)
            if len(documents) >= PAIRS_PER_SHARD:
                yield query_ids, documents, np.concatenate(positions)
                query_ids, documents, positions = [], [], []
        if documents:
            yield query_ids, documents, np.concatenate(positions)

    def ordered(self) -> Rankings:
        """The re-ranked run: by score, then by the first stage's rank."""
        ordered: Rankings = {}
        for index, query_id in enumerate(self.query_ids):
            scores = self.scores[self.offsets[index] : self.offsets[index + 1]]
            order = np.argsort(-scores, kind="stable")
            documents = self.rankings[query_id].documents
            ordered[query_id] = Ranking([documents[rank] for rank in order], scores[order])
        return ordered


def rerank(task: "Rerank", *, progress: Progress = lambda share, words: None) -> None:
    """Score what is missing, write `scores.npy`, `run.gz` and `counts.json`.

    DataError for a query without text and for a score that is not finite (naming the query).
    """
    started = time.time()
    candidates = Candidates(cut(task.run.read(), task.depth))
    taken_over = candidates.take_over(task.finished) if task.finished else 0
    texts, store = task.queries.read(), task.store.open()
    unknown = [query_id for query_id in candidates.query_ids if query_id not in texts]
    if unknown:
        raise DataError(
            f"{len(unknown)} queries of the run have no text, the first is {unknown[0]}",
            where=str(task.run.path),
            remedy="Give the run of the same split of the same collection.",
        )
    scored, truncation = 0, {"pairs_truncated": 0, "queries_truncated": 0}
    total, tokens, model = int(np.isnan(candidates.scores).sum()), task.tokens.open(), None
    for query_ids, documents, positions in candidates.missing():
        model = model or task.model.open(device=task.device, precision=task.precision)
        queries, places = np.unique(query_ids, return_inverse=True)
        encoder = model.scorer.encoder
        asked = Ragged.of(encoder.tokens([texts[query_id] for query_id in queries.tolist()]))
        sequences = encoder.join(asked.take(places), tokens.rows(store.rows(documents)))
        scores = model.score(sequences, tokens_per_batch=task.tokens_per_batch)
        if not np.isfinite(scores).all():
            bad = int(np.flatnonzero(~np.isfinite(scores))[0])
            raise DataError(
                f"the score of document {documents[bad]} for query {query_ids[bad]} is {scores[bad]}",
                remedy="The model diverged: lower its learning rate, or look at its curve.csv.",
            )
        candidates.scores[positions] = scores
        scored += len(documents)
        progress(scored / total, f"{scored} of {total} pairs")
        for name in truncation:
            truncation[name] += getattr(model.last_counts, name)
    with atomic.writing(task.scores, "wb") as stream:
        np.save(stream, candidates.scores)
    ties = write_run(task.ranking, candidates.ordered(), tag=f"xpm-ce-{short(task.listing.parent.name)}")
    atomic.write_json(
        task.counts,
        {
            "schema": 1, "depth": task.depth, "queries": len(candidates.query_ids), "pairs_scored": scored,
            "pairs_taken_over": taken_over, "ties": ties, **truncation, "seconds": time.time() - started,
            "candidates": np.diff(candidates.offsets).tolist(),
        },
    )  # fmt: skip
