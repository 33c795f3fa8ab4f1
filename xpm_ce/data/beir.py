"""The BEIR layout: corpus.jsonl, queries.jsonl and qrels/<split>.tsv, read strictly, each fault with file and line.

Corpus and queries may be gzipped; judgements may also have the four columns of TREC. This module does not know
which content was expected.
"""

import gzip
import hashlib
import json
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from xpm_ce.data.parts import DocumentRecord
from xpm_ce.errors import DataError
from xpm_ce.identity import text_sha256

QRELS_HEADER = ["query-id", "corpus-id", "score"]
QRELS_SUFFIXES = (".tsv", ".txt")


def content_sha256(path: Path) -> str:
    """sha256 of a file's content, decompressed where it is gzipped; DataError where it cannot be read."""
    digest = hashlib.sha256()
    for line in _lines(path):
        digest.update(line)
    return digest.hexdigest()


class HashedDocuments:
    """Streams a corpus file; `sha256` is its content's, known once the stream has ended."""

    def __init__(self, path: Path):
        self.path, self.sha256 = path, ""

    def __iter__(self) -> Iterator[DocumentRecord]:
        digest = hashlib.sha256()
        for number, line in enumerate(_lines(self.path), 1):
            digest.update(line)
            if not line.strip():
                continue
            where = f"{self.path}:{number}"
            record = _object(line, where)
            yield DocumentRecord(_id(record, where), _text(record, "title", where), _text(record, "text", where))
        self.sha256 = digest.hexdigest()


def read_queries(path: Path, only: Container[str] | None = None) -> dict[str, str]:
    """Text by query id in the order of the file, of the queries in `only` where it is given."""
    queries: dict[str, str] = {}
    seen: set[str] = set()
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        record = _object(line, where)
        query_id = _id(record, where)
        if query_id in seen:
            raise DataError(f"query {query_id} stands twice", where=where, remedy="Keep one line per query.")
        seen.add(query_id)
        text = _text(record, "text", where)
        if only is None or query_id in only:
            queries[query_id] = text
    return queries


class Judgement(NamedTuple):
    """One line of a judgement file."""

    line: int
    """Line number, from 1"""
    query_id: str
    document_id: str
    grade: int


def judgements(path: Path) -> Iterator[Judgement]:
    """The judgements of a file in its order: BEIR's three columns, with or without header, or TREC's four."""
    for number, line in enumerate(_lines(path), 1):
        columns = line.decode("utf-8", errors="replace").split()
        if not columns or (number == 1 and columns == QRELS_HEADER):
            continue
        try:
            if len(columns) not in (3, 4):
                raise ValueError
            yield Judgement(number, columns[0], columns[-2], int(columns[-1]))
        except ValueError as error:
            raise DataError(
                f"malformed judgement {line[:100]!r}",
                where=f"{path}:{number}",
                remedy="A line is `query-id corpus-id score` (BEIR) or `query 0 document grade` (TREC).",
            ) from error


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Grade by query id and document id; DataError where a pair has two grades."""
    qrels: dict[str, dict[str, int]] = {}
    for line, query_id, document_id, grade in judgements(path):
        grades = qrels.setdefault(query_id, {})
        if grades.setdefault(document_id, grade) != grade:
            raise DataError(
                f"document {document_id} has the grades {grades[document_id]} and {grade} for query {query_id}",
                where=f"{path}:{line}",
                remedy="Keep one judgement per query and document.",
            )
    return qrels


def read_queries_of(queries_path: Path, qrels_path: Path) -> dict[str, str]:
    """Text by query id, of the queries that a judgement file names; DataError where it names one without a text."""
    named = read_qrels(qrels_path)
    queries = read_queries(queries_path, only=named)
    if len(queries) < len(named):
        line, query_id, *_ = next(each for each in judgements(qrels_path) if each.query_id not in queries)
        raise DataError(
            f"query {query_id} is judged, but has no text in {queries_path}",
            where=f"{qrels_path}:{line}",
            remedy="Add the query, or remove its judgements.",
        )
    return queries


def queries_sha256(queries: dict[str, str]) -> str:
    """What identifies queries: their ids and texts, in order."""
    return text_sha256(part for query in queries.items() for part in query)


def qrels_sha256(qrels: dict[str, dict[str, int]]) -> str:
    """What identifies judgements: query, document and grade, in order."""
    return text_sha256(
        part
        for query_id, grades in qrels.items()
        for document_id, grade in grades.items()
        for part in (query_id, document_id, str(grade))
    )


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) if path.name.endswith(".gz") else open(path, "rb") as stream:
            yield from stream
    except FileNotFoundError as error:
        raise DataError("there is no such file", where=str(path), remedy="Restore it.") from error
    except (gzip.BadGzipFile, EOFError) as error:
        raise DataError(f"this is no complete gzip file ({error})", where=str(path)) from error


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise DataError(f"malformed JSON ({error})", where=where, remedy="A line is one JSON object.") from error
    if not isinstance(record, dict):
        raise DataError(f"{line[:100]!r} is not a JSON object", where=where, remedy="A line is one JSON object.")
    return record


def _id(record: dict[str, Any], where: str) -> str:
    if "_id" not in record:
        raise DataError("the record has no _id", where=where, remedy='Give it one: {"_id": "7", "text": "..."}')
    identifier = str(record["_id"]) if isinstance(record["_id"], int) else record["_id"]
    if not isinstance(identifier, str) or identifier.split() != [identifier]:
        raise DataError(
            f"the _id {identifier!r} is empty, no text, or holds a blank",
            where=where,
            remedy="Runs and judgements separate columns by blanks: rename it.",
        )
    return identifier


def _text(record: dict[str, Any], key: str, where: str) -> str:
    text = record.get(key, "" if key == "title" else None)
    if text is None and key == "title":
        return ""
    if not isinstance(text, str):
        raise DataError(
            f"the record has no {key}" if text is None else f"its {key} is {text!r}, not a text", where=where
        )
    return text
