"""The BM25 index of a collection: terms as Lucene's English analyser makes them (Porter's stemmer, its stop words).

This module does not know queries, nor BM25's parameters, which belong to the search.
"""

from pathlib import Path

from experimaestro import Config, Constant, Meta, Param, PathGenerator, field

from xpm_ce.data.store import DocumentStore
from xpm_ce.jobs import Job


class Bm25Postings(Config):
    """An index that a `Bm25Index` job has built."""

    __xpmid__ = "xpm_ce.firststage.bm25_postings"

    store: Param[DocumentStore]
    """The documents; rows of the index are its rows"""

    path: Meta[Path]
    """Folder of the index"""


class Bm25Index(Job):
    """Index the documents of a store."""

    __xpmid__ = "xpm_ce.firststage.bm25_index"
    version: Constant[int] = 1
    """Version of how text becomes terms"""

    store: Param[DocumentStore]
    """The documents to index"""

    index: Meta[Path] = field(default_factory=PathGenerator("index"))
    """The index, in impact-index's format"""

    counts: Meta[Path] = field(default_factory=PathGenerator("counts.json"))
    """Documents, distinct terms, mean and smallest length of a document in terms"""

    def compute(self) -> None:
        from xpm_ce.firststage.indexing import index

        index(self)

    def task_outputs(self, dep):
        return dep(Bm25Postings.C(store=self.store, path=self.index))
