"""The document store of a collection: every document's text by row, on disk, with its id.

This module does not know where documents come from, nor how a model reads them.
"""

import string
from pathlib import Path
from typing import TYPE_CHECKING

from experimaestro import Config, Constant, Meta, Param, PathGenerator, field

from xpm_ce.data.parts import Documents
from xpm_ce.errors import ConfigurationError
from xpm_ce.jobs import Job

if TYPE_CHECKING:
    from xpm_ce.data.stored_documents import StoredDocuments

PLACEHOLDERS = ("title", "text")


class DocumentStore(Config):
    """The documents that a `StoreDocuments` job has stored."""

    __xpmid__ = "xpm_ce.data.document_store"

    path: Meta[Path]
    """Folder of the store"""

    def open(self) -> "StoredDocuments":
        """The documents, memory-mapped; DataError where the folder is not a complete store."""
        from xpm_ce.data.stored_documents import StoredDocuments

        return StoredDocuments(self.path)


class StoreDocuments(Job):
    """Store the documents of a collection, each as one text; refuses an empty corpus, faulty records, an id twice."""

    __xpmid__ = "xpm_ce.data.store_documents"
    version: Constant[int] = 1
    """Version of what the store holds"""

    documents: Param[Documents]
    """The documents to store"""

    text: Param[str] = field(default="{title} {text}")
    """How title and body become one text; what stands before an empty one of them is left out"""

    store: Meta[Path] = field(default_factory=PathGenerator("store"))
    """Folder of the store"""

    def __validate__(self) -> None:
        try:
            pieces = [piece[1:] for piece in string.Formatter().parse(self.text) if piece[1] is not None]
        except ValueError as error:
            raise ConfigurationError(f"malformed text format {self.text!r} ({error})") from error
        if not pieces or any(name not in PLACEHOLDERS or spec or conversion for name, spec, conversion in pieces):
            raise ConfigurationError(
                f"the text format {self.text!r} has other placeholders than {{title}} and {{text}}, or none",
                remedy='The usual one is "{title} {text}".',
            )

    def compute(self) -> None:
        from xpm_ce.data.stored_documents import write_store

        write_store(self.store, self.documents.records(), text=self.text)

    def task_outputs(self, dep):
        return dep(DocumentStore.C(path=self.store))
