"""Heat map: a cell per row and column of the experiment's table, backbone and loss as a rule.

Each cell prints its value, and its difference to the first row, so that nothing hangs on a colour. This module does not
know how values were measured.
"""

from typing import Any

from xpm_ce.analysis.plots.figure import Plot, file_name
from xpm_ce.analysis.plots.points import Shown, in_order, trained
from xpm_ce.analysis.results import Results
from xpm_ce.errors import ConfigurationError


def heat_map(results: Results, what: Shown) -> Plot:
    """The heat map of the means over seeds; ConfigurationError where no trained system is measured."""
    points = {(point.row, point.column): point for point in trained(results, what)}
    if not points:
        raise ConfigurationError("no trained system is measured yet", where=results.experiment)
    rows = in_order((row for row, _ in points), results.layout["row_labels"])
    columns = in_order((column for _, column in points), results.layout["column_labels"])
    baselines = {column: points[rows[0], column].mean for column in columns if (rows[0], column) in points}
    data = tuple(
        (
            row,
            column,
            point.mean,
            point.std,
            len(point.results),
            point.mean - baselines[column] if column in baselines else "",
        )
        for (row, column), point in sorted(
            points.items(), key=lambda each: (rows.index(each[0][0]), columns.index(each[0][1]))
        )
    )

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        values = [
            [100 * points[row, column].mean if (row, column) in points else float("nan") for column in columns]
            for row in rows
        ]
        known = [100 * point.mean for point in points.values()]
        low, high = min(known), max(known)
        # Only the lighter half of the greys, on which black figures can be read.
        axes.imshow(values, cmap="Greys", aspect="auto", vmin=low, vmax=high + max(high - low, 1e-9))
        axes.set_xticks(range(len(columns)), columns, rotation=0 if len(columns) < 6 else 40)
        axes.set_yticks(range(len(rows)), rows)
        axes.tick_params(length=0)
        for place in range(1, len(rows)):
            axes.axhline(place - 0.5, color="#B0B0B0", linewidth=0.4)
        for spine in axes.spines.values():
            spine.set(visible=True, color="#B0B0B0", linewidth=0.4)
        for y, row in enumerate(rows):
            for x, column in enumerate(columns):
                point = points.get((row, column))
                if point is None:
                    axes.text(x, y, "–", ha="center", va="center", color="black")
                    continue
                difference = ""
                if y and column in baselines:
                    difference = f"\n{100 * (point.mean - baselines[column]):+.1f}"
                axes.text(
                    x, y, f"{100 * point.mean:.1f}{difference}", ha="center", va="center", fontsize=7,
                )  # fmt: skip
        axes.set_title(f"{what.title}\nbelow: difference to {rows[0]}" if len(rows) > 1 else what.title)

    header = ("row", "column", "mean", "std_over_seeds", "seeds", f"difference_to_{rows[0]}")
    size = (1.4 + 0.75 * max(len(columns), 3), 0.7 + 0.42 * len(rows))
    return Plot(file_name("heat-map", what.protocol, what.measure), header, data, size, draw)
