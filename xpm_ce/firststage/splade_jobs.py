"""The computations of `SpladeIndex` and `SpladeRetrieve`, with impact-index.

This module does not know how a text is weighed.
"""

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import impact_index
import numpy as np

from xpm_ce import atomic
from xpm_ce.firststage.encoding import Splade, Weighed
from xpm_ce.firststage.retrieval import Search, write_rankings
from xpm_ce.progress import Progress
from xpm_ce.workspace import read_json

if TYPE_CHECKING:
    from xpm_ce.firststage.splade import SpladeIndex, SpladeRetrieve

SCHEMA = 1
DOCUMENTS_AT_ONCE = 4096
"""Documents that are encoded before the next checkpoint"""
DONE = "done.json"

logger = logging.getLogger(__name__)


def index(task: "SpladeIndex", *, progress: Progress = lambda share, words: None) -> None:
    """Write `counts.json` and the index, which is complete or absent."""
    if task.index.exists():  # complete, or it would not have this name
        return
    partial = task.index.with_name(f"{task.index.name}.partial")
    counts = _build(partial, task, progress)
    atomic.write_json(task.counts, {"schema": SCHEMA, **counts})
    (partial / DONE).unlink()
    partial.rename(task.index)
    logger.info("%d documents with %d entries indexed", counts["documents"], counts["entries"])


def _build(folder: Path, task: "SpladeIndex", progress: Progress) -> dict[str, int]:
    """Encode block after block into an index that may be unfinished; what was counted, as `counts.json` has it."""
    documents = task.store.open()
    builder, indexed, counted = _opened(folder)
    encoder = Splade(task.encoder, device=task.device)
    # A block that was interrupted is encoded again as a whole, so that its batches, and their rounding, are the same.
    for first in range(indexed // DOCUMENTS_AT_ONCE * DOCUMENTS_AT_ONCE, len(documents), DOCUMENTS_AT_ONCE):
        counts = dict(counted[first // DOCUMENTS_AT_ONCE])
        rows = range(first, min(first + DOCUMENTS_AT_ONCE, len(documents)))
        for row, weighed in zip(rows, encoder.weigh([documents.text(row) for row in rows]), strict=True):
            if row >= indexed:
                builder.add(row, weighed.entries, weighed.weights)
            counts["documents"] += 1
            counts["entries"] += len(weighed.entries)
            counts["documents_without_entry"] += not len(weighed.entries)
            counts["documents_cut"] += weighed.cut
        counted = [*counted[: first // DOCUMENTS_AT_ONCE + 1], counts]
        atomic.write_json(folder / DONE, counted)
        progress(rows.stop / len(documents), f"{rows.stop} of {len(documents)} documents")
    builder.build(False)
    return counted[-1]


def _opened(folder: Path) -> tuple[impact_index.IndexBuilder, int, list[dict[str, int]]]:
    """A builder that goes on where the last one has made a checkpoint, the number of documents up to there, and what
    had been counted before each block."""
    options = impact_index.BuilderOptions()
    options.checkpoint_frequency = DOCUMENTS_AT_ONCE
    if folder.exists():
        builder = impact_index.IndexBuilder(str(folder), options=options, dtype="float32")
        last, counted = builder.get_checkpoint_doc_id(), read_json(folder / DONE)
        if last is not None and counted is not None and (last + 1) // DOCUMENTS_AT_ONCE < len(counted):
            return builder, last + 1, counted
        del builder
        shutil.rmtree(folder)
    folder.mkdir()
    builder = impact_index.IndexBuilder(str(folder), options=options, dtype="float32")
    return builder, 0, [{"documents": 0, "entries": 0, "documents_without_entry": 0, "documents_cut": 0}]


def retrieve(task: "SpladeRetrieve") -> None:
    """Write `run.gz` and `counts.json`."""
    queries = task.queries.read()
    texts = list(dict.fromkeys(queries.values()))
    weighed = dict(zip(texts, Splade(task.index.encoder, device=task.device).weigh(texts), strict=True))
    write_rankings(task, queries, splade(task.index.path, weighed), tag="splade")


def splade(folder: Path, weighed: dict[str, Weighed]) -> Search:
    """A function that searches an index by the dot product of weights; `weighed` has those of every query's text."""
    loaded = impact_index.Index.load(str(folder), False)

    def search(text: str, size: int) -> tuple[list[int], np.ndarray]:
        query = dict(zip(weighed[text].entries.tolist(), weighed[text].weights.tolist(), strict=True))
        hits = loaded.search_maxscore(query, size) if query else []
        return [hit.docid for hit in hits], np.array([hit.score for hit in hits], np.float32)

    return search
