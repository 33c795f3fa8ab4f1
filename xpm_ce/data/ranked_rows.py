"""Runs as rows of a document store: those in memory, and files of any size, gathered by query on disk.

A file is read once, in blocks; its lines are put together by query in memory-mapped columns, so that their order does
not matter and memory does not grow with them. This module does not know what rankings are used for.
"""

import contextlib
import logging
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from xpm_ce.data.delimited import Block, read_blocks
from xpm_ce.data.file_run import BY_RANK, BY_SCORE, FileRun
from xpm_ce.data.numbering import Numbering
from xpm_ce.data.published import PUBLISHED, RUN_COLUMNS
from xpm_ce.data.runs import Ranking, Rankings, Run
from xpm_ce.data.stored_documents import StoredDocuments
from xpm_ce.data.training_set import GrowingArray
from xpm_ce.errors import DataError
from xpm_ce.progress import job_progress

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 1 << 20
"""Lines that are brought to their query together"""
LARGE = 1 << 26
"""Bytes from which a run that a task has written is gathered on disk, too"""
COLUMNS = {"documents": "int32", "ranks": "int32", "scores": "float32"}


class RankedRows(NamedTuple):
    """The documents of one query, best first, each once."""

    rows: np.ndarray
    """Rows of the document store, int64 `[documents]`, -1 where the store does not hold the document"""

    scores: np.ndarray
    """float32 `[documents]`"""


class Lines(NamedTuple):
    """A run file and how its lines are read."""

    path: Path
    layout: list[str]
    """What each column is"""
    least: int
    """Columns that a line has at least"""
    order: str
    """Column by which documents are ordered"""

    @classmethod
    def of(cls, run: FileRun) -> "Lines":
        """Those of a run that others wrote, once its content has been compared."""
        return cls(run.located(), run.layout, run.least_columns, run.order)


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
    while the context is open: 16 bytes a line of a file, 28 where its lines are not in order.
    """
    if isinstance(run, FileRun):
        lines = Lines.of(run)
    elif type(run).read is Run.read and run.path.is_file() and run.path.stat().st_size >= LARGE:
        lines = Lines(run.path, list(RUN_COLUMNS), len(RUN_COLUMNS), BY_SCORE)
    else:
        yield _InMemory(run.read(), store, only=only, lenient=lenient)
        return
    with tempfile.TemporaryDirectory(prefix=".rankings-", dir=scratch) as folder:
        gathered = _gathered(lines, store, Path(folder), only=only, lenient=lenient)
        if isinstance(run, FileRun) and run.published is not None and only is None:
            _compare(run.published, gathered)
        yield gathered


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

    def sizes(self) -> np.ndarray:
        """Lines of each query, int64 `[queries]`."""
        return np.diff(self._offsets)

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
    """The rankings of a file, all in memory; documents of equal places stand in the order of their ids."""
    lines = Lines.of(run)
    queries, parts = _QueryNumbers(lines, None), list[tuple[np.ndarray, ...]]()
    for block in _blocks(lines):
        parts.append((queries.of(block), block.column("document"), *_places(block, lines)))
    rankings = {}
    if parts:
        numbers, documents, ranks, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
        by_query = np.argsort(numbers, kind="stable")
        borders = np.searchsorted(numbers[by_query], np.arange(1, len(queries.known)))
        for query, places in zip(queries.known, np.split(by_query, borders), strict=True):
            kept = places[_ordered(documents[places], ranks[places], scores[places], order=lines.order)]
            ids = [_decoded(document, lines) for document in documents[kept].tolist()]
            rankings[_decoded(query, lines)] = Ranking(ids, _scores(scores[kept], order=lines.order))
    return rankings


# -- gathering ----------------------------------------------------------------------------------------------


def _gathered(
    lines: Lines, store: StoredDocuments, folder: Path, *, only: Collection[str] | None, lenient: bool
) -> _OnDisk:
    """The lines of a file by query."""
    queries, documents = _QueryNumbers(lines, only), Numbering(store.ids, store.known_rows)
    sizes, last, in_order = np.zeros(0, np.int64), 0, True
    types = {"queries": "int32", **COLUMNS}
    with contextlib.ExitStack() as files:
        written = {
            name: files.enter_context(GrowingArray(folder / f"{name}.npy", dtype)) for name, dtype in types.items()
        }
        for block in _blocks(lines):
            numbers = queries.of(block)
            block, numbers = block.select(numbers >= 0), numbers[numbers >= 0]
            if not len(block):
                continue
            rows = documents.of(block, "document")
            if rows.min() < 0 and not lenient:
                place = int(rows.argmin())
                raise DataError(
                    f"document {block.column('document')[place].decode(errors='replace')} is unknown",
                    where=block.where(place),
                    remedy="Use a run of this collection.",
                )
            ranks, scores = _places(block, lines)
            for name, values in zip(written, (numbers, rows, ranks, scores), strict=True):
                written[name].append(values.astype(types[name]))
            in_order = in_order and bool(numbers[0] >= last and (numbers[1:] >= numbers[:-1]).all())
            last = numbers[-1]
            sizes = np.concatenate([sizes, np.zeros(len(queries.known) - len(sizes), np.int64)])
            sizes += np.bincount(numbers, minlength=len(sizes))
    if not in_order:
        _scatter(folder, sizes)
    logger.info("%d queries with %d documents, %d queries left out", len(sizes), sizes.sum(), queries.left_out)
    return _OnDisk(folder, {_decoded(each, lines): n for each, n in queries.known.items()}, sizes, order=lines.order)


class _QueryNumbers:
    """Numbers queries in the order in which a file names them; those that are not in `only` have the number -1."""

    def __init__(self, lines: Lines, only: Collection[str] | None):
        self.known: dict[bytes, int] = {}
        self._others: set[bytes] = set()
        self._lines, self._only = lines, only

    @property
    def left_out(self) -> int:
        return len(self._others)

    def of(self, block: Block) -> np.ndarray:
        """The number of each line's query, int64 `[lines]`."""
        values = block.column("query")
        heads = np.flatnonzero(np.concatenate([np.ones(1, bool), values[1:] != values[:-1]])[: len(values)])
        distinct, first, which = np.unique(values[heads], return_index=True, return_inverse=True)
        numbers = np.empty(len(distinct), np.int64)
        for place in np.argsort(first).tolist():
            numbers[place] = self._number(bytes(distinct[place]))
        return np.repeat(numbers[which], np.diff(np.append(heads, len(values))))

    def _number(self, query: bytes) -> int:
        if query in self.known:
            return self.known[query]
        if query in self._others or (self._only is not None and _decoded(query, self._lines) not in self._only):
            self._others.add(query)
            return -1
        self.known[query] = len(self.known)
        return self.known[query]


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


def _compare(name: str, gathered: _OnDisk) -> None:
    """Warn where a published run does not have the counts that it is known for."""
    row, sizes = PUBLISHED[name], gathered.sizes()
    found = {"rows": int(sizes.sum()), "queries": len(sizes), "depth": int(sizes.max(initial=0))}
    for what, expected in (("rows", row.rows), ("queries", row.queries), ("depth", row.depth)):
        if expected not in (None, found[what]):
            logger.warning("%s has %d as its number of %s, not %d", name, found[what], what, expected)


# -- lines --------------------------------------------------------------------------------------------------


def _blocks(lines: Lines) -> Iterator[Block]:
    progress = job_progress()
    return read_blocks(lines.path, lines.layout, least=lines.least, progress=lambda share: progress(share, "run read"))


def _places(block: Block, lines: Lines) -> tuple[np.ndarray, np.ndarray]:
    """Rank and score of each line, 0 where they are not needed or not there."""
    nothing = np.zeros(len(block))
    return (
        block.integers(BY_RANK) if BY_RANK in lines.layout else nothing.astype(np.int64),
        block.floats("score") if lines.order == BY_SCORE else nothing.astype(np.float32),
    )


def _ordered(documents: np.ndarray, ranks: np.ndarray, scores: np.ndarray, *, order: str) -> np.ndarray:
    """Places of the documents, best first; of one that stands twice, the better place."""
    ordered = np.lexsort((documents, ranks) if order == BY_RANK else (documents, ranks, -scores))
    _, first = np.unique(documents[ordered], return_index=True)
    return ordered[np.sort(first)]


def _scores(scores: np.ndarray, *, order: str) -> np.ndarray:
    """Scores of an ordered ranking: its own, or what counts down to 1 where only ranks mean something."""
    return scores if order == BY_SCORE else np.arange(len(scores), 0, -1, dtype=np.float32)


def _decoded(identifier: bytes, lines: Lines) -> str:
    try:
        return identifier.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"the id {identifier!r} is not UTF-8", where=str(lines.path), remedy="Convert the file to UTF-8."
        ) from error


def _mapped(path: Path) -> np.ndarray:
    return np.asarray(np.load(path, mmap_mode="r"))
