"""How every plot looks and is saved: vector files that print in grey and are told apart by the colour-blind.

A line differs from the others in colour, dashes and marker at once. This module does not know what is plotted.
"""

import csv
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xpm_ce import atomic

COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#882255")
"""Okabe and Ito's palette (2008), told apart by people of any colour vision, without yellow; a grey and Tol's wine"""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<")
DASHES: tuple[Any, ...] = (
    "-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)), (0, (7, 2)), (0, (2, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 2)),
    (0, (6, 1, 2, 1)),
)  # fmt: skip
FORMATS = ("pdf", "svg", "png")
"""Vector formats, and png to look at"""
COLUMN, PAGE = 3.5, 7.0
"""Inches: a column and the width of a two-column paper"""
STYLE: Any = {
    "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "legend.fontsize": 7, "xtick.labelsize": 7,
    "ytick.labelsize": 7, "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6,
    "lines.linewidth": 1.2, "lines.markersize": 4, "legend.frameon": False, "figure.constrained_layout.use": True,
    "pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "xpm-ce", "hatch.linewidth": 0.5,
}  # fmt: skip
"""Text stays text in both vector formats (TrueType in PDF)"""


@dataclasses.dataclass(frozen=True)
class Plot:
    """A plot with the data that it shows."""

    name: str
    """Name of its files"""
    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    """What is drawn, in full precision; the CSV beside the picture"""
    size: tuple[float, float]
    """Inches"""
    draw: Callable[[Any], None]
    """Draws into a matplotlib figure"""

    def save(self, folder: Path, form: str = "pdf") -> list[Path]:
        """Write the picture and its data, atomically; the paths of both. Equal data give equal bytes."""
        # The object-oriented interface: no display is looked for, and nothing global is changed.
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        picture, data = folder / f"{self.name}.{form}", folder / f"{self.name}.csv"
        undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}[form]
        with matplotlib.rc_context(STYLE):
            figure = Figure(figsize=self.size)
            FigureCanvasAgg(figure)
            self.draw(figure)
            with atomic.writing(picture, "wb") as stream:
                figure.savefig(stream, format=form, dpi=200, metadata=undated)
        with atomic.writing(data) as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(self.header)
            writer.writerows(self.rows)
        return [picture, data]


@dataclasses.dataclass(frozen=True)
class Look:
    """How one of several lines looks."""

    colour: str
    marker: str
    dashes: Any

    @property
    def line(self) -> dict[str, Any]:
        """Arguments of `Axes.plot`."""
        return {"color": self.colour, "marker": self.marker, "linestyle": self.dashes}


def looks(labels: Sequence[str]) -> dict[str, Look]:
    """A look for each label, in their order; after nine the same colours come with other dashes and markers."""
    return {
        label: Look(
            COLOURS[place % len(COLOURS)],
            MARKERS[(place + place // len(COLOURS)) % len(MARKERS)],
            DASHES[(place + place // len(COLOURS)) % len(DASHES)],
        )
        for place, label in enumerate(labels)
    }


def grid(axes: Any, axis: str = "y") -> None:
    """Faint lines behind what is plotted."""
    axes.grid(visible=True, axis=axis, linewidth=0.4, color="#D0D0D0")
    axes.set_axisbelow(True)


def counted(axis: Any) -> None:
    """Ticks of an axis as 5 k, 20 k, 1 M."""
    axis.set_major_formatter(lambda value, _position: shown_count(value))


def shown_count(count: float) -> str:
    """A number with its unit: 17 M, 9.89 k."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count:g}"


def file_name(*parts: str) -> str:
    """Parts joined into a name for a file: letters, digits, dots and dashes."""
    text = "-".join(part for part in parts if part)
    return "".join(character if character.isalnum() or character in ".-@" else "_" for character in text)
