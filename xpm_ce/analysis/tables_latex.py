"""Tables as LaTeX with booktabs rules: best bold, second underlined, significance as superscripts, a full caption.

The text needs `\\usepackage{booktabs}` and a LaTeX whose input is UTF-8. This module does not know how cells came to be.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xpm_ce.analysis.tables import Table

WIDE = 8
"""Columns from which a table spans two columns of text, in smaller type"""
_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "±": r"$\pm$", "×": r"$\times$", "–": "--", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "|": r"\textbar{}",
}  # fmt: skip


def escaped(text: str) -> str:
    """Text as LaTeX prints it; a character that stands for something else there is written out."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def latex(tables: Sequence["Table"], *, label: str) -> str:
    """The tables, one `table` environment each; `label` begins their labels."""
    names = [f"tab:{_word(label)}" + (f"-{number}" if len(tables) > 1 else "") for number in range(1, len(tables) + 1)]
    head = "% Needs \\usepackage{booktabs}. Written by xpm-ce table.\n"
    return head + "\n".join(_environment(table, name) for table, name in zip(tables, names, strict=True))


def _environment(table: "Table", name: str) -> str:
    axes, columns = len(table.row_axes), len(table.column_keys)
    wide = columns > WIDE
    environment = "table*" if wide else "table"
    size = [r"\scriptsize", r"\setlength{\tabcolsep}{2.5pt}"] if wide else []
    header = [*(escaped(axis) for axis in table.row_axes), *(escaped(column) for column in table.column_keys)]
    return "\n".join(
        [
            rf"\begin{{{environment}}}", r"\centering", rf"\caption{{{_caption(table)}}}", rf"\label{{{name}}}", *size,
            rf"\begin{{tabular}}{{@{{}}{'l' * axes}{'r' * columns}@{{}}}}", r"\toprule", _line(header), r"\midrule",
            *_body(table), r"\bottomrule", r"\end{tabular}", rf"\end{{{environment}}}", "",
        ]
    )  # fmt: skip


def _body(table: "Table") -> list[str]:
    """The lines of a table; a rule between groups of rows, and a label that a row shares with the one above left out."""
    best = {column: table.best(column) for column in table.column_keys}
    lines: list[str] = []
    above: tuple[str, ...] | None = None
    for label, row in table.rows.items():
        own = row.labels if len(table.row_axes) > 1 else (label,)
        group = (row.system,) if len(own) == 1 or not own[-1] or row.system == "first stage" else (own[0],)
        shown = list(own)
        if above is not None and group != above:
            lines.append(r"\midrule")
        elif above is not None and len(own) > 1 and group == (own[0],):
            shown[0] = ""
        above = group
        labels = [escaped(each) for each in shown]
        labels[0 if shown[0] else -1] += escaped(table.tests.letter_of(label)) if table.tests else ""
        lines.append(_line([*labels, *(_cell(table, label, column, best[column]) for column in table.column_keys)]))
    return lines


def _cell(table: "Table", row: str, column: str, marked: tuple[set[str], set[str]]) -> str:
    cell = table.cells[row].get(column)
    if cell is None or not cell.values:
        return "--"
    value, *rest = cell.render(spread=table.layout.spread).split(" ", 1)
    best, second = marked
    value = rf"\textbf{{{value}}}" if row in best else rf"\underline{{{value}}}" if row in second else value
    spread = "".join(rf"{{\tiny\,{escaped(each).replace(' ', '')}}}" for each in rest)
    return value + spread + _superscript(table.tests.marks(row, column) if table.tests else "")


def _superscript(marks: str) -> str:
    """`↑a ↓b` as a superscript; without letters the arrow alone."""
    if not marks:
        return ""
    written = marks.replace("↑", r"\uparrow ").replace("↓", r"\downarrow ")
    written = re.sub(r"(?<![\\a-z])([a-z]+)", r"\\mathrm{\1}", re.sub(r"(\\\w+) ", r"\1{}", written))
    return f"$^{{{written.replace(' ', '')}}}$"


def _caption(table: "Table") -> str:
    over = ", ".join(table.layout.over)
    some = any(cell.std is not None for cells in table.cells.values() for cell in cells.values())
    sentences = [f"{table.title}."]
    if some:
        sentences.append(f"Mean{' ± standard deviation' if table.layout.spread else ''} over {over}.")
    if any(second for column in table.column_keys for second in table.best(column)):
        sentences.append("Best of a column bold, second underlined.")
    return escaped(" ".join([*sentences, *table.notes()]))


def _line(parts: Sequence[str]) -> str:
    return " & ".join(parts) + r" \\"


def _word(text: str) -> str:
    return "".join(character for character in text if character.isalnum() or character in "-.")

