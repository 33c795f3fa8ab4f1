"""Runs: the ranked documents of each query, in files of the TREC format, ours or from elsewhere.

This module does not know who ranked, nor whether a ranking is good.
"""

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from experimaestro import Config, Constant, Meta, Param

from xpm_ce import atomic
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.identity import file_sha256
from xpm_ce.measures.rankings import Ranking, Rankings, separate, trec_order

__all__ = ["ExternalRun", "Ranking", "Rankings", "Run", "cut", "read_run", "write_run"]

_COLUMNS = "query Q0 document rank score tag"
_FLOAT32_LIMIT = float.fromhex("0x1.ffffffp+127")
"""What rounds to infinity in float32, from here on"""


class Run(Config):
    """A run that a task has written."""

    __xpmid__ = "xpm_ce.data.run"

    path: Meta[Path]
    """File in TREC format, gzip where the name ends with .gz; identified by the task that writes it"""

    def read(self) -> Rankings:
        """Rankings by query id, best first; DataError where the file is not a run."""
        return read_run(self.path)


class ExternalRun(Run):
    """A run file from elsewhere, identified by its content and ordered as trec_eval orders it."""

    __xpmid__ = "xpm_ce.data.external_run"

    version: Constant[int] = 1
    """Version of the order that is read from the file"""
    sha256: Param[str]
    """sha256 of the file's bytes, in hexadecimal"""

    def __validate__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ConfigurationError(
                f"{self.sha256!r} is not a sha256",
                where=str(self.path),
                remedy="Give the 64 lower-case hexadecimal digits that `sha256sum` prints for the file.",
            )

    def read(self) -> Rankings:
        """Rankings in trec_eval's order; DataError where the content is not as declared, or not a run."""
        content = file_sha256(_existing(self.path))
        if content != self.sha256:
            raise DataError(
                f"the file has sha256 {content}, not {self.sha256} as declared",
                where=str(self.path),
                remedy="Restore the file, or declare its new sha256: results of the old one stay apart.",
            )
        return {query: trec_order(*ranking) for query, ranking in read_run(self.path).items()}


def cut(rankings: Rankings, depth: int) -> Rankings:
    """The first `depth` documents of each ranking; queries stay as they are."""
    if depth < 1:
        raise ConfigurationError(f"a depth of {depth} leaves no document", remedy="Give a depth of 1 or more.")
    return {query: Ranking(documents[:depth], scores[:depth]) for query, (documents, scores) in rankings.items()}


def write_run(path: Path, rankings: Rankings, tag: str) -> int:
    """Write a run and give the number of ties that were separated.

    Scores are written with all digits of float32 and strictly decreasing in it, so that every evaluator sees
    the order of the file, whatever it does with ties. Equal input gives equal bytes. Queries without documents
    leave no line. DataError for scores that increase or are not finite, and for ids that a run cannot hold:
    empty, with blanks, twice in a query, or a query id that begins with # (a comment to readers).
    """
    ties = 0
    _check_ids([tag], "tag", str(path))
    _check_ids(list(rankings), "query id", str(path))
    with ExitStack() as stack:
        stream = stack.enter_context(atomic.writing(path, "wb"))
        write: Callable[[bytes], int] = stream.write
        if path.name.endswith(".gz"):
            # No name and no time in the header: the bytes depend on the content only.
            write = stack.enter_context(gzip.GzipFile("", "wb", 6, stream, mtime=0)).write
        for query, ranking in rankings.items():
            text, separated = _text(query, ranking, tag=tag, where=f"{path}, query {query}")
            write(text.encode())
            ties += separated
    return ties


def _text(query: str, ranking: Ranking, *, tag: str, where: str) -> tuple[str, int]:
    """The lines of one query, and how many ties were separated."""
    documents, scores = ranking
    _check_ids(documents, "document id", where)
    if query.startswith("#"):
        raise DataError(
            "the query id begins with #",
            where=where,
            remedy="Readers of runs take such lines for comments: rename the query.",
        )
    if len(documents) != len(scores):
        raise DataError(
            f"{len(documents)} documents but {len(scores)} scores",
            where=where,
            remedy="Give each document of the ranking one score.",
        )
    try:
        separated = separate(scores)
    except DataError as error:
        raise DataError(error.what, where=where, remedy=error.remedy) from error
    lines = enumerate(zip(documents, map(str, separated.scores), strict=True), 1)
    text = "".join(f"{query} Q0 {document} {rank} {score} {tag}\n" for rank, (document, score) in lines)
    return text, separated.ties


def read_run(path: Path) -> Rankings:
    """The rankings of a run file by (score descending, rank of the file), queries in the order of the file.

    Blank lines and lines that begin with # are skipped. DataError with file:line for a malformed line, a
    score that float32 cannot hold, or a document that stands twice.
    """
    import numpy as np

    rankings = {}
    for query, rows in _rows(_existing(path)).items():
        _check_once(rows, path)
        scores = np.array(rows.scores)
        order = np.lexsort((np.array(rows.ranks), -scores))
        try:
            # Blanks have separated the ids, so that a line break stands in none of them.
            documents = b"\n".join(rows.documents).decode().split("\n")
            rankings[query.decode()] = Ranking(
                [documents[position] for position in order.tolist()], scores[order].astype(np.float32)
            )
        except UnicodeDecodeError as error:
            raise DataError(
                f"an id of query {query!r} is not UTF-8",
                where=str(path),
                remedy="Convert the file to UTF-8.",
            ) from error
    return rankings


class _Rows(NamedTuple):
    """What a file says of one query, in its order; a record a line would take a quarter longer to read."""

    documents: list[bytes]
    scores: list[float]
    ranks: list[int]
    lines: list[int]


def _rows(path: Path) -> dict[bytes, _Rows]:
    """The rows of each query.

    Bytes are split at ASCII blanks only, as by trec_eval; text would be split at every blank of Unicode.
    """
    queries: dict[bytes, _Rows] = {}
    for number, line in enumerate(_lines(path), 1):
        fields = line.split()
        if not fields or fields[0].startswith(b"#"):
            continue
        try:
            query, _, document, rank, text, _ = fields
            score, place = float(text), int(rank)
        except ValueError as error:
            raise DataError(
                f"malformed line {line[:100]!r}",
                where=f"{path}:{number}",
                remedy=f"A run has the columns: {_COLUMNS}",
            ) from error
        if not -_FLOAT32_LIMIT < score < _FLOAT32_LIMIT:
            raise DataError(
                f"the score {text.decode(errors='replace')} is not a number that float32 can hold",
                where=f"{path}:{number}",
                remedy="Evaluators compare scores in float32: rescale them.",
            )
        if query not in queries:
            queries[query] = _Rows([], [], [], [])
        documents, scores, ranks, lines = queries[query]
        documents.append(document)
        scores.append(score)
        ranks.append(place)
        lines.append(number)
    return queries


def _check_once(rows: _Rows, path: Path) -> None:
    """DataError, at the line of the second time, where a document stands twice."""
    if len(set(rows.documents)) == len(rows.documents):
        return
    seen = set()
    for document, line in zip(rows.documents, rows.lines, strict=True):
        if document in seen:
            raise DataError(
                f"document {document.decode(errors='replace')} stands twice for this query",
                where=f"{path}:{line}",
                remedy="Keep one line a document and query.",
            )
        seen.add(document)


def _lines(path: Path) -> Iterator[bytes]:
    if not path.name.endswith(".gz"):
        with open(path, "rb") as stream:
            yield from stream
        return
    try:
        with gzip.open(path) as stream:
            yield from stream
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"this is no complete gzip file ({error})",
            where=str(path),
            remedy="Copy or write the file again.",
        ) from error


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise DataError(
            "there is no such run file",
            where=str(path),
            remedy="Check the path, or run the job that writes it.",
        )
    return path


def _check_ids(ids: list[str], kind: str, where: str) -> None:
    """DataError where one is empty, holds an ASCII blank, is not valid Unicode, or stands twice."""
    try:
        joined = "\n".join(ids).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"a {kind} is not valid Unicode ({error.reason})",
            where=where,
            remedy="Mend it in the collection.",
        ) from error
    if ids and (joined.count(b"\n") != len(ids) - 1 or joined.split() != joined.split(b"\n")):
        wrong = next(each for each in ids if each.encode().split() != [each.encode()])
        raise DataError(
            f"the {kind} {wrong!r} is empty or holds a blank",
            where=where,
            remedy="The columns of a run are separated by blanks: rename it.",
        )
    if len(set(ids)) != len(ids):
        twice = next(each for place, each in enumerate(ids) if each in ids[:place])
        raise DataError(f"the {kind} {twice} stands twice", where=where, remedy="A ranking holds a document once.")
