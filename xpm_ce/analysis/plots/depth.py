"""Effectiveness against depth: how many of the first stage's documents are re-ranked, beside what recall allows.

This module does not know who ranked.
"""

from typing import Any

from xpm_ce.analysis.plots.figure import COLUMN, Plot, file_name, grid, looks
from xpm_ce.analysis.plots.points import Shown, first_stages, in_order, trained
from xpm_ce.analysis.results import Results
from xpm_ce.errors import ConfigurationError


def against_depth(results: Results, what: Shown) -> Plot:
    """A line per trained system and first stage, over the depths measured.

    ConfigurationError where only one depth was measured.
    """
    wanted = (what.protocol, what.measure)
    depths = sorted({row.depth for row in results.rows if (row.protocol, row.measure) == wanted})
    if len(depths) < 2:
        raise ConfigurationError(
            f"{what.measure} on {what.protocol} was measured at one depth only",
            where=results.experiment,
            remedy="Add depths below evaluation.depths: smaller ones are cut, nothing is scored again.",
        )
    lines: dict[tuple[str, str], dict[int, tuple[float, float]]] = {}
    stages: dict[str, dict[int, float]] = {}
    for depth in depths:
        at = Shown(what.protocol, what.measure, depth)
        for name, value in first_stages(results, at).items():
            stages.setdefault(name, {})[depth] = value
        for point in trained(results, at):
            lines.setdefault((point.row, point.column), {})[depth] = (point.mean, point.std)
    rows = in_order((row for row, _ in lines), results.layout["row_labels"]) or [""]
    columns = in_order((column for _, column in lines), results.layout["column_labels"])
    data = (
        *((name, "", depth, value, "") for name, values in stages.items() for depth, value in values.items()),
        *((*where, depth, *values) for where, found in lines.items() for depth, values in found.items()),
    )

    def draw(figure: Any) -> None:
        across = min(len(rows), 3)
        panels = figure.subplots(-(-len(rows) // across), across, squeeze=False, sharex=True, sharey=True)
        look = looks(columns)
        for axes, row in zip(panels.flat, rows, strict=False):
            for number, (name, values) in enumerate(stages.items()):
                dashes = ((0, (1, 1)), (0, (4, 1)))[number % 2]
                scaled = [100 * value for value in values.values()]
                axes.plot(list(values), scaled, color="#7F7F7F", linestyle=dashes, linewidth=1.6, label=name)
            for column in columns:
                found = lines.get((row, column), {})
                scaled = [100 * mean for mean, _ in found.values()]
                axes.plot(list(found), scaled, label=column or row, **look[column].line)
            axes.set_xscale("log")
            axes.set_xticks(depths, [str(depth) for depth in depths])
            axes.minorticks_off()
            axes.set_title(row)
            grid(axes)
        for axes in list(panels.flat)[len(rows) :]:
            axes.set_visible(False)
        handles, labels = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4))
        for axes in panels[-1]:
            axes.set_xlabel("documents re-ranked (log scale)")
        for axes in panels[:, 0]:
            axes.set_ylabel(what.label)
        figure.suptitle(what.protocol, fontsize=8)

    down = -(-len(rows) // 3)
    size = (max(COLUMN, 0.6 + 2.1 * min(len(rows), 3)), 1.0 + 1.7 * down + 0.05 * (len(columns) + len(stages)))
    header = ("row", "column", "depth", "mean", "std_over_seeds")
    return Plot(file_name("depth", what.protocol, what.measure), header, data, size, draw)
