"""The computation of `TripleTrainingSet`: lines of a file as numbers of queries and rows of a store, block by block.

This module does not know how triples are stored.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from xpm_ce import atomic
from xpm_ce.data.delimited import Block, read_blocks
from xpm_ce.data.numbering import Numbering, numbered
from xpm_ce.data.published import PUBLISHED, located
from xpm_ce.data.stored_documents import StoredDocuments
from xpm_ce.data.stored_triples import TripleRows, write_triples
from xpm_ce.data.supervision import TEACHER_SCORES
from xpm_ce.errors import DataError
from xpm_ce.progress import job_progress

if TYPE_CHECKING:
    from xpm_ce.data.triples import TripleTrainingSet

SCHEMA = 1

logger = logging.getLogger(__name__)


def store_triples(task: "TripleTrainingSet") -> None:
    """Write the triples and `counts.json`."""
    counts: Counter[str] = Counter(
        {"rows_of_the_file": 0, "rows": 0, "unknown_query": 0, "unknown_document": 0, "positive_is_negative": 0}
    )
    query_ids = list(task.queries.read())
    write_triples(
        task.training_set,
        triple_rows(task, query_ids, counts),
        query_ids=query_ids,
        supervision=task.supervision,
        counts=counts,
    )
    expected = PUBLISHED[task.published].rows if task.published is not None else None
    if expected not in (None, counts["rows_of_the_file"]):
        logger.warning("%s has %d rows, not %d", task.published, counts["rows_of_the_file"], expected)
    atomic.write_json(task.counts, {"schema": SCHEMA, **counts})
    logger.info("%d of %d triples stored", counts["rows"], counts["rows_of_the_file"])


def triple_rows(task: "TripleTrainingSet", query_ids: list[str], counts: Counter[str]) -> Iterator[TripleRows]:
    """The triples of the task's file, in its order; `counts` is filled as they are taken.

    A line that is left out counts under the first of its reasons: its query, its documents, both documents equal.
    """
    path = located(task.published, task.path, task.sha256)
    store, progress = task.store.open(), job_progress()
    queries, documents = numbered(query_ids), document_numbering(store)
    scored = TEACHER_SCORES in task.supervision
    for block in read_blocks(
        path, task.layout, progress=lambda share: progress(share, f"{counts['rows_of_the_file']} triples read")
    ):
        rows = _rows(block, queries, documents, scored=scored)
        unknown_query = rows.queries < 0
        unknown_document = (rows.positives < 0) | (rows.negatives < 0)
        same = rows.positives == rows.negatives
        left_out = unknown_query | unknown_document | same
        counts.update(
            {
                "rows_of_the_file": len(block),
                "rows": int((~left_out).sum()),
                "unknown_query": int(unknown_query.sum()),
                "unknown_document": int((unknown_document & ~unknown_query).sum()),
                "positive_is_negative": int((same & ~unknown_document & ~unknown_query).sum()),
            }
        )
        yield rows.where(~left_out)


def document_numbering(store: StoredDocuments) -> Numbering:
    """The rows of a store's documents; DataError where there are more than int32 can count."""
    if len(store) > np.iinfo(np.int32).max:
        raise DataError(f"the collection has {len(store)} documents, too many for this format", where=str(store.path))
    return Numbering(store.ids, store.known_rows)


def _rows(block: Block, queries: Numbering, documents: Numbering, *, scored: bool) -> TripleRows:
    return TripleRows(
        queries.of(block, "query"),
        documents.of(block, "positive"),
        documents.of(block, "negative"),
        block.floats("positive_score") if scored else None,
        block.floats("negative_score") if scored else None,
    )
