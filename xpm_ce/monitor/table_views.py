"""The views of all results together: table and heat map. Numbers come from `analysis`.

This module does not know how they are sent, nor drawn.
"""

import glob
from typing import TYPE_CHECKING, Any

from xpm_ce.monitor.asked import Asked
from xpm_ce.monitor.readings import Readings
from xpm_ce.monitor.state import ExperimentState
from xpm_ce.workspace import FIRST_STAGE, TRAINED

if TYPE_CHECKING:
    from xpm_ce.analysis.cells import Cell
    from xpm_ce.analysis.results import Results
    from xpm_ce.analysis.tables import Table


def table(readings: Readings, state: ExperimentState, asked: Asked) -> dict[str, Any]:
    """What `xpm-ce table --format json` prints, and each table's cells as they are printed, with marks."""
    from xpm_ce.analysis.table_request import TableRequest
    from xpm_ce.analysis.tables_formats import described

    results = readings.results(state)
    request = TableRequest(
        measures=asked.many("measure"),
        depths=asked.depths("depth"),
        protocols=asked.many("protocol"),
        rows=asked.list("rows"),
        columns=asked.list("cols"),
        aggregate=asked.one("agg"),
        baselines=asked.many("baseline"),
        test=asked.one_of("test", ("t", "randomisation", "none")) or None,
        correction=asked.one_of("correction", ("holm", "bonferroni", "bh")) or "holm",
        alpha=asked.share("alpha", 0.05),
    )
    tables = request.tables(results)
    return {
        **described(tables, results), "shown": [_shown(table) for table in tables],
        "options": options(results),
    }  # fmt: skip


def heat_map(readings: Readings, state: ExperimentState, asked: Asked) -> dict[str, Any]:
    """A cell per row and column for one protocol and measure, those that are not measured yet included."""
    from xpm_ce.analysis.layouts import Layout
    from xpm_ce.analysis.tables import make_tables
    from xpm_ce.measures.names import parse

    results = readings.results(state)
    known = options(results)
    protocol = asked.one("protocol") or next(iter(known["protocols"]), "")
    measure = asked.one("measure")
    rows = asked.list("rows") or tuple(filter(None, [results.layout["rows"]]))
    columns = asked.list("cols") or tuple(filter(None, [results.layout["columns"]]))
    tables = make_tables(
        results,
        measures=[str(parse(measure))] if measure else (),
        depths=asked.depths("depth"),
        protocols=[glob.escape(protocol)] if protocol else (),
        layout=Layout.of(results, rows=rows, columns=columns),
        empty=True,
    )
    found: dict[str, Any] = {
        **known, "protocol": protocol, "row_axes": list(rows), "column_axes": list(columns), "measure": measure,
        "depth": None, "title": "", "rows": [], "cols": [], "cells": [], "first_stage": None, "first_stages": [],
    }  # fmt: skip
    if not tables:
        return found
    table = tables[0]
    trained = [text for text, row in table.rows.items() if row.system == TRAINED]
    texts = list(table.column_keys)
    stages = [
        {"name": text, "value": cell.mean}
        for text, row in table.rows.items()
        if row.system == FIRST_STAGE and row.competes
        for cell in list(table.cells[text].values())[:1]
        if cell.values
    ]
    return {
        **found, "measure": table.measure, "depth": table.depth, "title": table.title, "rows": trained,
        "cols": texts, "cells": [[_heat(table.cells[row].get(column)) for column in texts] for row in trained],
        "first_stage": stages[0]["value"] if stages else None, "first_stages": stages,
    }  # fmt: skip


def options(results: "Results") -> dict[str, Any]:
    """What can be asked for."""
    axes = results.layout.get("axes") or {}
    over = results.layout["over"]
    named = [results.layout[each] for each in ("rows", "columns") if results.layout[each]]
    return {
        "experiment": results.experiment, "protocols": list(results.layout["protocols"]),
        "measures": list(results.layout["measures"]), "depths": list(results.layout["depths"]),
        "axes": [axis for axis in dict.fromkeys([*axes, *named]) if axis != over], "over": over,
    }  # fmt: skip


def _heat(cell: "Cell | None") -> dict[str, Any] | None:
    """A cell of the heat map; None where nothing is planned."""
    if cell is None:
        return None
    return {
        "value": cell.mean if cell.values else None, "std": cell.std, "seeds": list(cell.seeds),
        "expected": len(cell.values) + len(cell.absent_jobs), "done": len(cell.values),
        "jobs": [*cell.jobs, *cell.absent_jobs], "text": cell.printed,
    }  # fmt: skip


def _shown(table: "Table") -> dict[str, Any]:
    """A table as it is printed."""
    best = {column: table.best(column) for column in table.column_keys}

    def mark(row: str, column: str) -> str | None:
        first, second = best[column]
        return "best" if row in first else "second" if row in second else None

    return {
        "title": table.title, "notes": table.notes(), "row_axes": list(table.row_axes),
        "columns": [
            {"text": text, "heading": ", ".join(table.heading(label) for label in key.labels), "mean": key.is_mean}
            for text, key in table.column_keys.items()
        ],
        "rows": [
            {
                "text": text, "labels": list(row.labels), "system": row.system, "competes": row.competes,
                "letter": table.tests.letter_of(text) if table.tests else "",
                "cells": [
                    {"text": table.text_of(text, column), "mark": mark(text, column) if row.competes else None,
                     "significance": table.tests.marks(text, column) if table.tests else "",
                     "jobs": list(cell.jobs) if (cell := table.cells[text].get(column)) else []}
                    for column in table.column_keys
                ],
            }
            for text, row in table.rows.items()
        ],
    }  # fmt: skip
