"""Forest plot: each system's mean difference to a baseline, with its interval over queries.

Intervals are bootstraps of per-query differences, seeds averaged per query first; a filled marker says that the paired
t-test, adjusted by Holm over the systems shown, falls below alpha. This module does not know who ranked.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from xpm_ce.analysis.plots.figure import COLUMN, Plot, file_name, grid
from xpm_ce.analysis.plots.points import Shown
from xpm_ce.analysis.results import Results
from xpm_ce.analysis.statistics.intervals import bootstrap
from xpm_ce.analysis.statistics.procedure import DEFAULT
from xpm_ce.analysis.systems import MeasuredSystem, side_by_side_at
from xpm_ce.errors import ConfigurationError


def forest(results: Results, what: Shown, baseline: MeasuredSystem, systems: Sequence[MeasuredSystem]) -> Plot:
    """Differences to the baseline, largest first; ConfigurationError where it, or all others, have no result."""
    at = (what.protocol, what.depth, what.measure)
    itself = (baseline.system, baseline.coordinates)
    others = [each for each in systems if (each.system, each.coordinates) != itself and each.results_at(*at)]
    if not baseline.results_at(*at) or not others:
        raise ConfigurationError(
            f"no two systems have {what.measure} on {what.protocol} at depth {what.depth}", where=results.experiment
        )
    frame = side_by_side_at(results, (baseline, *others), at)
    differences = frame.values[:, 1:] - frame.values[:, :1]
    adjusted = DEFAULT.adjusted(DEFAULT.p_values(differences))
    intervals = [bootstrap(column) for column in differences.T]
    means = differences.mean(axis=0)
    order = np.argsort(-means, kind="stable").tolist()
    data = tuple(
        (others[place].name, float(means[place]), intervals[place].low, intervals[place].high, float(adjusted[place]))
        for place in order
    )

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for height, (_, mean, low, high, p_value) in enumerate(data):
            axes.errorbar(
                100 * mean, height, xerr=[[100 * (mean - low)], [100 * (high - mean)]], fmt="o", capsize=2,
                color="black", markersize=4, elinewidth=0.9,
                markerfacecolor="black" if p_value < DEFAULT.alpha else "white",
            )  # fmt: skip
        axes.axvline(0, color="black", linewidth=0.8, linestyle="--")
        axes.set_yticks(range(len(data)), [row[0] for row in data])
        axes.invert_yaxis()
        axes.set_ylim(len(data) - 0.5, -0.5)
        axes.set_xlabel(
            f"difference to {baseline.name} in {what.label}\n95 % bootstrap interval, {len(frame.query_ids)} queries\n"
            f"filled: p < {DEFAULT.alpha:g}, paired t-test, Holm over {len(data)}"
        )
        axes.set_title(f"{what.protocol}, depth {what.depth}")
        grid(axes, "x")

    name = file_name("forest", what.protocol, what.measure)
    header = ("system", f"difference_to_{baseline.name}", "low_95", "high_95", "p_holm")
    return Plot(name, header, data, (1.6 * COLUMN, 1.1 + 0.2 * len(data)), draw)
