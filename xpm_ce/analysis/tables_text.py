"""A table as aligned text, which is Markdown too, or as Markdown with the best in bold and the second underlined.

This module does not know how cells came to be.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xpm_ce.analysis.tables import Table


def aligned(table: "Table") -> str:
    """The table with aligned columns, its notes below."""
    return _written(table, table.text_of)


def markdown(table: "Table") -> str:
    """The same, with the best of each column in bold and the second underlined."""
    marked = {column: table.best(column) for column in table.column_keys}

    def text(row: str, column: str) -> str:
        best, second = marked[column]
        value, *rest = table.text_of(row, column).split(" ", 1)
        value = f"**{value}**" if row in best else f"<u>{value}</u>" if row in second else value
        return " ".join([value, *rest])

    return _written(table, text)


def columns(lines: Sequence[Sequence[str]]) -> str:
    """Lines of texts as a Markdown table with aligned columns; the first line is the header."""
    widths = [max(len(line[index]) for line in lines) for index in range(len(lines[0]))]
    rendered = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    rendered.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(rendered)


def _written(table: "Table", text_of: Callable[[str, str], str]) -> str:
    lines = [[*table.row_axes, *(table.columns or [""])]]
    for label, row in table.rows.items():
        own = list(row.labels) if len(table.row_axes) > 1 else [label]
        own[0] += table.tests.letter_of(label) if table.tests else ""
        lines.append([*own, *(text_of(label, column) for column in table.column_keys)])
    notes = table.notes()
    return "\n".join([table.title, "", columns(lines), *(["", *notes] if notes else [])])
