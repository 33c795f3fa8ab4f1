"""One long table of an experiment's results, read from its plan and its `Measure` jobs' files.

This module does not know how a result was computed; what is not there yet is listed as missing, never guessed.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpm_ce.measures.table import Column, read_per_query
from xpm_ce.workspace import JobFolder, Workspace, read_json

if TYPE_CHECKING:
    from xpm_ce.analysis.statistics.frames import QueryValues

SUMMARY, PER_QUERY, LEDGER = "summary.json", "per_query.parquet", "ledger.json"
MEASURE, LEARN = "measure", "learn"
"""Kinds of jobs in plan.json"""


@dataclasses.dataclass(frozen=True)
class ResultRow:
    """The mean of one measure for one system; `order` is given, ceiling (best order of its documents) or random."""

    system: str
    protocol: str
    coordinates: dict[str, str]
    order: str
    depth: int
    measure: str
    queries: int
    mean: float
    job: str


@dataclasses.dataclass(frozen=True)
class Results:
    """The results of an experiment that are there, and the planned ones that are not."""

    experiment: str
    layout: dict[str, Any]
    rows: list[ResultRow]
    missing: list[dict[str, Any]]
    jobs: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    """Every job of the plan, by identity"""
    folders: dict[str, Path] = dataclasses.field(default_factory=dict)
    """Where the results that are there lie, by the identity of their `Measure` job"""
    without_result: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    """Queries that a run did not answer and that count as 0, by the identity of its `Measure` job, where there are"""

    def query_values(self, row: ResultRow) -> "QueryValues":
        """The value of each query behind a mean; DataError where the file is not there or is damaged."""
        from xpm_ce.analysis.statistics.frames import QueryValues

        table = read_per_query(self.folders[row.job] / PER_QUERY, [Column(row.measure, row.depth, row.order)])
        return QueryValues(table.query_ids, table.values[:, 0])

    def place(self, coordinates: Mapping[str, str]) -> dict[str, str]:
        """A place in the grid without the averaged axis: systems that differ in their seed alone share it."""
        return {axis: value for axis, value in coordinates.items() if axis != self.layout["over"]}

    def learner(self, job: str) -> JobFolder | None:
        """The job that trained what a result is of, not those that it took in; None where nothing was trained."""
        found = next((each for each in self.behind(job) if each["kind"] == LEARN), None)
        return JobFolder(Path(found["folder"])) if found is not None else None

    def behind(self, job: str) -> Iterator[dict[str, Any]]:
        """A job of the plan and those whose outputs it takes in, nearest first, each once."""
        waiting, seen = [job], set[str]()
        while waiting:
            identity = waiting.pop(0)
            if identity not in seen and identity in self.jobs:
                seen.add(identity)
                yield self.jobs[identity]
                waiting += self.jobs[identity]["depends_on"]


def read_results(workspace: Workspace, experiment: str) -> Results:
    """Read the results of an experiment's last plan."""
    plan = workspace.read_plan(experiment)
    jobs = {job["id"]: {**job, "folder": str(workspace.job(job["task"], job["id"]).path)} for job in plan["jobs"]}
    found = Results(experiment, plan["table"], [], [], jobs)
    for result in plan["results"]:
        job = jobs[result["job"]]
        folder = workspace.job(job["task"], job["id"])
        summary = read_json(folder.path / SUMMARY) if folder.marked_done else None
        if summary is None:
            found.missing.append(result)
            continue
        found.folders[job["id"]] = folder.path
        if summary["queries_without_result"]:
            found.without_result[job["id"]] = summary["queries_without_result"]
        found.rows.extend(
            ResultRow(
                result["system"], result["protocol"], result["coordinates"], mean["order"], mean["depth"],
                mean["measure"], summary["queries"], mean["mean"], result["job"],
            )
            for mean in summary["means"]
        )  # fmt: skip
    return found
