"""One long table of an experiment's results, read from its plan and its `Measure` jobs' files.

This module does not know how a result was computed; what is not there yet is listed as missing, never guessed.
"""

import dataclasses
from typing import Any

from xpm_ce.workspace import Workspace, read_json


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


def read_results(workspace: Workspace, experiment: str) -> Results:
    """Read the results of an experiment's last plan."""
    plan = workspace.read_plan(experiment)
    folders = {job["id"]: workspace.job(job["task"], job["id"]) for job in plan["jobs"] if job["kind"] == "measure"}
    rows, missing = [], []
    for result in plan["results"]:
        folder = folders[result["job"]]
        summary = read_json(folder.path / "summary.json") if folder.marked_done else None
        if summary is None:
            missing.append(result)
            continue
        rows += [
            ResultRow(
                result["system"], result["protocol"], result["coordinates"], mean["order"], mean["depth"],
                mean["measure"], summary["queries"], mean["mean"], result["job"],
            )
            for mean in summary["means"]
        ]  # fmt: skip
    return Results(experiment, plan["table"], rows, missing)
