"""Effectiveness against latency: what re-ranking a query's documents takes, from texts to scores.

This module does not know how long anything takes: the jobs that time wrote that in their reports.
"""

import statistics
from pathlib import Path

from xpm_ce.analysis.plots.cost import against_cost
from xpm_ce.analysis.plots.figure import Plot
from xpm_ce.analysis.plots.points import Point, Shown, trained
from xpm_ce.analysis.results import Results
from xpm_ce.errors import ConfigurationError
from xpm_ce.workspace import read_json

REPORT = "efficiency.json"


def against_latency(results: Results, what: Shown) -> Plot:
    """Means over seeds against the median latency of a query; ConfigurationError where nothing was timed."""
    timed = [(point, _reports(results, point)) for point in trained(results, what)]
    known = [
        (point, statistics.fmean(report["latency_ms"]["total"]["median"] for report in reports))
        for point, reports in timed
        if reports
    ]
    if not known:
        raise ConfigurationError(
            f"no system was timed on {what.protocol}",
            where=results.experiment,
            remedy="Add `efficiency: true` to evaluation: nothing is scored again.",
        )
    reports = [report for _, found in timed for report in found]
    depths = sorted({report["depth"] for report in reports})
    devices = sorted({report["computing"]["device"] for report in reports})
    label = f"median latency of a query, {'/'.join(map(str, depths))} documents, {', '.join(devices)}"
    return against_cost(results, what, known, name="latency", label=label, written=_written)


def _written(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"


def _reports(results: Results, point: Point) -> list[dict]:
    """The reports on a point's systems, one per seed as far as they are there."""
    wanted = [{**each.coordinates, "set": each.protocol} for each in point.results]
    found = (
        read_json(Path(job["folder"]) / REPORT)
        for job in results.jobs.values()
        if job["kind"] == "efficiency" and job["coordinates"] in wanted
    )
    return [report for report in found if report is not None]
