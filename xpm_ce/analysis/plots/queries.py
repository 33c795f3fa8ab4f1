"""Per-query differences of two systems, sorted: who wins where, and by how much.

Seeds are averaged per query first. This module does not know what the queries ask.
"""

from typing import Any

from xpm_ce.analysis.plots.figure import COLUMN, Plot, file_name, grid
from xpm_ce.analysis.plots.points import Shown
from xpm_ce.analysis.query_differences import query_differences
from xpm_ce.analysis.results import Results
from xpm_ce.analysis.systems import MeasuredSystem


def per_query_differences(results: Results, what: Shown, a: MeasuredSystem, b: MeasuredSystem) -> Plot:
    """A bar per query, B minus A; ConfigurationError where one of them has no result there."""
    found = query_differences(results, what, a, b)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        heights = [100 * each.difference for each in found.queries]
        places = range(len(heights))
        for_b, for_a = f"{b.name} better: {found.wins} queries", f"{a.name} better: {found.losses} queries"
        kinds = (
            ([height if height > 0 else 0 for height in heights], "#0072B2", for_b),
            ([height if height < 0 else 0 for height in heights], "#E69F00", for_a),
        )  # dark and light, above and below: told apart without colour
        for bars, colour, label in kinds:
            axes.bar(places, bars, width=1.0, color=colour, linewidth=0, label=label)
        axes.axhline(0, color="black", linewidth=0.6)
        mean = 100 * found.mean_difference
        axes.axhline(mean, color="black", linewidth=0.9, linestyle="--", label=f"mean difference: {mean:+.1f}")
        axes.set_xlabel(f"{len(heights)} queries, sorted; {found.ties} without a difference")
        axes.set_ylabel(f"difference in {what.label}")
        axes.set_title(f"{what.protocol}, depth {what.depth}")
        axes.set_xlim(-0.5, len(heights) - 0.5)
        axes.set_xticks([])
        grid(axes)
        axes.legend(loc="upper right")

    name = file_name("queries", what.protocol, what.measure, a.name, "vs", b.name)
    header = ("query_id", a.name, b.name, "difference")
    return Plot(name, header, found.queries, (1.3 * COLUMN, 2.6), draw)
