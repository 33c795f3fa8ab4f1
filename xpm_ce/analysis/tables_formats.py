"""Tables in each format that `xpm-ce table --format` knows, as one text.

This module does not know where the text goes.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from xpm_ce.analysis.results import Results
from xpm_ce.analysis.tables import Table
from xpm_ce.analysis.tables_csv import long_form
from xpm_ce.analysis.tables_latex import latex
from xpm_ce.analysis.tables_text import markdown

NOTHING = "No result of that measure and depth; the experiment's YAML names those that are measured."


def _text(tables: Sequence[Table], results: Results) -> str:
    parts = [table.render() + "\n" for table in tables]
    if results.missing:
        parts.append(f"{len(results.missing)} results are not there yet; `xpm-ce status` says why.")
    elif not tables:
        parts.append(NOTHING)
    return "\n".join(parts)


def described(tables: Sequence[Table], results: Results) -> dict[str, Any]:
    """Tables as data: schema 1."""
    return {
        "schema": 1, "experiment": results.experiment, "tables": [table.as_json() for table in tables],
        "missing": results.missing,
    }  # fmt: skip


def _json(tables: Sequence[Table], results: Results) -> str:
    return json.dumps(described(tables, results), indent=1, ensure_ascii=False)


FORMATS: dict[str, Callable[[Sequence[Table], Results], str]] = {
    "text": _text,
    "latex": lambda tables, results: latex(tables, label=results.experiment),
    "csv": long_form,
    "md": lambda tables, results: "\n\n".join(markdown(table) for table in tables),
    "json": _json,
}
"""A format's name and what writes it"""
