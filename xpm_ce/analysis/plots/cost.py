"""Effectiveness against what a system costs: a line per row, a point per column, seeds as error bars, log scale.

This module does not know what the cost is.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from xpm_ce.analysis.plots.figure import COLUMN, Plot, file_name, grid, looks
from xpm_ce.analysis.plots.points import Point, Shown, first_stages, in_order
from xpm_ce.analysis.results import Results

NARROWEST = 2.0
"""Least ratio of the ends of the axis, so that one per cent more does not look like a difference"""
CLOSE = 0.04
"""Costs within this share of the axis have one label"""


def against_cost(
    results: Results, what: Shown, known: Sequence[tuple[Point, float]], *, name: str, label: str,
    written: Callable[[float], str],
) -> Plot:  # fmt: skip
    """Means over seeds against the cost of each point.

    `name` is the plot's and the column's, `label` the axis's; `written` gives a cost as text.
    """
    known = sorted(known, key=lambda each: each[1])
    labels = in_order((point.row for point, _ in known), results.layout["row_labels"])
    stages = first_stages(results, what)
    data = tuple((point.row, point.column, cost, point.mean, point.std, len(point.results)) for point, cost in known)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        look = looks(labels)
        for row in labels:
            own = [(cost, point) for point, cost in known if point.row == row]
            axes.errorbar(
                [cost for cost, _ in own], [100 * point.mean for _, point in own],
                yerr=[100 * point.std for _, point in own], capsize=2, elinewidth=0.7, label=row, **look[row].line,
            )  # fmt: skip
        for stage, value in stages.items():
            if "," not in stage:
                axes.axhline(100 * value, color="#7F7F7F", linewidth=0.8, linestyle=":")
                axes.text(
                    0.995, 100 * value, stage, transform=axes.get_yaxis_transform(), ha="right", va="bottom",
                    fontsize=7, color="#505050",
                )  # fmt: skip
        axes.set_xscale("log")
        low, high = known[0][1], known[-1][1]
        margin = max(1.05, math.sqrt(NARROWEST * low / high))
        axes.set_xlim(low / margin, high * margin)
        ticks = _ticks(known, close=(high / low * margin**2) ** CLOSE, written=written)
        slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if len(ticks) > 3 else {}
        axes.set_xticks(list(ticks), list(ticks.values()), **slanted)
        axes.minorticks_off()
        axes.set_xlabel(f"{label} (log scale)")
        axes.set_ylabel(what.label)
        axes.set_title(f"{what.protocol}, depth {what.depth}")
        grid(axes)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    header = ("row", "column", name, "mean", "std_over_seeds", "seeds")
    return Plot(file_name(name, what.protocol, what.measure), header, data, (1.4 * COLUMN, 3.0), draw)


def _ticks(known: Sequence[tuple[Point, float]], *, close: float, written: Callable[[float], str]) -> dict[float, str]:
    """Places on the axis, with the columns that stand there; those whose ratio is below `close` share one."""
    groups: list[dict[str, list[float]]] = []
    last = 0.0
    for point, cost in known:
        if not groups or cost > close * last:
            groups.append({})
            last = cost
        groups[-1].setdefault(point.column, []).append(cost)
    ticks = {}
    for group in groups:
        texts: dict[str, list[str]] = {}
        for column, costs in group.items():
            texts.setdefault(written(statistics.fmean(costs)), []).append(column)
        place = math.exp(statistics.fmean(math.log(cost) for costs in group.values() for cost in costs))
        ticks[place] = "\n".join(f"{', '.join(filter(None, names))} {text}".strip() for text, names in texts.items())
    return ticks
