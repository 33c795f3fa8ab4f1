"""The computation of `Rerank`: score the candidates, order them, write the run.

Shards of queries are scored one after the other and kept, so that a killed job goes on with the next. Scores are kept
in the first stage's order beside the run, so that another depth cuts or extends them; ties are broken by the first
stage's rank. This module does not know what kind of model scores.
"""

import logging
import shutil
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from experimaestro import GracefulTimeout

from xpm_ce import atomic
from xpm_ce.data.run_metadata import write_metadata
from xpm_ce.data.runs import Ranking, Rankings, cut, write_run
from xpm_ce.errors import DataError
from xpm_ce.evaluate.timing import device_name
from xpm_ce.identity import short, source_fingerprint
from xpm_ce.progress import Progress
from xpm_ce.time_limit import TimeLimit
from xpm_ce.tokens.sequences import Ragged
from xpm_ce.workspace import read_json

if TYPE_CHECKING:
    from xpm_ce.evaluate.rerank import Rerank

PAIRS_PER_SHARD = 8192
"""Pairs whose tokens are in memory at once and whose scores are kept together; a shard holds whole queries, at least
one"""
SHARDS = "shards"
"""Folder of the finished shards of a job that has not ended"""

logger = logging.getLogger(__name__)


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


class ShardCounts(NamedTuple):
    """What scoring a shard took and met; of several shards, their sums."""

    pairs: int = 0
    pairs_truncated: int = 0
    queries_truncated: int = 0
    seconds: float = 0.0

    def plus(self, other: "ShardCounts") -> "ShardCounts":
        """Both together."""
        return ShardCounts(
            self.pairs + other.pairs, self.pairs_truncated + other.pairs_truncated,
            self.queries_truncated + other.queries_truncated, self.seconds + other.seconds,
        )  # fmt: skip


class Shards:
    """The scores of finished shards, a file each, until the whole is written: what an interrupted job goes on from.

    They stand in a folder of the source that scored them: scores of another state of the code are not gone on from.
    """

    def __init__(self, folder: Path, *, source: str):
        self.parent, self.folder = folder, folder / short(source)

    def keep(self, positions: np.ndarray, scores: np.ndarray, counts: ShardCounts) -> None:
        """Write a shard; `positions` int64 and `scores` float32 are `[pairs]`."""
        with atomic.writing(self.folder / f"{positions[0]:012d}.npz", "wb") as stream:
            np.savez(stream, positions=positions, scores=scores, counts=np.array(counts, np.float64))

    def restore(self, scores: np.ndarray) -> ShardCounts:
        """Copy the finished shards into `scores` (float32, NaN where there is none yet); what they took.

        A file that cannot be read, or is not of these candidates, is passed over: its pairs are scored again.
        """
        total = ShardCounts()
        for path in sorted(self.folder.glob("*.npz")):
            try:
                with np.load(path) as shard:
                    positions, found, counts = shard["positions"], shard["scores"], shard["counts"]
                fits = len(positions) == len(found) == counts[0] and np.isfinite(found).all() and len(counts) == 4
                fits = fits and positions.min() >= 0 and positions.max() < len(scores)
            except (OSError, ValueError, KeyError, EOFError, IndexError, zipfile.BadZipFile, zlib.error):
                fits = False
            if not fits:
                logger.warning("%s is damaged: its pairs are scored again", path)
                path.unlink()
                continue
            scores[positions] = found
            pairs, pairs_truncated, queries_truncated = counts[:3].astype(int).tolist()
            total = total.plus(ShardCounts(pairs, pairs_truncated, queries_truncated, float(counts[3])))
        return total

    def remove(self) -> None:
        """Delete them, once the whole has been written."""
        shutil.rmtree(self.parent, ignore_errors=True)


def check_complete(ordered: Rankings, first_stage: Rankings) -> None:
    """DataError where the re-ranked documents of a query are not the first stage's, each once, or have no score."""
    if list(ordered) != list(first_stage):
        raise DataError("the re-ranked queries are not those of the first stage", remedy=_REPORT)
    for query_id, ranking in ordered.items():
        candidates = first_stage[query_id].documents
        if len(ranking.documents) != len(candidates) or set(ranking.documents) != set(candidates):
            raise DataError(
                f"{len(ranking.documents)} re-ranked documents of query {query_id} are not the {len(candidates)} "
                "of the first stage",
                remedy=_REPORT,
            )
        if not np.isfinite(ranking.scores).all():
            raise DataError(f"a document of query {query_id} has no score", remedy=_REPORT)


_REPORT = "This is a defect of xpm-ce: delete the job's folder, run again, and report it."


def rerank(task: "Rerank", *, progress: Progress = lambda share, words: None) -> None:
    """Score what is missing; write `scores.npy`, `run.gz` with its sidecar, and `counts.json`.

    DataError for a query without text, for a score that is not finite (naming the query), and where the documents of
    a query are not the first stage's; GracefulTimeout where the job has no time for another shard.
    """
    started = time.time()
    first_stage = cut(task.run.read(), task.depth)
    candidates = Candidates(first_stage)
    if task.finished:
        candidates.take_over(task.finished)
    shards = Shards(task.ranking.with_name(SHARDS), source=source_fingerprint(type(task).__module__))
    resumed = shards.restore(candidates.scores)
    texts, store = task.queries.read(), task.store.open()
    unknown = [query_id for query_id in candidates.query_ids if query_id not in texts]
    if unknown:
        raise DataError(
            f"{len(unknown)} queries of the run have no text, the first is {unknown[0]}",
            where=str(task.run.path),
            remedy="Give the run of the same split of the same collection.",
        )
    if resumed.pairs:
        logger.info("going on after %d pairs that were scored before an interruption", resumed.pairs)
    total, model = int(np.isnan(candidates.scores).sum()) + resumed.pairs, None
    tokens = task.tokens.open() if task.tokens is not None else None
    done = resumed
    limit = TimeLimit(task.remaining_time)
    for query_ids, documents, positions in candidates.missing():
        began = time.time()
        model = model or task.model.open(device=task.device, precision=task.precision)
        if tokens is None:
            asked = [texts[query_id] for query_id in query_ids]
            pairs = zip(asked, map(store.text, store.rows(documents)), strict=True)
            scores = model.predict(pairs, tokens_per_batch=task.tokens_per_batch)
        else:
            queries, places = np.unique(query_ids, return_inverse=True)
            encoder = model.scorer.encoder
            tokenised = Ragged.of(encoder.tokens([texts[query_id] for query_id in queries.tolist()]))
            sequences = encoder.join(tokenised.take(places), tokens.rows(store.rows(documents)))
            scores = model.score(sequences, tokens_per_batch=task.tokens_per_batch)
        if not np.isfinite(scores).all():
            bad = int(np.flatnonzero(~np.isfinite(scores))[0])
            raise DataError(
                f"the score of document {documents[bad]} for query {query_ids[bad]} is {scores[bad]}",
                remedy="The model diverged: lower its learning rate, or look at its curve.csv.",
            )
        candidates.scores[positions] = scores
        read = model.last_counts
        counts = ShardCounts(len(documents), read.pairs_truncated, read.queries_truncated, time.time() - began)
        shards.keep(positions, scores, counts)
        done = done.plus(counts)
        progress(done.pairs / total, f"{done.pairs} of {total} pairs")
        if done.pairs < total and limit.reached():
            raise GracefulTimeout(f"no time for another shard after {done.pairs} of {total} pairs; they are kept")
    ordered = candidates.ordered()
    check_complete(ordered, first_stage)
    with atomic.writing(task.scores, "wb") as stream:
        np.save(stream, candidates.scores)
    tag = f"xpm-ce-{short(task.listing.parent.name)}"
    ties = write_run(task.ranking, ordered, tag=tag)
    write_metadata(
        task.ranking, tag=tag, module=type(task).__module__, score_ties="rank of the first stage", goal=task.goal,
        test_collection=task.protocol, device=device_name(model.device) if model and model.device.type != "cpu" else "",
    )  # fmt: skip
    atomic.write_json(
        task.counts,
        {
            "schema": 1, "depth": task.depth, "queries": len(candidates.query_ids), "pairs_scored": done.pairs,
            "pairs_resumed": resumed.pairs, "pairs_taken_over": len(candidates.scores) - done.pairs, "ties": ties,
            # A model that reads texts by itself does not say what it cut.
            "pairs_truncated": done.pairs_truncated if tokens is not None else None,
            "queries_truncated": done.queries_truncated if tokens is not None else None,
            "seconds": resumed.seconds + time.time() - started,
            "candidates": np.diff(candidates.offsets).tolist(),
        },
    )  # fmt: skip
    shards.remove()
