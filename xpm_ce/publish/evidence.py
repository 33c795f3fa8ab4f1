"""What the results of a workspace say of one checkpoint: a row for each protocol, depth and measure.

This module does not know how results are shown, and computes none.
"""

import dataclasses
import statistics

from xpm_ce.analysis.results import MEASURE, ResultRow, Results, read_results
from xpm_ce.analysis.statistics.intervals import bootstrap
from xpm_ce.publish.pairs import rescored
from xpm_ce.publish.source import Source
from xpm_ce.workspace import FIRST_STAGE, TRAINED


@dataclasses.dataclass(frozen=True)
class EvaluationRow:
    """One mean of one measure, with all that it depends on."""

    experiment: str
    protocol: str
    first_stage: str
    depth: int
    measure: str
    queries: int
    mean: float
    first_stage_mean: float | None
    """The same measure of the first stage's own order; None where that was not measured"""

    seeds: tuple[float, ...]
    """The means of all learners that differ from this one in their seed alone, this one's included"""

    interval: tuple[float, float] | None = None
    """95 % interval of the mean over queries, by the bootstrap; None where it was not computed"""

    @property
    def over_seeds(self) -> tuple[float, float] | None:
        """Mean and sample standard deviation over seeds; None for one seed."""
        return (statistics.fmean(self.seeds), statistics.stdev(self.seeds)) if len(self.seeds) > 1 else None


def evaluation(source: Source) -> list[EvaluationRow]:
    """Every result of a checkpoint in its workspace, of the plans that hold it; none for a mere folder."""
    if source.workspace is None:
        return []
    rows: dict[tuple[str, str, int, str], EvaluationRow] = {}
    by_experiment: dict[str, set[str]] = {}
    for each in rescored(source):
        by_experiment.setdefault(each.experiment, set()).add(each.job.identity)
    for experiment, reranked in by_experiment.items():
        plan = source.workspace.read_plan(experiment)
        measured = {
            job["id"] for job in plan["jobs"] if job["kind"] == MEASURE and reranked.intersection(job["depends_on"])
        }
        results = read_results(source.workspace, experiment)
        for row in results.rows:
            if row.job in measured and row.system == TRAINED and row.order == "given":
                key = (experiment, row.protocol, row.depth, row.measure)
                rows.setdefault(key, _row(experiment, row, results))
    return list(rows.values())


def _row(experiment: str, row: ResultRow, results: Results) -> EvaluationRow:
    alike = [
        other
        for other in results.rows
        if (other.protocol, other.depth, other.measure, other.order)
        == (row.protocol, row.depth, row.measure, row.order)
    ]
    first = next((each for each in alike if each.system == FIRST_STAGE and _within(each, row)), None)
    interval = bootstrap(results.query_values(row).values)
    here = results.place(row.coordinates)
    siblings = [each for each in alike if each.system == TRAINED and results.place(each.coordinates) == here]
    return EvaluationRow(
        experiment,
        row.protocol,
        first.coordinates.get(FIRST_STAGE, FIRST_STAGE) if first else FIRST_STAGE,
        row.depth,
        row.measure,
        row.queries,
        row.mean,
        first.mean if first else None,
        tuple(each.mean for each in siblings),
        (interval.low, interval.high),
    )


def _within(first: ResultRow, row: ResultRow) -> bool:
    """Whether a first stage stands at the place of a result, on the axes that it has."""
    return all(row.coordinates.get(axis) == value for axis, value in first.coordinates.items() if axis != FIRST_STAGE)
