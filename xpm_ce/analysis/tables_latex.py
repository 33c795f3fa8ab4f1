"""Tables as LaTeX with booktabs rules: best bold, second underlined, significance as superscripts, a full caption.

The text needs `\\usepackage{booktabs}` (its first line says what else) and a LaTeX whose input is UTF-8. This
module does not know how cells came to be.
"""

import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xpm_ce.analysis.tables import Table

COLUMN = 44
"""Characters up to which a table stands in one of two columns of text"""
SIZES: tuple[tuple[int, list[str]], ...] = (
    (95, []),
    (135, [r"\footnotesize", r"\setlength{\tabcolsep}{4pt}"]),
    (190, [r"\scriptsize", r"\setlength{\tabcolsep}{3pt}"]),
)
"""Type in which a table of at most so many characters fits the width of a page; wider ones are scaled to it"""
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
    body = "\n".join(_environment(table, name) for table, name in zip(tables, names, strict=True))
    packages = "booktabs,graphicx" if r"\rotatebox" in body else "booktabs"
    return f"% Needs \\usepackage{{{packages}}}. Written by xpm-ce table.\n{body}"


def _environment(table: "Table", name: str) -> str:
    width = _width(table)
    rotated = width > SIZES[-1][0]
    environment = "table" if width <= COLUMN else "table*"
    size = next((words for limit, words in SIZES if width <= limit), [])
    fit = (r"\resizebox{\linewidth}{!}{%", "}") if rotated else None
    return "\n".join(
        [
            rf"\begin{{{environment}}}", r"\centering", r"\setlength{\belowcaptionskip}{4pt}",
            rf"\caption{{{_caption(table)}}}", rf"\label{{{name}}}", *([fit[0]] if fit else size),
            rf"\begin{{tabular}}{{@{{}}{'l' * len(table.row_axes)}{'r' * len(table.column_keys)}@{{}}}}", r"\toprule",
            *_header(table, rotated=rotated), r"\midrule", *_body(table), r"\bottomrule", r"\end{tabular}",
            *(fit[1:] if fit else ()), rf"\end{{{environment}}}", "",
        ]
    )  # fmt: skip


def _width(table: "Table") -> int:
    """About how many characters a line of the table has."""
    rows = [row.labels for row in table.rows.values() if len(row.labels) == 1 or row.labels[-1]]
    labels = sum(max((len(own[at]) for own in rows), default=0) + 2 for at in range(len(table.row_axes)))
    cells = [[table.text_of(row, column) for row in table.rows] for column in table.column_keys]
    above = [len(table.heading(key.labels[-1])) if key.labels else 0 for key in table.column_keys.values()]
    return labels + sum(max(head, *map(len, texts)) + 2 for head, texts in zip(above, cells, strict=True))


def _header(table: "Table", *, rotated: bool) -> list[str]:
    """A line per axis of the columns; a label above several columns spans them, the last ones may stand upright."""
    axes = [escaped(axis) for axis in table.row_axes]
    keys = [[_heading(table, label) for label in key.labels] for key in table.column_keys.values()]
    if not table.layout.columns:
        return [_line([*axes, ""])]
    lines = []
    for at in range(len(table.layout.columns) - 1):
        spans = [(label, len(list(same))) for label, same in itertools.groupby(keys, key=lambda key: key[: at + 1])]
        start, rules = len(axes) + 1, []
        for _, size in spans:
            rules.append(rf"\cmidrule(lr){{{start}-{start + size - 1}}}")
            start += size
        merged = [rf"\multicolumn{{{size}}}{{c}}{{{label[-1]}}}" for label, size in spans]
        lines += [_line([*("" for _ in axes), *merged]), " ".join(rules)]
    last = [rf"\rotatebox{{90}}{{{key[-1]}}}" if rotated else key[-1] for key in keys]
    return [*lines, _line([*axes, *last])]


def _heading(table: "Table", label: str) -> str:
    """A label as it stands above a column: a protocol by its short name, which the caption explains."""
    return escaped(table.heading(label))


def _body(table: "Table") -> list[str]:
    """The lines of a table: a rule between groups of rows, a label that is also the one above left out."""
    best = {column: table.best(column) for column in table.column_keys}
    axes, lines, above = len(table.row_axes), [], None
    for label, row in table.rows.items():
        own = list(row.labels) if axes > 1 else [label]
        alone = axes == 1 or not any(own[1:])
        group = row.system if alone else own[0]
        if above is not None and group != above:
            lines.append(r"\midrule")
        letter = escaped(table.tests.letter_of(label)) if table.tests else ""
        if alone and axes > 1:
            labels = [rf"\multicolumn{{{axes}}}{{@{{}}l}}{{{escaped(own[0])}{letter}}}"]
        else:
            shown = [escaped(own[0]) if group != above or axes == 1 else "", *map(escaped, own[1:])]
            labels = [*shown[:-1], shown[-1] + letter]
        above = group
        lines.append(_line([*labels, *(_cell(table, label, column, best[column]) for column in table.column_keys)]))
    return lines


def _cell(table: "Table", row: str, column: str, marked: tuple[set[str], set[str]]) -> str:
    cell = table.cells[row].get(column)
    if cell is None or not cell.values:
        return "--"
    value, *rest = cell.render(spread=table.layout.spread).split(" ", 1)
    best, second = marked
    value = rf"\textbf{{{value}}}" if row in best else rf"\underline{{{value}}}" if row in second else value
    spread = "".join(rf"{{\tiny\,{escaped(each.replace('± ', '±'))}}}" for each in rest)
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
    return escaped(" ".join([*sentences, *table.notes(short=True)]))


def _line(parts: Sequence[str]) -> str:
    return " & ".join(parts) + r" \\"


def _word(text: str) -> str:
    return "".join(character for character in text if character.isalnum() or character in "-.")
