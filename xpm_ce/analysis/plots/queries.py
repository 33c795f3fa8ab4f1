"""Per-query differences of two systems, sorted: who wins where, and by how much.

Seeds are averaged per query first. This module does not know what the queries ask.
"""

from typing import Any

from xpm_ce.analysis.plots.figure import COLUMN, Plot, file_name, grid
from xpm_ce.analysis.plots.points import Shown
from xpm_ce.analysis.results import Results
from xpm_ce.analysis.statistics.paired import outcomes
from xpm_ce.analysis.systems import MeasuredSystem, side_by_side_at
from xpm_ce.errors import ConfigurationError


def per_query_differences(results: Results, what: Shown, a: MeasuredSystem, b: MeasuredSystem) -> Plot:
    """A bar per query, B minus A; ConfigurationError where one of them has no result there."""
    at = (what.protocol, what.depth, what.measure)
    for system in (a, b):
        if not system.results_at(*at):
            raise ConfigurationError(
                f"{system.name} has no {what.measure} on {what.protocol} at depth {what.depth}",
                where=results.experiment,
            )
    frame = side_by_side_at(results, (a, b), at)
    differences = frame.values[:, 1] - frame.values[:, 0]
    order = sorted(range(len(differences)), key=lambda query: (-differences[query], frame.query_ids[query]))
    won = outcomes(differences[:, None])
    wins, ties, losses = (int(each[0]) for each in won)
    data = tuple(
        (
            frame.query_ids[query],
            float(frame.values[query, 0]),
            float(frame.values[query, 1]),
            float(differences[query]),
        )
        for query in order
    )

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        heights = [100 * row[-1] for row in data]
        places = range(len(heights))
        kinds = (
            ([height if height > 0 else 0 for height in heights], "#0072B2", f"{b.name} better: {wins} queries"),
            ([height if height < 0 else 0 for height in heights], "#E69F00", f"{a.name} better: {losses} queries"),
        )  # dark and light, above and below: told apart without colour
        for bars, colour, label in kinds:
            axes.bar(places, bars, width=1.0, color=colour, linewidth=0, label=label)
        axes.axhline(0, color="black", linewidth=0.6)
        mean = 100 * float(differences.mean())
        axes.axhline(mean, color="black", linewidth=0.9, linestyle="--", label=f"mean difference: {mean:+.1f}")
        axes.set_xlabel(f"{len(heights)} queries, sorted; {ties} without a difference")
        axes.set_ylabel(f"difference in {what.label}")
        axes.set_title(f"{what.protocol}, depth {what.depth}")
        axes.set_xlim(-0.5, len(heights) - 0.5)
        axes.set_xticks([])
        grid(axes)
        axes.legend(loc="upper right")

    name = file_name("queries", what.protocol, what.measure, a.name, "vs", b.name)
    header = ("query_id", a.name, b.name, "difference")
    return Plot(name, header, data, (1.3 * COLUMN, 2.6), draw)
