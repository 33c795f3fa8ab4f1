"""Effectiveness against latency: what a user waits for a query, as the efficiency jobs of a study timed it.

This module does not know how it was timed.
"""

import statistics
from pathlib import Path

from xpm_ce.analysis.plots.across import Cost, against
from xpm_ce.analysis.plots.figure import Plot
from xpm_ce.analysis.plots.points import Point, Shown, trained
from xpm_ce.analysis.results import Results
from xpm_ce.errors import ConfigurationError
from xpm_ce.workspace import read_json

EFFICIENCY = "efficiency"
"""Kind of the jobs that time, in plan.json"""


def against_latency(results: Results, what: Shown) -> Plot:
    """Means over seeds against the median latency of a query; ConfigurationError where nothing was timed."""
    found = [(point, _milliseconds(results, point)) for point in trained(results, what)]
    known = [(point, milliseconds) for point, milliseconds in found if milliseconds is not None]
    if not known:
        raise ConfigurationError(
            "nothing was timed", where=results.experiment, remedy="Ask for it: evaluation.efficiency: true."
        )
    return against(results, what, _cost(results, known[0][0]), known)


def _cost(results: Results, point: Point) -> Cost:
    """The axis, with what its milliseconds are of."""
    depth = next(iter(_reports(results, point)))["depth"]
    label = f"milliseconds for a query of {depth} documents (median, log scale)"
    return Cost("latency", "latency_ms", label, lambda milliseconds: f"{milliseconds:.3g} ms")


def _milliseconds(results: Results, point: Point) -> float | None:
    """Mean over seeds of the median latency; None where none of them was timed."""
    medians = [report["latency_ms"]["total"]["median"] for report in _reports(results, point)]
    return statistics.fmean(medians) if medians else None


def _reports(results: Results, point: Point) -> list[dict]:
    """What the efficiency jobs of a point's results left."""
    places = [{**row.coordinates, "set": row.protocol} for row in point.results]
    timed = [job for job in results.jobs.values() if job["kind"] == EFFICIENCY and job["coordinates"] in places]
    reports = [read_json(Path(job["folder"]) / "efficiency.json") for job in timed]
    return [report for report in reports if report is not None]
