"""Effectiveness against what a system costs: a line per row of the table, a point per column, seeds as error bars.

This module does not know what the cost is, nor where it was written.
"""

import dataclasses
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


@dataclasses.dataclass(frozen=True)
class Cost:
    """What stands on the axis across."""

    name: str
    """In the name of the file"""
    column: str
    """In the data beside it"""
    label: str
    """Under the axis"""
    text: Callable[[float], str]
    """A value as it is written under a tick"""


def against(results: Results, what: Shown, cost: Cost, known: Sequence[tuple[Point, float]]) -> Plot:
    """Means over seeds against a cost on a log scale, which `known` has for at least one point."""
    known = sorted(known, key=lambda each: each[1])
    labels = in_order((point.row for point, _ in known), results.layout["row_labels"])
    stages = first_stages(results, what)
    data = tuple((point.row, point.column, count, point.mean, point.std, len(point.results)) for point, count in known)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        look = looks(labels)
        for label in labels:
            own = [(count, point) for point, count in known if point.row == label]
            axes.errorbar(
                [count for count, _ in own], [100 * point.mean for _, point in own],
                yerr=[100 * point.std for _, point in own], capsize=2, elinewidth=0.7, label=label, **look[label].line,
            )  # fmt: skip
        for name, value in stages.items():
            if "," not in name:
                axes.axhline(100 * value, color="#7F7F7F", linewidth=0.8, linestyle=":")
                axes.text(
                    0.995, 100 * value, name, transform=axes.get_yaxis_transform(), ha="right", va="bottom", fontsize=7,
                    color="#505050",
                )  # fmt: skip
        axes.set_xscale("log")
        low, high = known[0][1], known[-1][1]
        margin = max(1.05, math.sqrt(NARROWEST * low / high))
        axes.set_xlim(low / margin, high * margin)
        ticks = _ticks(known, cost, (high / low * margin**2) ** CLOSE)
        axes.set_xticks(
            list(ticks),
            list(ticks.values()),
            rotation=40 if len(ticks) > 3 else 0,
            ha="right" if len(ticks) > 3 else "center",
            rotation_mode="anchor",
        )
        axes.minorticks_off()
        axes.set_xlabel(cost.label)
        axes.set_ylabel(what.label)
        axes.set_title(f"{what.protocol}, depth {what.depth}")
        grid(axes)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    header = ("row", "column", cost.column, "mean", "std_over_seeds", "seeds")
    return Plot(file_name(cost.name, what.protocol, what.measure), header, data, (1.4 * COLUMN, 3.0), draw)


def _ticks(known: Sequence[tuple[Point, float]], cost: Cost, close: float) -> dict[float, str]:
    """Places on the axis, with the systems that stand there; those whose ratio is below `close` share one."""
    groups: list[dict[float, list[str]]] = []
    for point, count in known:
        if not groups or count > close * min(groups[-1]):
            groups.append({})
        names = groups[-1].setdefault(count, [])
        if point.column not in names:
            names.append(point.column)
    return {
        math.exp(statistics.fmean(map(math.log, group))): "\n".join(
            f"{', '.join(filter(None, names))} {cost.text(count)}".strip() for count, names in group.items()
        )
        for group in groups
    }
