"""The computation of `Bm25Index`, with impact-index.

This module does not know how the index is searched.
"""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import impact_index

from xpm_ce import atomic

if TYPE_CHECKING:
    from xpm_ce.data.stored_documents import StoredDocuments
    from xpm_ce.firststage.bm25_index import Bm25Index

DOCUMENTS_AT_ONCE = 10_000
"""Documents that are analysed together; the numbers of terms depend on it, so it is no setting"""
SCHEMA = 1

logger = logging.getLogger(__name__)


def index(task: "Bm25Index") -> None:
    """Write the index and `counts.json`."""
    documents = task.store.open()
    with atomic.writing_folder(task.index) as folder:
        build(folder, documents)
    terms = impact_index.Index.load(str(task.index), False).num_postings()
    lengths = impact_index.DocMetadata.load(str(task.index))
    counts = {
        "schema": SCHEMA,
        "documents": len(documents),
        "terms": terms,
        "mean_length": lengths.avg_dl(),
        "shortest": lengths.min_dl(),
    }
    atomic.write_json(task.counts, counts)
    logger.info("%d documents with %d terms indexed", len(documents), terms)


def build(folder: Path, documents: "StoredDocuments") -> None:
    """Index documents by row into an existing folder; postings are compressed without loss."""
    raw = folder / "raw"
    raw.mkdir()
    options = impact_index.BuilderOptions()
    builder = impact_index.BOWIndexBuilder(
        str(raw), options=options, dtype="int32", stemmer="porter", language="english", stop_words=True
    )
    for batch in _batches(documents):
        builder.add_texts(batch)
    builder.build(False)
    impact_index.Index.load(str(raw), False).compress(str(folder / "compressed"), in_memory=False)
    for path in (folder / "compressed").iterdir():
        path.rename(folder / path.name)
    (folder / "compressed").rmdir()
    shutil.rmtree(raw)


def _batches(documents: "StoredDocuments") -> Iterator[list[tuple[int, str]]]:
    for first in range(0, len(documents), DOCUMENTS_AT_ONCE):
        rows = range(first, min(first + DOCUMENTS_AT_ONCE, len(documents)))
        yield [(row, documents.text(row)) for row in rows]
        logger.info("%d of %d documents analysed", rows.stop, len(documents))
