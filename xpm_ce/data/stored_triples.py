"""Triples of a query, a positive and a negative in memory-mapped files: 12 bytes each, 20 with a teacher's scores.

This module does not know where triples come from, nor in which order they are used.

A folder holds, for m triples over n queries:

    training_set.json       {"schema": 1, "holds": "triples", "queries": n, "rows": m, "supervision": [...],
                             "counts": {...}}
    query_ids.txt           n lines, each query of which there is a triple
    queries.npy             int32 [m], line of query_ids.txt, from 0
    positives.npy           int32 [m], row in the document store
    negatives.npy           int32 [m], row in the document store
    positive_scores.npy     float32 [m], where there is a teacher
    negative_scores.npy     float32 [m], where there is a teacher
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xpm_ce import atomic
from xpm_ce.data.supervision import TEACHER_SCORES, UNJUDGED, carried
from xpm_ce.data.training_set import (
    DESCRIPTION,
    QUERY_IDS,
    REMAKE,
    ROWS_AT_ONCE,
    SCHEMA,
    TRIPLES,
    GrowingArray,
    StoredGroups,
    mapped,
)
from xpm_ce.errors import DataError

COLUMNS = {"queries": "int32", "positives": "int32", "negatives": "int32"}
SCORES = {"positive_scores": "float32", "negative_scores": "float32"}
POSITIVE_LABEL = 1
"""The label of the second document of a triple; the third is unjudged"""


class TripleRows(NamedTuple):
    """Some triples, each array `[rows]`."""

    queries: np.ndarray
    """Numbers of the queries"""

    positives: np.ndarray
    """Rows of the document store"""

    negatives: np.ndarray
    """Rows of the document store"""

    positive_scores: np.ndarray | None = None
    """The teacher's scores, higher is better; None where there is no teacher"""

    negative_scores: np.ndarray | None = None
    """The teacher's scores, higher is better; None where there is no teacher"""

    def where(self, kept: np.ndarray) -> "TripleRows":
        """Those of the rows that are kept, bool `[rows]`."""
        return TripleRows(
            self.queries[kept],
            self.positives[kept],
            self.negatives[kept],
            None if self.positive_scores is None else self.positive_scores[kept],
            None if self.negative_scores is None else self.negative_scores[kept],
        )


class StoredTriples(StoredGroups):
    """The triples of a training set, memory-mapped: each a group of its own, the positive first.

    So `len` is the number of triples, and many groups may share a query. DataError where the folder is not complete.
    """

    HOLDS = TRIPLES

    def __init__(self, path: Path):
        try:
            description = json.loads((path / DESCRIPTION).read_text(encoding="utf-8"))
            self.supervision = carried(description["supervision"])
            self.counts: dict[str, int] = description["counts"]
            columns = {**COLUMNS, **(SCORES if TEACHER_SCORES in self.supervision else {})}
            self._columns = {name: mapped(path / f"{name}.npy", dtype) for name, dtype in columns.items()}
            lengths = {len(column) for column in self._columns.values()}
            if (description["schema"], description["holds"], lengths) != (SCHEMA, TRIPLES, {description["rows"]}):
                raise ValueError(f"its files do not belong together: lengths {sorted(lengths)}")
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"not a complete set of triples: {error}", where=str(path), remedy=REMAKE) from error
        self.path = path
        self._query_ids: list[str] = []
        self._labels = np.array([POSITIVE_LABEL, UNJUDGED], np.int16)

    def __len__(self) -> int:
        return len(self._columns["queries"])

    @property
    def rows(self) -> int:
        return 2 * len(self)

    def query_id(self, query: int) -> str:
        return self.query_ids()[self._columns["queries"][query]]

    def documents(self, query: int) -> np.ndarray:
        return np.array([self._columns["positives"][query], self._columns["negatives"][query]], np.int64)

    def labels(self, query: int) -> np.ndarray:
        return self._labels

    def teacher_scores(self, query: int) -> np.ndarray:
        if "positive_scores" not in self._columns:
            return np.full(2, np.nan, np.float32)
        return np.array([self._columns["positive_scores"][query], self._columns["negative_scores"][query]], np.float32)

    def count(self, condition: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        counts = np.empty(len(self), np.int64)
        for first in range(0, len(self), ROWS_AT_ONCE):
            rows = slice(first, min(first + ROWS_AT_ONCE, len(self)))
            labels = np.tile(self._labels, rows.stop - rows.start)
            scores = np.full(len(labels), np.nan, np.float32)
            if "positive_scores" in self._columns:
                scores[0::2] = self._columns["positive_scores"][rows]
                scores[1::2] = self._columns["negative_scores"][rows]
            counts[rows] = condition(labels, scores).reshape(-1, 2).sum(1)
        return counts


def write_triples(
    folder: Path,
    rows: Iterable[TripleRows],
    *,
    query_ids: Sequence[str],
    supervision: Sequence[str],
    counts: Mapping[str, int],
) -> None:
    """Write triples as they come; the folder is complete or absent, and no triple stays in memory.

    The queries of `rows` are places in `query_ids`; only those with a triple are kept. `counts` is read after the last
    row. DataError where there is no triple.
    """
    columns = {**COLUMNS, **(SCORES if TEACHER_SCORES in supervision else {})}
    used, written = np.zeros(len(query_ids), bool), 0
    with atomic.writing_folder(folder) as temporary:
        with contextlib.ExitStack() as files:
            arrays = [
                files.enter_context(GrowingArray(temporary / f"{name}.npy", dtype)) for name, dtype in columns.items()
            ]
            for part in rows:
                used[part.queries] = True
                written += len(part.queries)
                for array, values, dtype in zip(arrays, part, columns.values(), strict=False):
                    array.append(np.asarray(values, dtype))
        if not written:
            raise DataError("no triple is left", remedy="Look at the counts of what was left out.")
        _renumber(temporary / "queries.npy", used)
        with open(temporary / QUERY_IDS, "w", encoding="utf-8", newline="\n") as ids:
            ids.writelines(f"{query_ids[place]}\n" for place in np.flatnonzero(used).tolist())
        description = {
            "schema": SCHEMA,
            "holds": TRIPLES,
            "queries": int(used.sum()),
            "rows": written,
            "supervision": list(supervision),
            "counts": dict(counts),
        }
        atomic.write_json(temporary / DESCRIPTION, description)


def _renumber(file: Path, used: np.ndarray) -> None:
    """Number the queries of a column among those that are used, in blocks."""
    if used.all():
        return
    numbers = (np.cumsum(used) - 1).astype(np.int32)
    column = np.load(file, mmap_mode="r+")
    for first in range(0, len(column), ROWS_AT_ONCE):
        part = slice(first, first + ROWS_AT_ONCE)
        column[part] = numbers[column[part]]
    column.flush()
