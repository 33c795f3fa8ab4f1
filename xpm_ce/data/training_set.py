"""Training sets: for each query a group of documents with what is known about them, in memory-mapped files.

This module does not know how groups were chosen, nor which of their documents a training step will use.

A folder holds, for n queries with m documents together:

    training_set.json     {"schema": 1, "queries": n, "rows": m, "supervision": [...], "counts": {...}}
    query_ids.txt         n lines
    offsets.npy           int64 [n + 1], the documents of query i are rows offsets[i] to offsets[i + 1]
    documents.npy         int64 [m], row in the document store
    labels.npy            int16 [m], grade, -1 where unjudged
    teacher_scores.npy    float32 [m], higher is better, nan where there is none
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from experimaestro import Config, Meta, Param, field

from xpm_ce import atomic
from xpm_ce.data.supervision import LABELS, TEACHER_ORDER, UNJUDGED, carried
from xpm_ce.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    import numpy as np

SCHEMA = 1
DESCRIPTION, QUERY_IDS = "training_set.json", "query_ids.txt"
COLUMNS = {"documents": "int64", "labels": "int16", "teacher_scores": "float32"}
ROWS_AT_ONCE = 1 << 20
"""Rows that a pass over a whole training set looks at together: some 20 MB of conditions and counts"""

GROUPS, TRIPLES = "groups", "triples"
"""What a training set can hold"""

REMAKE = "Delete the folder of the job that made it and run again."
"""The remedy for a training set that is not what its job wrote"""


class TrainingGroup(NamedTuple):
    """One query and its documents, as a builder of training sets gives them."""

    query_id: str
    """Query id, without line breaks"""

    documents: Any
    """Rows of the document store, distinct, int `[documents]`"""

    labels: Any = None
    """Grade of each document, -1 where unjudged, int `[documents]`; None where nothing is judged"""

    teacher_scores: Any = None
    """Score by the teacher, nan where there is none, float `[documents]`; None where there is no teacher"""


class StoredGroups:
    """The groups of a training set, memory-mapped; arrays are read-only views of the files.

    DataError where the folder is not a complete training set.
    """

    HOLDS: ClassVar[str] = GROUPS
    """What it holds"""

    def __init__(self, path: Path):
        try:
            description = json.loads((path / DESCRIPTION).read_text(encoding="utf-8"))
            self._offsets = mapped(path / "offsets.npy", "int64")
            self._columns = {name: mapped(path / f"{name}.npy", dtype) for name, dtype in COLUMNS.items()}
            found = (len(self._offsets) - 1, int(self._offsets[-1]), *map(len, self._columns.values()))
            if description["schema"] != SCHEMA or found != (
                description["queries"],
                *[description["rows"]] * 4,
            ):
                raise ValueError(f"its files do not belong together: schema {description['schema']}, lengths {found}")
            self.supervision = carried(description["supervision"])
            self.counts: dict[str, int] = description["counts"]
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"not a complete training set: {error}", where=str(path), remedy=REMAKE) from error
        self.path = path
        self._query_ids: list[str] = []

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @property
    def rows(self) -> int:
        """Number of (query, document) pairs."""
        return len(self._columns["documents"])

    def query_id(self, query: int) -> str:
        """Id of a query; the first call reads all ids."""
        return self.query_ids()[query]

    def query_ids(self) -> list[str]:
        """The ids of all queries, each once; the first call reads them."""
        if not self._query_ids:
            self._query_ids = (self.path / QUERY_IDS).read_text(encoding="utf-8").split("\n")[:-1]
        return self._query_ids

    def documents(self, query: int) -> "np.ndarray":
        """Rows of the document store, int64 `[documents]`."""
        return self._columns["documents"][self._offsets[query] : self._offsets[query + 1]]

    def labels(self, query: int) -> "np.ndarray":
        """Grade of each document, -1 where unjudged, int16 `[documents]`."""
        return self._columns["labels"][self._offsets[query] : self._offsets[query + 1]]

    def teacher_scores(self, query: int) -> "np.ndarray":
        """Score by the teacher, nan where there is none, float32 `[documents]`."""
        return self._columns["teacher_scores"][self._offsets[query] : self._offsets[query + 1]]

    def complete(self, teacher_scores: "np.ndarray") -> "np.ndarray":
        """Which documents carry all that the set declares (a teacher score, where it has a teacher), bool."""
        import numpy as np

        if TEACHER_ORDER in self.supervision:
            return ~np.isnan(teacher_scores)
        return np.ones(len(teacher_scores), bool)

    def count(self, condition: "Callable[[np.ndarray, np.ndarray], np.ndarray]") -> "np.ndarray":
        """How many documents of each query meet `condition(labels, teacher_scores)`, int64 `[queries]`."""
        import numpy as np

        counts = np.empty(len(self), np.int64)
        labels, scores = self._columns["labels"], self._columns["teacher_scores"]
        first = 0
        while first < len(self):
            reach = int(self._offsets[first]) + ROWS_AT_ONCE
            last = max(first + 1, int(np.searchsorted(self._offsets, reach, side="right")) - 1)
            rows = slice(int(self._offsets[first]), int(self._offsets[last]))
            met = condition(labels[rows], scores[rows]).astype(np.int64)
            counts[first:last] = np.add.reduceat(met, self._offsets[first:last] - rows.start)
            first = last
        return counts


class TrainingSet(Config):
    """A training set on disk; what it contains enters the identity through the task that made it."""

    __xpmid__ = "xpm_ce.data.training_set"

    path: Meta[Path]
    """Folder of the training set"""

    supervision: Param[list[str]]
    """Kinds of supervision that the documents carry, sorted: known before the folder exists"""

    holds: Param[str] = field(default=GROUPS, ignore_default=True)
    """"groups", one for each query, or "triples" of a query, a positive and a negative"""

    def __validate__(self) -> None:
        if self.holds not in (GROUPS, TRIPLES):
            raise ConfigurationError(f"holds is {self.holds!r}", remedy=f"A training set holds {GROUPS} or {TRIPLES}.")
        carried(self.supervision)
        if list(self.supervision) != sorted(set(self.supervision)):
            raise ConfigurationError(
                f"supervision {list(self.supervision)} is not sorted, or names a kind twice",
                remedy=f"Give {sorted(set(self.supervision))}.",
            )

    def open(self) -> StoredGroups:
        """The groups or triples, memory-mapped; DataError where the folder carries something else than declared."""
        groups = self._stored()
        if groups.supervision != carried(self.supervision):
            raise DataError(
                f"carries {sorted(groups.supervision)}, not {list(self.supervision)} as declared",
                where=str(self.path),
                remedy=REMAKE,
            )
        return groups

    def _stored(self) -> StoredGroups:
        if self.holds == GROUPS:
            return StoredGroups(self.path)
        from xpm_ce.data.stored_triples import StoredTriples

        return StoredTriples(self.path)


def write_training_set(
    folder: Path, groups: Iterable[TrainingGroup], *, supervision: Iterable[str], counts: Mapping[str, int]
) -> None:
    """Write `groups` as they come; the folder is complete or absent, and only the query ids stay in memory.

    `supervision` are the kinds that the documents carry, `counts` what the builder wants to be known (queries left
    out, say; read after the last group). DataError: no group, a query without documents or given twice, a document
    twice in a query, a value that its column cannot hold, a declared kind that no document carries.
    """
    import numpy as np

    declared = sorted(set(supervision))
    seen: set[str] = set()
    rows = judged = scored = 0
    with atomic.writing_folder(folder) as temporary:
        with contextlib.ExitStack() as files:
            offsets = files.enter_context(GrowingArray(temporary / "offsets.npy", "int64"))
            columns = [
                files.enter_context(GrowingArray(temporary / f"{name}.npy", dtype)) for name, dtype in COLUMNS.items()
            ]
            ids = files.enter_context(open(temporary / QUERY_IDS, "w", encoding="utf-8", newline="\n"))
            offsets.append(np.zeros(1, np.int64))
            for group in groups:
                values = _checked(group, seen)
                seen.add(group.query_id)
                ids.write(f"{group.query_id}\n")
                rows += len(values[0])
                judged += int((values[1] != UNJUDGED).sum())
                scored += len(values[2]) - int(np.isnan(values[2]).sum())
                offsets.append(np.array([rows], np.int64))
                for column, array in zip(columns, values, strict=True):
                    column.append(array)
        if not seen:
            raise DataError("no query has a training group", remedy="Look at the counts of what was left out.")
        for kind, documents in ((LABELS, judged), (TEACHER_ORDER, scored)):
            if kind in carried(declared) and not documents:
                raise DataError(f"the training set is to carry {kind}, but no document has any")
        description = {
            "schema": SCHEMA,
            "queries": len(seen),
            "rows": rows,
            "supervision": declared,
            "counts": dict(counts),
        }
        atomic.write_json(temporary / DESCRIPTION, description)


class GrowingArray:
    """A one-dimensional .npy file, open as a context: its header is rewritten when the length is known."""

    def __init__(self, path: Path, dtype: str):
        self._path, self._dtype, self._length = path, dtype, 0

    def __enter__(self) -> "GrowingArray":
        self._stream = open(self._path, "wb")
        self._write_header()
        self._start = self._stream.tell()
        return self

    def append(self, values: "np.ndarray") -> None:
        """Add values of this array's type."""
        self._stream.write(values.tobytes())
        self._length += len(values)

    def __exit__(self, *_: object) -> None:
        self._stream.seek(0)
        self._write_header()
        moved = self._stream.tell() != self._start
        self._stream.close()
        if moved:
            raise RuntimeError(f"numpy changed the size of the header of {self._path}")

    def _write_header(self) -> None:
        import numpy as np

        header = {"descr": np.dtype(self._dtype).str, "fortran_order": False, "shape": (self._length,)}
        np.lib.format.write_array_header_1_0(self._stream, header)


def mapped(path: Path, dtype: str) -> "np.ndarray":
    """A memory-mapped array, as a plain array: slicing a numpy.memmap costs ten times as much."""
    import numpy as np

    array = np.asarray(np.load(path, mmap_mode="r"))
    if array.dtype != dtype or array.ndim != 1:
        raise ValueError(f"{path.name} is {array.dtype} of {array.ndim} dimensions, not {dtype} of 1")
    return array


def _checked(group: TrainingGroup, seen: set[str]) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """(documents int64, labels int16, teacher scores float32) of a group; DataError where it is none."""
    import numpy as np

    documents = np.asarray(group.documents)
    labels = np.full(len(documents), UNJUDGED) if group.labels is None else np.asarray(group.labels)
    teacher = np.full(len(documents), np.nan) if group.teacher_scores is None else group.teacher_scores
    with np.errstate(over="ignore"):
        scores = np.asarray(teacher).astype(np.float32)
    fault = _fault(documents, labels, scores)
    if group.query_id.splitlines() != [group.query_id]:
        fault = "has an empty id, or one with a line break"
    elif group.query_id in seen:
        fault = "has two groups"
    if fault:
        raise DataError(f"query {group.query_id!r} {fault}", remedy="Mend what builds this training set.")
    return documents.astype(np.int64), labels.astype(np.int16), scores


def _fault(documents: "np.ndarray", labels: "np.ndarray", scores: "np.ndarray") -> str:
    """Why these cannot be a query's documents; empty where they can."""
    import numpy as np

    if not len(documents):
        return "has no document"
    if not len(documents) == len(labels) == len(scores):
        return f"has {len(documents)} documents, {len(labels)} labels, {len(scores)} teacher scores"
    if documents.dtype.kind not in "iu" or documents.min() < 0:
        return "has a document that is no row of a document store"
    if len(np.unique(documents)) != len(documents):
        return "has a document twice"
    if not ((labels >= UNJUDGED) & (labels <= np.iinfo(np.int16).max) & (labels % 1 == 0)).all():
        return f"has a label that is neither a grade nor {UNJUDGED}"
    if np.isinf(scores).any():
        return "has a teacher score that float32 cannot hold"
    return ""
