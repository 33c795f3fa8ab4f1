"""What tables are made of, as CSV in long form: one line a value, with the axes of the grid as columns.

This module does not know means over seeds: a reader's own tool makes them.
"""

import csv
import io
from collections.abc import Sequence

from xpm_ce.analysis.results import Results
from xpm_ce.analysis.tables import Table

OWN = ("protocol", "query_count", "measure", "value", "identity", "depth", "system", "order")
"""Columns after those of the grid; a column of the grid that is named so ends with an underscore"""


def long_form(tables: Sequence[Table], results: Results) -> str:
    """Header and lines: the grid's axes, then protocol, query_count, measure, value at full precision, identity of
    the job that measured, depth, system (trained, untrained, model, run, first stage) and order of its documents."""
    rows = list(dict.fromkeys(id(row) for table in tables for row in table.results))
    wanted = set(rows)
    axes = dict.fromkeys(axis for row in results.rows for axis in row.coordinates)
    planned = [axis for axis in (results.layout.get("axes") or {}) if axis in axes]
    axes_in_order = [*planned, *(axis for axis in axes if axis not in planned)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(f"{axis}_" if axis in OWN else axis.replace(" ", "_") for axis in axes_in_order), *OWN])
    for row in results.rows:
        if id(row) in wanted:
            writer.writerow(
                [
                    *(row.coordinates.get(axis, "") for axis in axes_in_order), row.protocol, row.queries, row.measure,
                    repr(row.mean), row.job, row.depth, row.system, row.order,
                ]
            )  # fmt: skip
    return text.getvalue()
