"""Effectiveness against the number of parameters: a line per loss, a point per backbone, seeds as error bars.

This module does not know how many parameters a backbone has: learners wrote that in their ledgers.
"""

import statistics

from xpm_ce.analysis.plots.cost import against_cost
from xpm_ce.analysis.plots.figure import Plot, shown_count
from xpm_ce.analysis.plots.points import Point, Shown, trained
from xpm_ce.analysis.results import LEDGER, Results
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
    learners = [folder for each in point.results if (folder := results.learner(each.job)) is not None]
    ledgers = [read_json(folder.path / LEDGER) or {} for folder in learners]
    counts = [ledger["parameters"] for ledger in ledgers if "parameters" in ledger]
    return statistics.fmean(counts) if counts else None
