"""The first documents that two runs give for some queries, each with its rank in the other run.

This module does not know judgements nor texts.
"""

import dataclasses
import gzip
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from xpm_ce.analysis.results import ResultRow, Results
from xpm_ce.errors import DataError
from xpm_ce.workspace import read_json

RUN_FILE = "run.gz"
MAKERS = ("rerank", "retrieve")
"""Kinds of jobs that leave a run"""


@dataclasses.dataclass(frozen=True)
class TopDocument:
    """A document by its id, and the rank that the other run gives it; None where it is not there."""

    document: str
    other_rank: int | None

    def __str__(self) -> str:
        return f"{self.document} ({'–' if self.other_rank is None else self.other_rank})"


def run_file(results: Results, row: ResultRow) -> Path | None:
    """The run that a result was measured on; None where it is not told, or not kept."""
    path = _told(results, row)
    return path if path is not None and path.exists() else None


def _told(results: Results, row: ResultRow) -> Path | None:
    own = results.jobs[row.job]
    for identity in own["depends_on"]:
        job = results.jobs.get(identity)
        if job is not None and job["kind"] == MAKERS[0]:
            return Path(job["folder"]) / RUN_FILE
    written = read_json(Path(own["folder"]) / "params.json")
    objects = {each["id"]: each for each in (written or {"objects": []})["objects"]}
    fields = [each.get("fields", {}) for each in objects.values()]
    of_runs = [objects[each["run"]["value"]] for each in fields if isinstance(each.get("run"), dict)]
    for maker in of_runs:
        path = maker.get("fields", {}).get("path")
        if isinstance(path, dict) and Path(str(path["value"])).is_absolute():
            return Path(path["value"])
    retrieved = [job for each in own["depends_on"] if (job := results.jobs.get(each)) and job["kind"] == MAKERS[1]]
    return Path(retrieved[0]["folder"]) / RUN_FILE if retrieved else None


class ScoredDocument(NamedTuple):
    """A document of a ranking."""

    document: str
    score: float


def rankings(path: Path, query_ids: Collection[str]) -> dict[str, list[str]]:
    """The documents of some queries of a TREC run, in trec_eval's order: by score, then by descending id.

    DataError where the file cannot be read.
    """
    found = scored_rankings(path, query_ids)
    return {query: [each.document for each in ranking] for query, ranking in found.items()}


def scored_rankings(path: Path, query_ids: Collection[str]) -> dict[str, list[ScoredDocument]]:
    """The same with the scores of the file."""
    wanted = {query.encode() for query in query_ids}
    beginnings = tuple(wanted)
    found: dict[str, list[tuple[float, str]]] = {query: [] for query in query_ids}
    try:
        with gzip.open(path) if path.name.endswith(".gz") else open(path, "rb") as lines:
            for line in lines:
                if line.startswith(beginnings) and line.split(None, 1)[0] in wanted:
                    query, _, document, _, score, *_ = line.decode().split()
                    found[query].append((float(score), document))
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise DataError(
            f"this run cannot be read ({error})", where=str(path), remedy="Run its experiment again."
        ) from error
    return {
        query: [ScoredDocument(document, score) for score, document in sorted(rows, reverse=True)]
        for query, rows in found.items()
    }


def beside(ours: list[str], theirs: list[str], count: int) -> list[TopDocument]:
    """The first documents of one ranking with their ranks in the other."""
    ranks = {document: rank for rank, document in enumerate(theirs, 1)}
    return [TopDocument(document, ranks.get(document)) for document in ours[:count]]
