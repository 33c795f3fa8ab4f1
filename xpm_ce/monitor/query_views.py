"""The views of queries: what can be compared, every query of two systems, one query with its rankings and texts.

Numbers come from `analysis`. This module does not know how they are sent, nor drawn.
"""

import dataclasses
import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpm_ce.monitor.asked import Asked
from xpm_ce.monitor.readings import Readings
from xpm_ce.monitor.state import ExperimentState, NotThereError
from xpm_ce.monitor.table_views import options
from xpm_ce.workspace import FIRST_STAGE

if TYPE_CHECKING:
    from xpm_ce.analysis.plots.points import Shown
    from xpm_ce.analysis.results import ResultRow, Results
    from xpm_ce.analysis.systems import MeasuredSystem
    from xpm_ce.analysis.top_documents import ScoredDocument

DOCUMENTS, MOST_DOCUMENTS = 10, 100
"""Of a ranking, shown by default and at most"""
TEXT = 600
"""Characters of a document that are shown"""


def systems(readings: Readings, state: ExperimentState, asked: Asked) -> dict[str, Any]:
    """What can be compared query by query."""
    results = readings.results(state)
    return {
        **options(results),
        "systems": [
            {
                "key": key, "text": each.title, "system": each.system, "coordinates": each.coordinates,
                "seeds": list(each.seeds), "protocols": list(dict.fromkeys(row.protocol for row in each.rows)),
            }
            for key, each in readings.systems(state).items()
        ],
    }  # fmt: skip


def queries(readings: Readings, state: ExperimentState, asked: Asked) -> dict[str, Any]:
    """Every query with what two systems reach on it, where B wins most first, and the test of the difference."""
    from xpm_ce.analysis.comparison import compare_systems
    from xpm_ce.analysis.query_differences import query_differences

    results = readings.results(state)
    a, b, what = _compared(readings, state, results, asked)
    key = ("queries", state.experiment, a.name, b.name, what)

    def made() -> dict[str, Any]:
        found = query_differences(results, what, a, b)
        comparison = compare_systems(
            results, a, b, measures=(what.measure,), depths=(what.depth,), protocols=(glob.escape(what.protocol),)
        )
        (line,) = comparison.lines
        notes = dataclasses.replace(comparison, largest=()).notes()
        texts = _texts(readings, results, a.results_at(what.protocol, what.depth, what.measure)[0])
        return {
            "a": a.name, "b": b.name, **_at(what), "mean_a": found.mean_a, "mean_b": found.mean_b,
            "wins": found.wins, "ties": found.ties, "losses": found.losses, "test": line.as_json(),
            "notes": notes,
            "queries": [
                {"id": each.query, "text": texts.get(each.query, ""), "a": each.a, "b": each.b,
                 "difference": each.difference}
                for each in found.queries
            ],
        }  # fmt: skip

    found = readings.kept(key, state.finished, made)
    order = asked.one_of("sort", ("wins", "losses", "id", "text", "a", "b")) or "wins"
    return {**found, "sort": order, "queries": _sorted(found["queries"], order)}


def query(readings: Readings, state: ExperimentState, asked: Asked) -> dict[str, Any]:
    """One query with the rankings of two systems, texts, judged grades and ranks in the first stage."""
    results = readings.results(state)
    a, b, what = _compared(readings, state, results, asked)
    query = asked.one("query")
    count = asked.number("documents", DOCUMENTS, most=MOST_DOCUMENTS)
    rows = [each.results_at(what.protocol, what.depth, what.measure)[0] for each in (a, b)]
    known = results.query_values(rows[0]).query_ids
    if query not in known:
        raise NotThereError(f"no such query in {what.protocol}", where=state.experiment)
    full = [_ranking(readings, results, row, query) for row in rows]
    before = [_first_stage_ranks(readings, results, row, query) for row in rows]
    grades = readings.qrels(Path(results.jobs[rows[0].job]["folder"])).get(query, {})
    shown = [ranking[:count] for ranking in full]
    texts = _document_texts(readings, results, rows[0], {document for each in shown for document, _ in each})
    others = [{document: rank for rank, (document, _) in enumerate(each, 1)} for each in reversed(full)]
    return {
        "id": query, "text": _texts(readings, results, rows[0]).get(query, ""), **_at(what),
        "judged": sum(grade > 0 for grade in grades.values()), "depth_of_rankings": [len(each) for each in full],
        "rankings": [
            {
                "key": system.name, "seed": row.coordinates.get(results.layout["over"] or "", ""),
                "documents": [
                    {"rank": rank, "id": document, "score": score, "grade": grades.get(document), "title": "",
                     "text": texts.get(document, "")[:TEXT], "first_stage_rank": ranks.get(document),
                     "other_rank": other.get(document)}
                    for rank, (document, score) in enumerate(ranking, 1)
                ],
            }
            for system, row, ranking, ranks, other in zip((a, b), rows, shown, before, others, strict=True)
        ],
    }  # fmt: skip


def _compared(
    readings: Readings, state: ExperimentState, results: "Results", asked: Asked
) -> "tuple[MeasuredSystem, MeasuredSystem, Shown]":
    from xpm_ce.analysis.plots.points import shown
    from xpm_ce.measures.names import parse

    systems = readings.systems(state)
    found = []
    for side in ("a", "b"):
        if asked.one(side) not in systems:
            raise NotThereError(
                f"{side} is no measured system", where=results.experiment, remedy="/api/systems lists their keys."
            )
        found.append(systems[asked.one(side)])
    measure = asked.one("measure")
    depth = asked.number("depth", 0, most=10**6)
    shared = [
        what
        for what in shown(
            results, protocol=asked.one("protocol"), measure=str(parse(measure)) if measure else "", depth=depth
        )
        if all(each.results_at(what.protocol, what.depth, what.measure) for each in found)
    ]
    if not shared:
        raise NotThereError("these systems were not measured together there", where=results.experiment)
    return found[0], found[1], shared[0]


def _texts(readings: Readings, results: "Results", row: "ResultRow") -> dict[str, str]:
    """Texts of the queries behind a result, from the job that ranked for it."""
    folder = _maker(results, row)
    return readings.queries(folder) if folder is not None else {}


def _ranking(readings: Readings, results: "Results", row: "ResultRow", query: str) -> "list[ScoredDocument]":
    from xpm_ce.analysis.top_documents import run_file

    file = run_file(results, row)
    return readings.ranking(file, query) if file is not None else []


def _first_stage_ranks(readings: Readings, results: "Results", row: "ResultRow", query: str) -> dict[str, int]:
    """Ranks of documents in the run that was re-ranked, none for a first stage itself."""
    from xpm_ce.analysis.top_documents import RUN_FILE

    above = [results.jobs[each] for each in results.jobs[row.job]["depends_on"] if each in results.jobs]
    first = next((each for each in above if each["kind"] == "retrieve"), None)
    if first is None or row.system == FIRST_STAGE:
        return {}
    found = readings.ranking(Path(first["folder"]) / RUN_FILE, query)
    return {each.document: rank for rank, each in enumerate(found, 1)}


def _document_texts(readings: Readings, results: "Results", row: "ResultRow", wanted: set[str]) -> dict[str, str]:
    above = [results.jobs[each] for each in results.jobs[row.job]["depends_on"] if each in results.jobs]
    store = next((each for each in above if each["kind"] == "store"), None)
    documents = readings.documents(Path(store["folder"])) if store is not None else None
    if documents is None or not wanted:
        return {}
    order = sorted(wanted)
    return {
        document: documents.text(at)
        for document, at in zip(order, documents.known_rows(order).tolist(), strict=True)
        if at >= 0
    }


def _at(what: "Shown") -> dict[str, Any]:
    return {"protocol": what.protocol, "measure": what.measure, "depth": what.depth}


def _sorted(queries: list[dict[str, Any]], order: str) -> list[dict[str, Any]]:
    if order == "wins":
        return queries
    if order == "losses":
        return queries[::-1]
    return sorted(queries, key=lambda each: each[order])


def _maker(results: "Results", row: "ResultRow") -> Path | None:
    """Folder of the job that ranked for a result."""
    above = [results.jobs[each] for each in results.jobs[row.job]["depends_on"] if each in results.jobs]
    for kind in ("rerank", "retrieve"):
        for job in above:
            if job["kind"] == kind:
                return Path(job["folder"])
    return None
