"""Collections that another library provides, identified by its ids and by counts that each job verifies.

A study plans without that library and without the data. This module does not know which library it is.
"""

import contextlib
import difflib
from collections.abc import Iterator, Mapping
from typing import ClassVar, Optional

from experimaestro import Constant, Param, field

from xpm_ce.data.collection import Collection, Submit
from xpm_ce.data.need import Need, Standing, obstacle_of
from xpm_ce.data.parts import DocumentRecord, Documents, Parts, Qrels, Queries, no_such_split
from xpm_ce.data.registered import Registered
from xpm_ce.errors import ConfigurationError, DataError, XpmCeError

ITSELF = "."
"""Name of a split, of an id that is not registered, whose queries and judgements are found under the id itself"""


class FromElsewhere:
    """What is read by its id in another library: whether it can be had here, and how."""

    KIND: ClassVar[str]
    """documents, queries or judgements"""
    id: str
    count: int | None

    def remedy(self) -> str:
        """How to obtain the data."""
        raise NotImplementedError(f"{type(self).__name__}.remedy")

    @property
    def need(self) -> Need:
        """What is needed of the other library."""
        number = f"{self.count:,}" if self.count is not None else "a number that nobody gave of"
        return Need(
            self.id, self.KIND, f"{number} {self.KIND}", self.standing(), self.remedy(), self.downloadable
        )  # fmt: skip

    @property
    def obstacle(self) -> str | None:
        """What keeps it from being had here, and what to do about it; None where nothing is known to."""
        return obstacle_of(self.need)

    @property
    def downloadable(self) -> bool:
        """Whether the library can download it."""
        return True

    def standing(self) -> Standing:
        """Whether it is on this disk, told without the library."""
        return Standing.UNKNOWN

    def checksums(self) -> str:
        """What the checksums of its files say, where the library has some on record; "" where it has not."""
        return ""


class SourceDocuments(FromElsewhere, Documents):
    """Documents by their id in another library."""

    __xpmid__ = "xpm_ce.data.source.documents"
    KIND = "documents"
    version: Constant[int] = 1
    """Version of how records are made of the library's"""

    id: Param[str]
    """Id of the documents"""

    count: Param[int]
    """How many documents there must be"""

    def raw(self) -> Iterator[DocumentRecord]:
        """The documents as the library gives them."""
        raise NotImplementedError(f"{type(self).__name__}.raw")

    def obtain(self) -> str:
        """Read all of them, downloading what is missing; their number. DataError where that is not as declared."""
        return _told(f"{sum(1 for _ in self.records()):,} documents", self.checksums())

    def records(self) -> Iterator[DocumentRecord]:
        found = 0
        with reading(self.id, self.remedy()):
            for record in self.raw():
                found += 1
                yield record
        verify("documents", self.count, found, where=self.id)


class SourceQueries(FromElsewhere, Queries):
    """Queries by their id in another library."""

    __xpmid__ = "xpm_ce.data.source.queries"
    KIND = "queries"
    version: Constant[int] = 1
    """Version of how queries are made of the library's"""

    id: Param[str]
    """Id of the queries"""

    count: Param[Optional[int]] = field(default=None, ignore_default=True)
    """How many queries there must be; absent where nobody knows"""

    @property
    def on_disk(self) -> bool:
        return False

    def raw(self) -> Iterator[tuple[str, str]]:
        """(query id, text) as the library gives them."""
        raise NotImplementedError(f"{type(self).__name__}.raw")

    def obtain(self) -> str:
        """Read all of them, downloading what is missing; their number. DataError where that is not as declared."""
        return _told(f"{len(self.read()):,} queries", self.checksums())

    def read(self) -> dict[str, str]:
        with reading(self.id, self.remedy()):
            rows = list(self.raw())
        queries = dict(rows)
        verify("queries", self.count, len(rows), where=self.id)
        verify("queries with an id of their own", len(rows), len(queries), where=self.id)
        return queries


class SourceQrels(FromElsewhere, Qrels):
    """Judgements by their id in another library."""

    __xpmid__ = "xpm_ce.data.source.qrels"
    KIND = "judgements"
    version: Constant[int] = 1
    """Version of how judgements are made of the library's"""

    id: Param[str]
    """Id of the judgements"""

    count: Param[Optional[int]] = field(default=None, ignore_default=True)
    """How many judgements there must be; absent where nobody knows"""

    def raw(self) -> Iterator[tuple[str, str, int]]:
        """(query id, document id, grade) as the library gives them."""
        raise NotImplementedError(f"{type(self).__name__}.raw")

    def obtain(self) -> str:
        """Read all of them, downloading what is missing. DataError where their number is not as declared."""
        self.read()
        counted = f"{self.count:,} judgements" if self.count is not None else "judgements, of a number that nobody gave"
        return _told(counted, self.checksums())

    def read(self) -> dict[str, dict[str, int]]:
        qrels: dict[str, dict[str, int]] = {}
        found = 0
        with reading(self.id, self.remedy()):
            for query_id, document_id, grade in self.raw():
                found += 1
                # Of two judgements of one document, the last counts, as in trec_eval.
                qrels.setdefault(query_id, {})[document_id] = grade
        verify("judgements", self.count, found, where=self.id)
        return qrels


class SourceCollection(Collection):
    """A collection of another library."""

    __xpmid__ = "xpm_ce.data.source.collection"
    REGISTERED: ClassVar[Mapping[str, Registered]]
    """Collections whose counts are known, by id"""
    DOCUMENTS: ClassVar[type[SourceDocuments]]
    QUERIES: ClassVar[type[SourceQueries]]
    QRELS: ClassVar[type[SourceQrels]]

    id: Param[str]
    """Id of the collection; a split adds its name to it"""

    documents_count: Param[Optional[int]] = field(default=None, ignore_default=True)
    """Number of documents, for an id that is not registered, or for a part of one that is: then counts of queries and
    judgements are unknown, and they are identified by their ids alone"""

    def join(self, split: str) -> str:
        """The id of a split that is not registered."""
        raise NotImplementedError(f"{type(self).__name__}.join")

    def __validate__(self) -> None:
        if self.documents_count is None and self.id not in self.REGISTERED:
            close = difflib.get_close_matches(self.id, self.REGISTERED, n=1)
            raise ConfigurationError(
                f"the {self.NAME} id {self.id} is not registered, so its size is unknown",
                remedy=f"{f'Did you mean {close[0]}? ' if close else ''}Else give documents_count: "
                "the number of documents that it must have.",
            )

    def prepare(self, submit: Submit) -> Parts:
        SourceCollection.__validate__(self)  # the configuration's own method does nothing in experimaestro 2.7
        return SourceParts(self)


class SourceParts(Parts):
    """The parts of a collection of another library."""

    def __init__(self, collection: SourceCollection):
        self.collection = collection
        self.registered = collection.REGISTERED.get(collection.id)

    @property
    def documents(self) -> SourceDocuments:
        identifier = self.registered.id if self.registered else self.collection.id
        count = self.collection.documents_count
        if count is None and self.registered:
            count = self.registered.documents
        return self.collection.DOCUMENTS.C(id=identifier, count=count)

    def splits(self) -> list[str]:
        return sorted(self.registered.splits) if self.registered else []

    def queries(self, split: str) -> SourceQueries:
        identifier, queries, _ = self._split(split)
        return self.collection.QUERIES.C(id=identifier, count=queries)

    def qrels(self, split: str) -> SourceQrels:
        identifier, _, judgements = self._split(split)
        return self.collection.QRELS.C(id=identifier, count=judgements)

    def _split(self, split: str) -> tuple[str, int | None, int | None]:
        """(id, number of queries, number of judgements)."""
        if self.registered is None:
            return self.collection.id if split == ITSELF else self.collection.join(split), None, None
        if split not in self.registered.splits:
            raise no_such_split(split, self.splits(), where=self.collection.id)
        known = self.registered.splits[split]
        if self.collection.documents_count is not None:
            return known.id, None, None
        return known


@contextlib.contextmanager
def reading(identifier: str, remedy: str) -> Iterator[None]:
    """Turn whatever a library raises into a DataError with a remedy."""
    try:
        yield
    except XpmCeError:
        raise
    except Exception as error:
        what = f"cannot read {identifier} ({type(error).__name__}: {str(error)[:300]})"
        raise DataError(what, where=identifier, remedy=remedy) from error


def _told(counted: str, checksums: str) -> str:
    return f"{counted}; {checksums}" if checksums else counted


def verify(what: str, expected: int | None, found: int, *, where: str) -> None:
    """DataError where a count is known and another one was found."""
    if expected is not None and found != expected:
        raise DataError(
            f"there are {found} {what}, not {expected}",
            where=where,
            remedy="The copy is incomplete, or another version: obtain it again. For a copy that is a part on purpose, "
            "set documents_count.",
        )
