"""The parts of a collection: documents, and for each split its queries and its judgements.

Whoever trains, retrieves or measures takes these configurations. This module does not know where texts come from.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from experimaestro import Config

from xpm_ce.errors import ConfigurationError

if TYPE_CHECKING:
    from xpm_ce.data.runs import Run


class DocumentRecord(NamedTuple):
    """A document as its collection gives it."""

    id: str
    """Document id, without blanks"""
    title: str
    """Title, empty where the collection has none"""
    text: str
    """Body, without the title"""


class Documents(Config):
    """The documents of a collection; their order is part of what they are."""

    __xpmid__ = "xpm_ce.data.documents"

    def records(self) -> Iterator[DocumentRecord]:
        """The documents, streamed; DataError at their end where they are not the ones that were declared."""
        raise NotImplementedError(f"{type(self).__name__}.records")


class Queries(Config):
    """The queries of one split."""

    __xpmid__ = "xpm_ce.data.queries"

    @property
    def on_disk(self) -> bool:
        """Whether reading them needs files of this machine only: no library of its own, and no download."""
        return True

    def read(self) -> dict[str, str]:
        """Text by query id, in the order of their source; DataError where they are not the ones declared."""
        raise NotImplementedError(f"{type(self).__name__}.read")


class Qrels(Config):
    """The relevance judgements of one split."""

    __xpmid__ = "xpm_ce.data.qrels"

    def read(self) -> dict[str, dict[str, int]]:
        """Grade by query id and document id; DataError where they are not the ones declared."""
        raise NotImplementedError(f"{type(self).__name__}.read")


class Parts(ABC):
    """What a collection consists of, each part with an identity of its own; a part is prepared when asked for."""

    @property
    @abstractmethod
    def documents(self) -> Documents:
        """The documents, shared by all splits."""

    @abstractmethod
    def splits(self) -> list[str]:
        """Names of the splits that are known to exist, sorted."""

    @abstractmethod
    def queries(self, split: str) -> Queries:
        """The queries of a split; ConfigurationError where there is no such split."""

    @abstractmethod
    def qrels(self, split: str) -> Qrels:
        """The judgements of a split; ConfigurationError where there is no such split."""

    def teacher(self, split: str) -> "Run | None":
        """A teacher's run over the queries of a split; None where the collection brings none."""
        return None


def no_such_split(split: str, splits: list[str], *, where: str) -> ConfigurationError:
    """The error for a split that does not exist, with those that do."""
    there_are = f"Splits here: {', '.join(splits)}." if splits else "It has no split at all."
    return ConfigurationError(f"there is no split {split!r}", where=where, remedy=there_are)
