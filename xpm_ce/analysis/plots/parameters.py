"""Effectiveness against the number of parameters: a line per loss, a point per backbone, seeds as error bars.

This module does not know how many parameters a backbone has: learners wrote that in their ledgers.
"""

import statistics
from pathlib import Path

from xpm_ce.analysis.plots.cost import against_cost
from xpm_ce.analysis.plots.figure import Plot, shown_count
from xpm_ce.analysis.plots.points import Point, Shown, trained
from xpm_ce.analysis.results import Results
from xpm_ce.errors import ConfigurationError
from xpm_ce.workspace import read_json


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
    return against_cost(results, what, known, name="parameters", label="parameters", written=shown_count)


def _parameters(results: Results, point: Point) -> float | None:
    """Mean over the learners behind a point, which seeds do not change; None where there is none."""
    counts = []
    for each in point.results:
        learners = (job for job in results.behind(each.job) if job["kind"] == "learn")
        for job in learners:
            ledger = read_json(Path(job["folder"]) / "ledger.json") or {}
            counts += [ledger["parameters"]] if "parameters" in ledger else []
            break
    return statistics.fmean(counts) if counts else None
