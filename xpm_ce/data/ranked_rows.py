"""Runs as rows of a document store: those in memory, and files of any size, gathered by query on disk.

A file is read once, in blocks; its lines are put together by query in memory-mapped columns, so that their order does
not matter and memory does not grow with them. This module does not know what rankings are used for.
"""

import contextlib
import logging
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from xpm_ce.data.delimited import Block, read_blocks
from xpm_ce.data.file_run import BY_RANK, BY_SCORE, FileRun
from xpm_ce.data.numbering import Numbering
from xpm_ce.data.published import PUBLISHED
from xpm_ce.data.runs import Ranking, Rankings, Run
from xpm_ce.data.stored_documents import StoredDocuments
from xpm_ce.data.training_set import GrowingArray
from xpm_ce.errors import DataError
from xpm_ce.progress import job_progress

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 1 << 20
"""Lines that are brought to their query together"""
COLUMNS = {"documents": "int32", "ranks": "int32", "scores": "float32"}


class RankedRows(NamedTuple):
    """The documents of one query, best first, each once."""

    rows: np.ndarray
    """Rows of the document store, int64 `[documents]`, -1 where the store does not hold the document"""

    scores: np.ndarray
    """float32 `[documents]`"""


class RowRankings(Protocol):
    """Rankings by query, each made when it is asked for."""

    repeated: int
    """Documents of the rankings asked for that stood twice for their query, and were kept once"""

    def query_ids(self) -> list[str]:
        """The queries that have a ranking, in the order of the run."""
        ...

    def __contains__(self, query_id: object) -> bool: ...

    def ranking(self, query_id: str, first: int = 0, last: int | None = None) -> RankedRows:
        """The documents of a query from place `first`, counted from 0, to before place `last`."""
        ...


@contextlib.contextmanager
def row_rankings(
    run: Run, store: StoredDocuments, *, scratch: Path, only: Collection[str] | None = None, lenient: bool = False
) -> Iterator[RowRankings]:
    """The rankings of a run, of the queries in `only` where it is given.

    DataError for a document that the store does not hold, unless `lenient`. `scratch` is a folder for what is needed
    while the context is open: 12 bytes a line of a file.
    """
    if not isinstance(run, FileRun):
        yield _InMemory(run.read(), store, only=only, lenient=lenient)
        return
    with tempfile.TemporaryDirectory(prefix=".rankings-", dir=scratch) as folder:
        yield _gathered(run, store, Path(folder), only=only, lenient=lenient)


class _InMemory:
    """Rankings of a run that was read as a whole."""

    def __init__(self, rankings: Rankings, store: StoredDocuments, *, only: Collection[str] | None, lenient: bool):
        self._rankings = {query: each for query, each in rankings.items() if only is None or query in only}
        self._rows = store.known_rows if lenient else store.rows
        self.repeated = 0

    def query_ids(self) -> list[str]:
        return list(self._rankings)

    def __contains__(self, query_id: object) -> bool:
        return query_id in self._rankings

    def ranking(self, query_id: str, first: int = 0, last: int | None = None) -> RankedRows:
        documents, scores = self._rankings[query_id]
        return RankedRows(self._rows(documents[first:last]), scores[first:last])


class _OnDisk:
    """Rankings of a file whose lines stand together by query, in memory-mapped columns."""

    def __init__(self, folder: Path, queries: dict[str, int], counts: np.ndarray, *, order: str):
        self._queries, self._order, self.repeated = queries, order, 0
        self._offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        self._columns = {name: _mapped(folder / f"{name}.npy") for name in COLUMNS}

    def query_ids(self) -> list[str]:
        return list(self._queries)

    def __contains__(self, query_id: object) -> bool:
        return query_id in self._queries

    def ranking(self, query_id: str, first: int = 0, last: int | None = None) -> RankedRows:
        number = self._queries[query_id]
        part = slice(self._offsets[number], self._offsets[number + 1])
        rows, ranks, scores = (self._columns[name][part] for name in COLUMNS)
        kept = _ordered(rows, ranks, scores, order=self._order)
        self.repeated += len(rows) - len(kept)
        ordered = RankedRows(rows[kept].astype(np.int64), _scores(scores[kept], order=self._order))
        return RankedRows(ordered.rows[first:last], ordered.scores[first:last])


def read_file_run(run: FileRun) -> Rankings:
    """The rankings of a file, all in memory."""
    queries: dict[bytes, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
    for block in _blocks(run):
        documents, ranks, scores = block.column("document"), *_places(block, run)
        for query, part in _runs(block.column("query")):
            queries.setdefault(query, []).append((documents[part], ranks[part], scores[part]))
    rankings = {}
    for query, parts in queries.items():
        documents, ranks, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
        kept = _ordered(documents, ranks, scores, order=run.order)
        rankings[_decoded(query, run)] = Ranking(
            [_decoded(document, run) for document in documents[kept].tolist()], _scores(scores[kept], order=run.order)
        )
    return rankings


# -- gathering ----------------------------------------------------------------------------------------------


def _gathered(
    run: FileRun, store: StoredDocuments, folder: Path, *, only: Collection[str] | None, lenient: bool
) -> _OnDisk:
    """The lines of a file by query."""
    queries: dict[bytes, int] = {}
    left_out: set[bytes] = set()
    counts, in_order = Counter[int](), True
    documents = Numbering(store.ids, store.known_rows)
    with contextlib.ExitStack() as files:
        types = {"queries": "int32", **COLUMNS}
        written = {
            name: files.enter_context(GrowingArray(folder / f"{name}.npy", dtype)) for name, dtype in types.items()
        }
        last = 0
        for block in _blocks(run):
            numbers = np.empty(len(block), np.int64)
            for query, part in _runs(block.column("query")):
                if query not in queries and (
                    query in left_out or (only is not None and _decoded(query, run) not in only)
                ):
                    left_out.add(query)
                    numbers[part] = -1
                else:
                    numbers[part] = number = queries.setdefault(query, len(queries))
                    in_order, last = in_order and number >= last, number
                    counts[number] += part.stop - part.start
            block, numbers = block.select(numbers >= 0), numbers[numbers >= 0]
            rows = documents.of(block, "document")
            if len(rows) and rows.min() < 0 and not lenient:
                place = int(rows.argmin())
                raise DataError(
                    f"document {block.column('document')[place].decode(errors='replace')} is unknown",
                    where=block.where(place),
                    remedy="Use a run of this collection.",
                )
            ranks, scores = _places(block, run)
            for name, values in zip(written, (numbers, rows, ranks, scores), strict=True):
                written[name].append(values.astype(types[name]))
    sizes = np.array([counts[number] for number in range(len(queries))], np.int64)
    if not in_order:
        _scatter(folder, sizes)
    _compare(run, sizes, everything=only is None)
    logger.info("%d queries with %d documents read, %d queries left out", len(sizes), sizes.sum(), len(left_out))
    return _OnDisk(folder, {_decoded(each, run): n for each, n in queries.items()}, sizes, order=run.order)


def _scatter(folder: Path, sizes: np.ndarray) -> None:
    """Bring the lines of each query together, query after query."""
    queries = _mapped(folder / "queries.npy")
    following = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)[:-1]])
    targets = {}
    for name, dtype in COLUMNS.items():
        shape = (len(queries),)
        targets[name] = np.lib.format.open_memmap(folder / f"{name}.gathered.npy", "w+", np.dtype(dtype), shape)
    sources = {name: _mapped(folder / f"{name}.npy") for name in COLUMNS}
    for first in range(0, len(queries), ROWS_AT_ONCE):
        part = queries[first : first + ROWS_AT_ONCE]
        order = np.argsort(part, kind="stable")
        ordered = part[order]
        # how many lines of the same query stand before each one in this block
        before = np.arange(len(part)) - np.searchsorted(ordered, ordered)
        places = following[ordered] + before
        for name, target in targets.items():
            target[places] = sources[name][first : first + ROWS_AT_ONCE][order]
        following += np.bincount(part, minlength=len(sizes))
    for name, target in targets.items():
        target.flush()
        (folder / f"{name}.gathered.npy").replace(folder / f"{name}.npy")


def _compare(run: FileRun, sizes: np.ndarray, *, everything: bool) -> None:
    """Warn where a published run does not have the counts that it is known for."""
    if run.published is None or not everything:
        return
    row = PUBLISHED[run.published]
    found = {"rows": int(sizes.sum()), "queries": len(sizes), "depth": int(sizes.max(initial=0))}
    for name, expected in (("rows", row.rows), ("queries", row.queries), ("depth", row.depth)):
        if expected not in (None, found[name]):
            logger.warning("%s has %d as its number of %s, not %d", run.published, found[name], name, expected)


# -- lines --------------------------------------------------------------------------------------------------


def _blocks(run: FileRun) -> Iterator[Block]:
    progress = job_progress()
    return read_blocks(
        run.located(), run.layout, least=run.least_columns, progress=lambda share: progress(share, "run read")
    )


def _runs(queries: np.ndarray) -> Iterator[tuple[bytes, slice]]:
    """Each query with consecutive lines of its own."""
    borders = np.flatnonzero(queries[1:] != queries[:-1]) + 1
    starts = [0, *borders.tolist()] if len(queries) else []
    for start, stop in zip(starts, [*starts[1:], len(queries)], strict=True):
        yield bytes(queries[start]), slice(start, stop)


def _places(block: Block, run: FileRun) -> tuple[np.ndarray, np.ndarray]:
    """Rank and score of each line, 0 where they are not needed or not there."""
    nothing = np.zeros(len(block))
    return (
        block.integers("rank") if "rank" in run.layout else nothing.astype(np.int64),
        block.floats("score") if run.order == BY_SCORE else nothing.astype(np.float32),
    )


def _ordered(documents: np.ndarray, ranks: np.ndarray, scores: np.ndarray, *, order: str) -> np.ndarray:
    """Places of the documents, best first; of one that stands twice, the better place."""
    ordered = np.lexsort((documents, ranks) if order == BY_RANK else (documents, ranks, -scores))
    _, first = np.unique(documents[ordered], return_index=True)
    return ordered[np.sort(first)]


def _scores(scores: np.ndarray, *, order: str) -> np.ndarray:
    """Scores of an ordered ranking: its own, or what counts down to 1 where only ranks mean something."""
    return scores if order == BY_SCORE else np.arange(len(scores), 0, -1, dtype=np.float32)


def _decoded(identifier: bytes, run: FileRun) -> str:
    try:
        return identifier.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"the id {identifier!r} is not UTF-8", where=str(run.path), remedy="Convert the file to UTF-8."
        ) from error


def _mapped(path: Path) -> np.ndarray:
    return np.asarray(np.load(path, mmap_mode="r"))
