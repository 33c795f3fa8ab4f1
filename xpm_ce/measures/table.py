"""The per-query table: one line a query, order, depth and measure, in tab-separated text with full precision.

Its columns are its schema: a file with another header is refused. Plain Python, so that it is read without
numpy. This module does not know how a value was computed.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from xpm_ce import atomic
from xpm_ce.errors import DataError


class PerQueryRow(NamedTuple):
    """One value of one measure for one query; the names of its fields are the header of the file."""

    query_id: str
    """Id of the query"""
    order: str
    """What ordered the documents: the scorer, the first stage, or a bound (the writing job says which)"""
    depth: int
    """How many documents of each query were ordered"""
    measure: str
    """Canonical name"""
    value: float
    """Finite"""


_HEADER = "\t".join(PerQueryRow._fields)


def write_per_query(path: Path, rows: Iterable[PerQueryRow]) -> None:
    """Write the table, atomically.

    DataError for a name that is empty or holds a tab or a line break, and for a value that is not finite.
    """
    with atomic.writing(path) as stream:
        stream.write(f"{_HEADER}\n")
        for row in rows:
            texts = (row.query_id, row.order, row.measure)
            if not all(texts) or any(character in text for text in texts for character in "\t\n\r"):
                raise DataError(
                    f"the row {tuple(row)} holds an empty name, or one with a tab or a line break",
                    where=str(path),
                    remedy="Rename it in the collection: such an id cannot stand in a run or a table.",
                )
            if not math.isfinite(row.value):
                raise DataError(
                    f"the value of {row.measure} for query {row.query_id} is {row.value}",
                    where=str(path),
                    remedy="A measure is a number: look at the judgements of this query.",
                )
            stream.write(f"{row.query_id}\t{row.order}\t{row.depth:d}\t{row.measure}\t{float(row.value)!r}\n")


def read_per_query(path: Path) -> list[PerQueryRow]:
    """The rows of a table in the order of the file; DataError with file:line where it is not such a table."""
    try:
        text = path.read_bytes().decode()
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise DataError(
            f"this is no readable per-query table ({error})",
            where=str(path),
            remedy="Measure again.",
        ) from error
    header, *lines = text.split("\n")
    if header != _HEADER:
        raise DataError(
            f"unknown columns {header[:100]!r}",
            where=f"{path}:1",
            remedy=f"A per-query table has the columns {_HEADER!r}: measure again with this version.",
        )
    if not lines or lines.pop():
        raise DataError("the last line is cut off", where=str(path), remedy="Delete the file and measure again.")
    return [_row(line, f"{path}:{number}") for number, line in enumerate(lines, 2)]


def _row(line: str, where: str) -> PerQueryRow:
    try:
        query_id, order, depth, measure, value = line.split("\t")
        row = PerQueryRow(query_id, order, int(depth), measure, float(value))
    except ValueError as error:
        raise DataError(f"malformed row {line[:100]!r}", where=where, remedy=f"Columns: {_HEADER}") from error
    if not math.isfinite(row.value):
        raise DataError(f"the value is {value}", where=where, remedy="Measure again.")
    return row
