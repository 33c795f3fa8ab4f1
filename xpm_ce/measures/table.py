"""The per-query table: a columnar file (parquet) with a row a query and a column a measure, depth and order.

One measure of one order at one depth is read without the others. This module does not know how a value was computed;
numpy and pyarrow are imported where they are needed.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from xpm_ce import atomic
from xpm_ce.errors import DataError

if TYPE_CHECKING:
    import numpy as np

SCHEMA_KEY, SCHEMA = b"xpm_ce.per_query", b"1"
"""Name and version of the schema, in the metadata of the file"""
QUERY_ID, PROTOCOL, IDENTITY = "query_id", "protocol", "identity"
"""Columns that are not values; the last two hold one value each, dictionary-encoded"""


class Column(NamedTuple):
    """What one column of values measures; its name in the file is `measure|depth|order`."""

    measure: str
    """Canonical name of the measure"""
    depth: int
    """How many documents of each query were ordered"""
    order: str
    """What ordered them: `given` (the run itself), `ceiling` (the best order) or `random`"""

    def __str__(self) -> str:
        return f"{self.measure}|{self.depth}|{self.order}"


class PerQueryTable(NamedTuple):
    """The values of every judged query, as one Measure job leaves them."""

    query_ids: list[str]
    """Judged queries, in the order of the qrels"""
    protocol: str
    """Label of the evaluation set"""
    identity: str
    """Identity of the job that measured"""
    columns: list[Column]
    """What each column of `values` measures"""
    values: "np.ndarray"
    """float64 [queries, columns], finite"""


def write_per_query(path: Path, table: PerQueryTable) -> None:
    """Write the table, atomically; equal tables give equal bytes with one version of pyarrow.

    DataError for a table without queries, a query or a column that stands twice, and a value that is not finite.
    """
    import numpy as np
    import pyarrow
    from pyarrow import parquet

    names = [str(column) for column in table.columns]
    for kind, found in (("query", table.query_ids), ("column", names)):
        if len(set(found)) != len(found):
            twice = next(each for place, each in enumerate(found) if each in found[:place])
            raise DataError(f"the {kind} {twice} stands twice", where=str(path), remedy="Keep it once.")
    if not table.query_ids:
        raise DataError("no query was measured", where=str(path), remedy="Check the qrels of this split.")
    if not np.isfinite(table.values).all():
        row, column = np.argwhere(~np.isfinite(table.values))[0]
        raise DataError(
            f"the value of {names[column]} for query {table.query_ids[row]} is {table.values[row, column]}",
            where=str(path),
            remedy="A measure is a number: look at the judgements of this query.",
        )
    size = len(table.query_ids)
    constants = [
        pyarrow.DictionaryArray.from_arrays(np.zeros(size, np.int32), [value])
        for value in (table.protocol, table.identity)
    ]
    values = np.asarray(table.values, np.float64).reshape(size, len(names))
    arrays = [pyarrow.array(table.query_ids, pyarrow.string()), *constants, *(pyarrow.array(each) for each in values.T)]
    made = pyarrow.table(arrays, names=[QUERY_ID, PROTOCOL, IDENTITY, *names])
    with atomic.writing(path, "wb") as stream:
        parquet.write_table(
            made.replace_schema_metadata({SCHEMA_KEY: SCHEMA}), stream, use_dictionary=[PROTOCOL, IDENTITY]
        )


def read_per_query(path: Path, columns: Iterable[Column] | None = None) -> PerQueryTable:
    """The table with the columns asked for, in that order, or with all in the order of the file.

    DataError with the path where it is no such table, is damaged, or has not a column that was asked for.
    """
    import numpy as np
    from pyarrow import parquet

    with _as_data_error(path), parquet.ParquetFile(path) as file:
        there = _columns(file, path)
        wanted = list(there if columns is None else columns)
        if absent := [str(column) for column in wanted if column not in there]:
            raise DataError(
                f"there is no column {absent[0]}",
                where=str(path),
                remedy=f"Measured were: {', '.join(map(str, there))}. Ask for the other in the study's evaluation:.",
            )
        read = file.read([QUERY_ID, PROTOCOL, IDENTITY, *map(str, wanted)], use_threads=False)
        ids = read[QUERY_ID].to_numpy().tolist()
        protocol, identity = (read[name][0].as_py() for name in (PROTOCOL, IDENTITY))
        values = np.empty((len(ids), len(wanted)))
        for place, column in enumerate(wanted):
            values[:, place] = read[str(column)].to_numpy()
    return PerQueryTable(ids, protocol, identity, wanted, values)


def _columns(file: Any, path: Path) -> list[Column]:
    """What the value columns of an open file measure."""
    schema = file.schema_arrow
    version = (schema.metadata or {}).get(SCHEMA_KEY)
    if version != SCHEMA:
        found = "no schema version" if version is None else f"schema version {version.decode()}"
        raise DataError(
            f"this is no per-query table of ours: {found}, not {SCHEMA.decode()}",
            where=str(path),
            remedy="Measure again with this version.",
        )
    columns = []
    for name in schema.names[len((QUERY_ID, PROTOCOL, IDENTITY)) :]:
        measure, depth, order = name.split("|", 2)
        columns.append(Column(measure, int(depth), order))
    return columns


@contextlib.contextmanager
def _as_data_error(path: Path) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(
            f"this is no readable per-query table ({str(error).strip()[:200]})",
            where=str(path),
            remedy="Delete the job's folder and run the study again: nothing is scored anew.",
        ) from error
