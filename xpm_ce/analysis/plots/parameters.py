"""Effectiveness against the number of parameters: a line per loss, a point per backbone, seeds as error bars.

This module does not know how many parameters a backbone has: learners wrote that in their ledgers.
"""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xpm_ce.analysis.plots.figure import COLUMN, Plot, file_name, grid, looks, shown_count
from xpm_ce.analysis.plots.points import Point, Shown, first_stages, in_order, trained
from xpm_ce.analysis.results import Results
from xpm_ce.errors import ConfigurationError
from xpm_ce.workspace import read_json

NARROWEST = 2.0
"""Least ratio of the ends of the axis, so that one per cent more parameters does not look like a difference"""
CLOSE = 0.04
"""Numbers of parameters within this share of the axis have one label"""


def against_parameters(results: Results, what: Shown) -> Plot:
    """Means over seeds against parameters; ConfigurationError where no learner's ledger says how many there are."""
    found = [(point, _parameters(results, point)) for point in trained(results, what)]
    known = [(point, count) for point, count in found if count is not None]
    if not known:
        raise ConfigurationError(
            "no measured system has a ledger with its parameters",
            where=results.experiment,
            remedy="Only what was trained here has one.",
        )
    known.sort(key=lambda each: each[1])
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
        ticks = _ticks(known, (high / low * margin**2) ** CLOSE)
        axes.set_xticks(
            list(ticks),
            list(ticks.values()),
            rotation=40 if len(ticks) > 3 else 0,
            ha="right" if len(ticks) > 3 else "center",
            rotation_mode="anchor",
        )
        axes.minorticks_off()
        axes.set_xlabel("parameters (log scale)")
        axes.set_ylabel(what.label)
        axes.set_title(f"{what.protocol}, depth {what.depth}")
        grid(axes)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    header = ("row", "column", "parameters", "mean", "std_over_seeds", "seeds")
    return Plot(file_name("parameters", what.protocol, what.measure), header, data, (1.4 * COLUMN, 3.0), draw)


def _ticks(known: Sequence[tuple[Point, float]], close: float) -> dict[float, str]:
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
            f"{', '.join(filter(None, names))} {shown_count(count)}".strip() for count, names in group.items()
        )
        for group in groups
    }


def _parameters(results: Results, point: Point) -> float | None:
    """Mean over the learners behind a point, which seeds do not change; None where there is none."""
    counts = []
    for each in point.results:
        for job in results.behind(each.job):
            if job["kind"] == "learn":
                ledger = read_json(Path(job["folder"]) / "ledger.json") or {}
                counts += [ledger["parameters"]] if "parameters" in ledger else []
                break
    return statistics.fmean(counts) if counts else None
