"""Two systems query by query: what each reaches, and which of them wins where. Seeds are averaged per query first.

This module does not know what the queries ask, nor how they are shown.
"""

import dataclasses
from typing import NamedTuple

from xpm_ce.analysis.plots.points import Shown
from xpm_ce.analysis.results import Results
from xpm_ce.analysis.statistics.paired import outcomes
from xpm_ce.analysis.systems import MeasuredSystem, side_by_side_at
from xpm_ce.errors import ConfigurationError


class QueryPair(NamedTuple):
    """One query."""

    query: str
    a: float
    b: float
    difference: float
    """B minus A"""


@dataclasses.dataclass(frozen=True)
class QueryDifferences:
    """The queries of a set, those on which B wins most first."""

    queries: tuple[QueryPair, ...]
    wins: int
    """Of B"""
    ties: int
    losses: int
    mean_a: float
    mean_b: float
    mean_difference: float


def query_differences(results: Results, what: Shown, a: MeasuredSystem, b: MeasuredSystem) -> QueryDifferences:
    """The differences by one measure on one protocol; ConfigurationError where one of them has no result there."""
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
    pairs = tuple(
        QueryPair(
            frame.query_ids[query], float(frame.values[query, 0]), float(frame.values[query, 1]),
            float(differences[query]),
        )
        for query in order
    )  # fmt: skip
    means = frame.values.mean(axis=0)
    return QueryDifferences(
        pairs, int(won.wins[0]), int(won.ties[0]), int(won.losses[0]), float(means[0]), float(means[1]),
        float(differences.mean()),
    )  # fmt: skip
