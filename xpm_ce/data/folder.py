"""A collection in a user's folder of the BEIR layout, identified by content: moving the folder changes nothing.

Each part has its own hash, so that a changed judgement of one split does not touch the index, nor another split.
This module does not know what is done with the parts.
"""

import functools
from collections.abc import Iterator
from pathlib import Path

from experimaestro import Constant, Meta, Param

from xpm_ce.data import beir
from xpm_ce.data.collection import Collection, Submit, while_planning
from xpm_ce.data.parts import DocumentRecord, Documents, Parts, Qrels, Queries, no_such_split
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.identity import HashCache


class FolderDocuments(Documents):
    """The documents of a corpus.jsonl."""

    __xpmid__ = "xpm_ce.data.folder.documents"
    version: Constant[int] = 1
    """Version of how records are read from the file"""

    sha256: Param[str]
    """sha256 of the content of corpus.jsonl, decompressed"""

    path: Meta[Path]
    """Where corpus.jsonl or corpus.jsonl.gz is"""

    def records(self) -> Iterator[DocumentRecord]:
        documents = beir.HashedDocuments(self.path)
        yield from documents
        _expect(self.sha256, documents.sha256, self.path)


class FolderQueries(Queries):
    """The queries of a queries.jsonl that the judgements of one split name."""

    __xpmid__ = "xpm_ce.data.folder.queries"
    version: Constant[int] = 1
    """Version of how queries are read from the file"""

    sha256: Param[str]
    """sha256 over ids and texts of the split's queries, in the order of the file"""

    path: Meta[Path]
    """Where queries.jsonl or queries.jsonl.gz is"""

    qrels_path: Meta[Path]
    """Judgements that name the queries of the split"""

    def read(self) -> dict[str, str]:
        queries = beir.read_queries_of(self.path, self.qrels_path)
        _expect(self.sha256, beir.queries_sha256(queries), self.path)
        return queries


class FolderQrels(Qrels):
    """The judgements of one split."""

    __xpmid__ = "xpm_ce.data.folder.qrels"
    version: Constant[int] = 1
    """Version of how judgements are read from the file"""

    sha256: Param[str]
    """sha256 over queries, documents and grades, in the order of the file"""

    path: Meta[Path]
    """Where the judgement file is"""

    def read(self) -> dict[str, dict[str, int]]:
        qrels = beir.read_qrels(self.path)
        _expect(self.sha256, beir.qrels_sha256(qrels), self.path)
        return qrels


class Folder(Collection):
    """A folder with corpus.jsonl, queries.jsonl and qrels/<split>.tsv."""

    __xpmid__ = "xpm_ce.data.folder"
    NAME = "folder"

    path: Meta[Path]
    """The folder; it is identified by what it holds, never by its place"""

    def prepare(self, submit: Submit) -> Parts:
        return FolderParts(Path(self.path).expanduser().absolute(), submit.hashes)


class FolderParts(Parts):
    """The parts of a folder, hashed when they are asked for; ConfigurationError where content is wrong."""

    def __init__(self, path: Path, hashes: HashCache):
        if not path.is_dir():
            raise ConfigurationError("there is no such folder", where=str(path), remedy="Give an existing one.")
        self.path, self.hashes = path, hashes

    @functools.cached_property
    def documents(self) -> FolderDocuments:
        path = self._file("corpus.jsonl")
        with while_planning():
            sha256 = self.hashes.get("content 1", [path], lambda: beir.content_sha256(path))
        return FolderDocuments.C(sha256=sha256, path=path)

    def splits(self) -> list[str]:
        return sorted({path.stem for path in (self.path / "qrels").glob("*") if path.suffix in beir.QRELS_SUFFIXES})

    def queries(self, split: str) -> FolderQueries:
        path, qrels_path = self._file("queries.jsonl"), self._qrels(split)

        def sha256() -> str:
            return beir.queries_sha256(beir.read_queries_of(path, qrels_path))

        with while_planning():
            identity = self.hashes.get("beir queries 1", [path, qrels_path], sha256)
        return FolderQueries.C(sha256=identity, path=path, qrels_path=qrels_path)

    def qrels(self, split: str) -> FolderQrels:
        path = self._qrels(split)
        with while_planning():
            sha256 = self.hashes.get("beir qrels 1", [path], lambda: beir.qrels_sha256(beir.read_qrels(path)))
        return FolderQrels.C(sha256=sha256, path=path)

    def _file(self, name: str) -> Path:
        for path in (self.path / name, self.path / f"{name}.gz"):
            if path.is_file():
                return path
        raise ConfigurationError(
            f"the folder has neither {name} nor {name}.gz",
            where=str(self.path),
            remedy="The layout is corpus.jsonl, queries.jsonl and qrels/<split>.tsv.",
        )

    def _qrels(self, split: str) -> Path:
        for suffix in beir.QRELS_SUFFIXES:
            if (path := self.path / "qrels" / f"{split}{suffix}").is_file():
                return path
        raise no_such_split(split, self.splits(), where=str(self.path))


def _expect(declared: str, found: str, path: Path) -> None:
    if found != declared:
        raise DataError(
            "this file changed since it was planned",
            where=str(path),
            remedy="Restore it, or plan again: new content is another collection, and results stay apart.",
        )
