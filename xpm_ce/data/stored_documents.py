"""The files of a document store: written in one pass, read through memory maps.

Only ids are ever held in memory, never the texts. A folder holds, for n documents:

    store.json     schema, documents (n), bytes (size of texts.bin), empty (documents without text), text (format)
    texts.bin      texts, UTF-8, one after the other
    offsets.npy    int64 [n + 1], the text of row i is bytes offsets[i] to offsets[i + 1]
    ids.npy        bytes of fixed width [n], UTF-8
    order.npy      int64 [n], rows sorted by id

This module does not know what the documents are for.
"""

import array
import json
import logging
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from xpm_ce import atomic
from xpm_ce.data.parts import DocumentRecord
from xpm_ce.errors import DataError

SCHEMA = 1
IDS_AT_ONCE = 1 << 16
"""Ids that are decoded or encoded together"""

logger = logging.getLogger(__name__)


def text_of(format: str) -> Callable[[DocumentRecord], str]:
    """The function that joins title and body as `format` says.

    What stands before an empty field, and what stands before the first field that is not empty, is left out unless
    the format begins with it.
    """
    pieces = [(before, name) for before, name, *_ in string.Formatter().parse(format)]

    def join(document: DocumentRecord) -> str:
        joined, filled = "", False
        for position, (before, name) in enumerate(pieces):
            value = getattr(document, name) if name else ""
            value = value if value.strip() else ""
            if position == 0 or name is None or (filled and value):
                joined += before
            joined += value
            filled = filled or bool(value)
        return joined

    return join


def write_store(folder: Path, documents: Iterable[DocumentRecord], *, text: str) -> None:
    """Write a store; the folder is complete or absent.

    DataError: no document, or an id that stands twice.
    """
    join, offsets, ids, empty = text_of(text), array.array("q", [0]), _Ids(), 0
    with atomic.writing_folder(folder) as temporary:
        with open(temporary / "texts.bin", "wb") as texts:
            for document in documents:
                content = join(document).encode("utf-8", errors="replace")
                texts.write(content)
                offsets.append(offsets[-1] + len(content))
                ids.append(document.id)
                empty += not content
                if len(ids) % 1_000_000 == 0:
                    logger.info("%d documents stored", len(ids))
        if not len(ids):
            raise DataError("the collection holds no document", remedy="Look at its documents file.")
        np.save(temporary / "offsets.npy", np.array(offsets, np.int64))
        column = ids.column()
        order = np.argsort(column, kind="stable")
        _refuse_twice(column, order)
        np.save(temporary / "ids.npy", column)
        np.save(temporary / "order.npy", order.astype(np.int64))
        description = {
            "schema": SCHEMA, "documents": len(ids), "bytes": offsets[-1], "empty": empty, "text": text,
        }  # fmt: skip
        (temporary / "store.json").write_text(json.dumps(description, indent=1) + "\n")
    logger.info("%d documents stored, %d of them without text", len(ids), empty)


class StoredIds(Sequence[str]):
    """Document ids by row; decoded when asked for."""

    def __init__(self, column: np.ndarray):
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, row):
        if isinstance(row, slice):
            return [identifier.decode() for identifier in self._column[row].tolist()]
        return self._column[row].decode()

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self._column), IDS_AT_ONCE):
            yield from self[first : first + IDS_AT_ONCE]


class StoredDocuments:
    """The documents of a store, memory-mapped: `len`, `in` by id, `ids[row]`, `row(id)`, `rows(ids)`, `text(row)`."""

    def __init__(self, path: Path):
        try:
            description = json.loads((path / "store.json").read_text())
            self._offsets, column, self._order = (
                # plain views: slicing a numpy.memmap costs ten times slicing an array
                np.asarray(np.load(path / f"{name}.npy", mmap_mode="r"))
                for name in ("offsets", "ids", "order")
            )
            size = (path / "texts.bin").stat().st_size
            # an empty file cannot be mapped
            self._texts = np.asarray(np.memmap(path / "texts.bin", np.uint8, "r")) if size else np.empty(0, np.uint8)
        except (OSError, ValueError) as error:
            raise DataError(
                f"not a complete document store ({error})",
                where=str(path),
                remedy="Delete the folder of the job that made it and run again.",
            ) from error
        found = (description["schema"], len(column), len(self._order), len(self._offsets) - 1, size)
        documents = description["documents"]
        if found != (SCHEMA, documents, documents, documents, description["bytes"]):
            raise DataError(
                "the files of this document store do not belong together",
                where=str(path),
                remedy="Delete the folder of the job that made it and run again.",
            )
        self.path, self.ids, self._column = path, StoredIds(column), column

    def __len__(self) -> int:
        return len(self._column)

    def __contains__(self, document_id: object) -> bool:
        return isinstance(document_id, str) and bool(self._find([document_id])[0] >= 0)

    def row(self, document_id: str) -> int:
        """Row of a document; DataError where the store does not hold it."""
        return int(self.rows([document_id])[0])

    def rows(self, document_ids: Sequence[str]) -> np.ndarray:
        """Rows of documents, int64 `[documents]`; DataError where the store does not hold one of them."""
        rows = self._find(document_ids)
        if len(rows) and rows.min() < 0:
            missing = np.flatnonzero(rows < 0)
            raise DataError(
                f"{len(missing)} of {len(rows)} documents are unknown, the first is {document_ids[missing[0]]}",
                where=str(self.path),
                remedy="Use a run and judgements of this collection.",
            )
        return rows

    def known_rows(self, document_ids: Sequence[str]) -> np.ndarray:
        """Rows of documents, -1 for those that the store does not hold, int64 `[documents]`."""
        return self._find(document_ids)

    def text(self, row: int) -> str:
        """The text of a row."""
        return self._texts[self._offsets[row] : self._offsets[row + 1]].tobytes().decode()

    def _find(self, document_ids: Sequence[str]) -> np.ndarray:
        encoded = [identifier.encode("utf-8", errors="replace") for identifier in document_ids]
        # A longer id is in no row; cut to the width of the column it could look like one that is.
        fits = np.array([len(each) <= self._column.dtype.itemsize for each in encoded], bool)
        wanted = np.array(encoded, dtype=self._column.dtype)
        places = np.searchsorted(self._column, wanted, sorter=self._order)
        rows = self._order[np.minimum(places, len(self._order) - 1)]
        found = fits & (self._column[rows] == wanted) & (places < len(self._order))
        return np.where(found, rows, -1).astype(np.int64)


class _Ids:
    """Ids collected into bytes of one width, without a Python object for each."""

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []
        self._pending: list[bytes] = []

    def __len__(self) -> int:
        return len(self._blocks) * IDS_AT_ONCE + len(self._pending)

    def append(self, identifier: str) -> None:
        encoded = identifier.encode(errors="replace")
        if identifier.split() != [identifier] or encoded.decode() != identifier or b"\0" in encoded:
            raise DataError(
                f"document {len(self) + 1} has the id {identifier!r}, which is empty, has a blank or is no Unicode",
                remedy="Runs and judgements separate columns by blanks: rename it.",
            )
        self._pending.append(encoded)
        if len(self._pending) == IDS_AT_ONCE:
            self._blocks.append(np.array(self._pending))
            self._pending = []

    def column(self) -> np.ndarray:
        blocks = [*self._blocks, np.array(self._pending)] if self._pending else self._blocks
        return np.concatenate(blocks)


def _refuse_twice(column: np.ndarray, order: np.ndarray) -> None:
    twice = np.flatnonzero(column[order[1:]] == column[order[:-1]])
    if len(twice):
        first, second = order[twice[0]], order[twice[0] + 1]
        raise DataError(
            f"document {column[first].decode()} stands twice, as number {first + 1} and {second + 1} of the collection",
            remedy="Keep one of them: runs and judgements name documents by id.",
        )
