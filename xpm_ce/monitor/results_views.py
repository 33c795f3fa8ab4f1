"""The views of results: heat map, curves, table, systems, queries, one query, ledgers. Numbers come from `analysis`.

This module does not know how they are sent, nor drawn.
"""

import dataclasses
import glob
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.monitor.inside import Inside
from xpm_ce.monitor.observed import ObservedFolder
from xpm_ce.monitor.readings import Readings
from xpm_ce.monitor.state import ExperimentState, NotThereError
from xpm_ce.workspace import FIRST_STAGE, TRAINED, read_json

if TYPE_CHECKING:
    from xpm_ce.analysis.cells import Cell
    from xpm_ce.analysis.plots.points import Shown
    from xpm_ce.analysis.results import ResultRow, Results
    from xpm_ce.analysis.systems import MeasuredSystem
    from xpm_ce.analysis.tables import Table
    from xpm_ce.analysis.top_documents import ScoredDocument

DOCUMENTS, MOST_DOCUMENTS = 10, 100
"""Of a ranking, shown by default and at most"""
TEXT = 600
"""Characters of a document that are shown"""
SECTIONS = {
    "seen": ("steps", "queries", "documents", "tokens", "epochs", "training_queries", "skipped_queries",
             "queries_per_step", "documents_per_step", "last_loss"),
    "cut": ("pairs_truncated", "truncation_rate", "queries_truncated", "query_truncation_rate", "documents_truncated",
            "document_truncation_rate", "max_length", "max_query_length"),
    "model": ("parameters", "initial_head", "new_weights", "seeds", "checkpoint"),
    "data": ("negatives", "teacher"),
    "cost": ("seconds", "examples_per_second", "gflops", "matmul_peak_gflops", "share_of_peak", "peak_memory_mib",
             "squared_tokens", "rectangle_tokens", "padded_tokens", "padding_avoided", "recomputed_tokens"),
    "machine": ("device", "precision", "precision_used", "threads", "processes", "tokens_per_batch", "environment",
                "executions", "resumptions", "continued_from"),
}  # fmt: skip
"""Where the fields of a ledger stand; those of a later version under other"""


class Asked:
    """The question behind an address, word by word; ConfigurationError for a number that is none."""

    def __init__(self, words: Sequence[tuple[str, str]]):
        self._words = [(name, value) for name, value in words if value]

    def one(self, name: str, default: str = "") -> str:
        """The last value of a word."""
        return next((value for each, value in reversed(self._words) if each == name), default)

    def many(self, name: str) -> tuple[str, ...]:
        """All values of a word that may be repeated."""
        return tuple(value for each, value in self._words if each == name)

    def list(self, name: str) -> tuple[str, ...]:
        """The values of a word, separated by commas or repeated."""
        return tuple(part.strip() for value in self.many(name) for part in value.split(",") if part.strip())

    def number(self, name: str, default: int, *, most: int) -> int:
        """A whole number from 0 to `most`."""
        text = self.one(name)
        if not text:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= most):
            raise ConfigurationError(f"{name}={text[:40]} is not a number from 0 to {most}", where=name)
        return int(text)

    def share(self, name: str, default: float) -> float:
        """A number from 0 to 1."""
        text = self.one(name)
        try:
            value = float(text) if text else default
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise ConfigurationError(f"{name}={text[:40]} is not a number from 0 to 1", where=name)
        return value


class ResultsViews:
    """The views of one workspace."""

    def __init__(self, readings: Readings, inside: Inside):
        self.readings, self.inside = readings, inside

    # -- tables -----------------------------------------------------------------------------------------------

    def table(self, state: ExperimentState, asked: Asked) -> dict[str, Any]:
        """What `xpm-ce table --format json` prints, and each table's cells as they are printed, with marks."""
        from xpm_ce.analysis.table_request import TableRequest
        from xpm_ce.analysis.tables_formats import described

        results = self.readings.results(state)
        request = TableRequest(
            measures=asked.many("measure"),
            depths=tuple(_depth(each) for each in asked.many("depth")),
            protocols=asked.many("protocol"),
            rows=asked.list("rows"),
            columns=asked.list("cols"),
            aggregate=asked.one("agg"),
            baselines=asked.many("baseline"),
            test=_one_of(asked.one("test"), ("t", "randomisation", "none"), "test") or None,
            correction=_one_of(asked.one("correction"), ("holm", "bonferroni", "bh"), "correction") or "holm",
            alpha=asked.share("alpha", 0.05),
        )
        tables = request.tables(results)
        return {
            **described(tables, results), "shown": [_shown(table) for table in tables],
            "options": _options(results),
        }  # fmt: skip

    def heat_map(self, state: ExperimentState, asked: Asked) -> dict[str, Any]:
        """A cell per row and column for one protocol and measure, those that are not measured yet included."""
        from xpm_ce.analysis.layouts import Layout
        from xpm_ce.analysis.tables import make_tables
        from xpm_ce.measures.names import parse

        results = self.readings.results(state)
        options = _options(results)
        protocol = asked.one("protocol") or next(iter(options["protocols"]), "")
        measure = asked.one("measure")
        rows = asked.list("rows") or tuple(filter(None, [results.layout["rows"]]))
        columns = asked.list("cols") or tuple(filter(None, [results.layout["columns"]]))
        tables = make_tables(
            results,
            measures=[str(parse(measure))] if measure else (),
            depths=tuple(_depth(each) for each in asked.many("depth")),
            protocols=[glob.escape(protocol)] if protocol else (),
            layout=Layout.of(results, rows=rows, columns=columns),
            empty=True,
        )
        found: dict[str, Any] = {
            **options, "protocol": protocol, "row_axes": list(rows), "column_axes": list(columns), "measure": measure,
            "depth": None, "title": "", "rows": [], "cols": [], "cells": [], "first_stage": None, "first_stages": [],
        }  # fmt: skip
        if not tables:
            return found
        table = tables[0]
        trained = [text for text, row in table.rows.items() if row.system == TRAINED]
        texts = list(table.column_keys)
        stages = [
            {"name": text, "value": cell.mean}
            for text, row in table.rows.items()
            if row.system == FIRST_STAGE and row.competes
            for cell in list(table.cells[text].values())[:1]
            if cell.values
        ]
        return {
            **found, "measure": table.measure, "depth": table.depth, "title": table.title, "rows": trained,
            "cols": texts, "cells": [[_heat(table.cells[row].get(column)) for column in texts] for row in trained],
            "first_stage": stages[0]["value"] if stages else None, "first_stages": stages,
        }  # fmt: skip

    # -- curves -----------------------------------------------------------------------------------------------

    def curves(self, state: ExperimentState, asked: Asked) -> dict[str, Any]:
        """Loss and validation of learners against documents seen, and of seeds together, as a band."""
        from xpm_ce.analysis.curves import learner_courses, over_seeds

        results = self.readings.results(state)
        wanted = set(asked.list("id")) - {"all"}
        for identity in wanted:
            state.job(identity)
        found = learner_courses(results, read=self.readings.course)
        found = [each for each in found if not wanted or each.job in wanted]
        return {
            "learners": [
                {
                    "id": each.job, "coordinates": dict(each.coordinates), "state": state.job(each.job).state,
                    "row": each.row, "column": each.column,
                    "documents": [point.documents for point in each.course.loss],
                    "loss": [point.value for point in each.course.loss],
                    "validation": [point._asdict() for point in each.course.validation],
                    "measure": each.course.measure, "kept": self._kept_steps(state.job(each.job).path),
                }
                for each in found
                if each.job in state.jobs
            ],
            "groups": [
                {
                    "row": each.row, "column": each.column, "quantity": each.quantity, "seeds": each.seeds,
                    "documents": list(each.documents), "mean": list(each.mean), "low": list(each.low),
                    "high": list(each.high),
                }
                for each in over_seeds(found)
            ],
        }  # fmt: skip

    def _kept_steps(self, folder: Path) -> dict[str, int] | None:
        kept = self._file(folder, "kept.json")
        if not isinstance(kept, Mapping):
            return None
        return {rule: each["step"] for rule, each in kept.items() if isinstance(each, Mapping) and "step" in each}

    def _file(self, folder: Path, name: str) -> Any:
        """A JSON file of a job; None where there is none, or it is not to be read."""
        if not self.inside.holds(folder) or name not in ObservedFolder(folder).entries:
            return None
        try:
            return read_json(folder / name)
        except DataError:
            return None

    # -- queries ----------------------------------------------------------------------------------------------

    def systems(self, state: ExperimentState, asked: Asked) -> dict[str, Any]:
        """What can be compared query by query."""
        results = self.readings.results(state)
        return {
            **_options(results),
            "systems": [
                {
                    "key": key, "text": each.title, "system": each.system, "coordinates": each.coordinates,
                    "seeds": list(each.seeds), "protocols": list(dict.fromkeys(row.protocol for row in each.rows)),
                }
                for key, each in self.readings.systems(state).items()
            ],
        }  # fmt: skip

    def queries(self, state: ExperimentState, asked: Asked) -> dict[str, Any]:
        """Every query with what two systems reach on it, where B wins most first, and the test of the difference."""
        from xpm_ce.analysis.comparison import compare_systems
        from xpm_ce.analysis.query_differences import query_differences

        results = self.readings.results(state)
        a, b, what = self._compared(state, results, asked)
        key = ("queries", state.experiment, a.name, b.name, what)

        def made() -> dict[str, Any]:
            found = query_differences(results, what, a, b)
            comparison = compare_systems(
                results, a, b, measures=(what.measure,), depths=(what.depth,), protocols=(glob.escape(what.protocol),)
            )
            (line,) = comparison.lines
            notes = dataclasses.replace(comparison, largest=()).notes()
            texts = self._texts(results, a.results_at(what.protocol, what.depth, what.measure)[0])
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

        found = self.readings.kept(key, state.finished, made)
        order = _one_of(asked.one("sort"), ("wins", "losses", "id", "text", "a", "b"), "sort") or "wins"
        return {**found, "sort": order, "queries": _sorted(found["queries"], order)}

    def query(self, state: ExperimentState, asked: Asked) -> dict[str, Any]:
        """One query with the rankings of two systems, texts, judged grades and ranks in the first stage."""
        results = self.readings.results(state)
        a, b, what = self._compared(state, results, asked)
        query = asked.one("query")
        count = asked.number("documents", DOCUMENTS, most=MOST_DOCUMENTS)
        rows = [each.results_at(what.protocol, what.depth, what.measure)[0] for each in (a, b)]
        known = results.query_values(rows[0]).query_ids
        if query not in known:
            raise NotThereError(f"no such query in {what.protocol}", where=state.experiment)
        full = [self._ranking(results, row, query) for row in rows]
        before = [self._first_stage_ranks(results, row, query) for row in rows]
        grades = self.readings.qrels(Path(results.jobs[rows[0].job]["folder"])).get(query, {})
        shown = [ranking[:count] for ranking in full]
        texts = self._document_texts(results, rows[0], {document for each in shown for document, _ in each})
        others = [{document: rank for rank, (document, _) in enumerate(each, 1)} for each in reversed(full)]
        return {
            "id": query, "text": self._texts(results, rows[0]).get(query, ""), **_at(what),
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
        self, state: ExperimentState, results: "Results", asked: Asked
    ) -> "tuple[MeasuredSystem, MeasuredSystem, Shown]":
        from xpm_ce.analysis.plots.points import shown
        from xpm_ce.measures.names import parse

        systems = self.readings.systems(state)
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

    def _texts(self, results: "Results", row: "ResultRow") -> dict[str, str]:
        """Texts of the queries behind a result, from the job that ranked for it."""
        folder = _maker(results, row)
        return self.readings.queries(folder) if folder is not None else {}

    def _ranking(self, results: "Results", row: "ResultRow", query: str) -> "list[ScoredDocument]":
        from xpm_ce.analysis.top_documents import run_file

        file = run_file(results, row)
        return self.readings.ranking(file, query) if file is not None else []

    def _first_stage_ranks(self, results: "Results", row: "ResultRow", query: str) -> dict[str, int]:
        """Ranks of documents in the run that was re-ranked, none for a first stage itself."""
        from xpm_ce.analysis.top_documents import RUN_FILE

        above = [results.jobs[each] for each in results.jobs[row.job]["depends_on"] if each in results.jobs]
        first = next((each for each in above if each["kind"] == "retrieve"), None)
        if first is None or row.system == FIRST_STAGE:
            return {}
        found = self.readings.ranking(Path(first["folder"]) / RUN_FILE, query)
        return {each.document: rank for rank, each in enumerate(found, 1)}

    def _document_texts(self, results: "Results", row: "ResultRow", wanted: set[str]) -> dict[str, str]:
        above = [results.jobs[each] for each in results.jobs[row.job]["depends_on"] if each in results.jobs]
        store = next((each for each in above if each["kind"] == "store"), None)
        documents = self.readings.documents(Path(store["folder"])) if store is not None else None
        if documents is None or not wanted:
            return {}
        order = sorted(wanted)
        return {
            document: documents.text(at)
            for document, at in zip(order, documents.known_rows(order).tolist(), strict=True)
            if at >= 0
        }

    # -- learners ---------------------------------------------------------------------------------------------

    def ledger(self, state: ExperimentState, asked: Asked) -> dict[str, Any]:
        """What a learner has seen, used and cost, by section; what it was told before it has ended."""
        job = state.job(asked.one("id"))
        ledger = self._file(job.path, "ledger.json")
        fields = ledger if isinstance(ledger, Mapping) else {}
        placed = {name: section for section, names in SECTIONS.items() for name in names}
        sections: dict[str, list[dict[str, Any]]] = {section: [] for section in (*SECTIONS, "other")}
        for name, value in fields.items():
            if name != "schema":
                sections[placed.get(name, "other")].append({"field": name, "value": value})
        return {
            "id": job.id, "coordinates": job.plan["coordinates"], "state": job.state,
            "there": bool(fields),
            "sections": [{"section": name, "fields": found} for name, found in sections.items() if found],
            "kept": self._kept_steps(job.path),
        }  # fmt: skip

    def fair(self, state: ExperimentState, asked: Asked) -> dict[str, Any]:
        """What two learners differ in: under study, beside it, and in cost."""
        from xpm_ce.analysis.fair import compare_fairly

        a, b = (state.job(asked.one(side)) for side in ("a", "b"))
        for job in (a, b):
            if not job.exists:
                raise ConfigurationError(f"{job.id[:12]} was never started", where=state.experiment)
            self.inside.folder(job.path)
        try:
            found = compare_fairly(self.readings.workspace, a.id, b.id)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"files of these learners are not what is read here ({error!r})", where=state.experiment
            ) from error
        described = found.as_json()
        differences = [
            {"field": each["field"], "a": each["a"], "b": each["b"], "relative": each["relative"],
             "follows": each["follows"], "under_study": part == "under_study", "cost": part == "cost"}
            for part in ("under_study", "beside", "cost")
            for each in described[part]
        ]  # fmt: skip
        return {**described, "differences": differences}


def _options(results: "Results") -> dict[str, Any]:
    """What can be asked for."""
    axes = results.layout.get("axes") or {}
    over = results.layout["over"]
    named = [results.layout[each] for each in ("rows", "columns") if results.layout[each]]
    return {
        "experiment": results.experiment, "protocols": list(results.layout["protocols"]),
        "measures": list(results.layout["measures"]), "depths": list(results.layout["depths"]),
        "axes": [axis for axis in dict.fromkeys([*axes, *named]) if axis != over], "over": over,
    }  # fmt: skip


def _at(what: "Shown") -> dict[str, Any]:
    return {"protocol": what.protocol, "measure": what.measure, "depth": what.depth}


def _heat(cell: "Cell | None") -> dict[str, Any] | None:
    """A cell of the heat map; None where nothing is planned."""
    if cell is None:
        return None
    return {
        "value": cell.mean if cell.values else None, "std": cell.std, "seeds": list(cell.seeds),
        "expected": len(cell.values) + len(cell.absent_jobs), "done": len(cell.values),
        "jobs": [*cell.jobs, *cell.absent_jobs], "text": cell.printed,
    }  # fmt: skip


def _shown(table: "Table") -> dict[str, Any]:
    """A table as it is printed."""
    best = {column: table.best(column) for column in table.column_keys}

    def mark(row: str, column: str) -> str | None:
        first, second = best[column]
        return "best" if row in first else "second" if row in second else None

    return {
        "title": table.title, "notes": table.notes(), "row_axes": list(table.row_axes),
        "columns": [
            {"text": text, "heading": ", ".join(table.heading(label) for label in key.labels), "mean": key.is_mean}
            for text, key in table.column_keys.items()
        ],
        "rows": [
            {
                "text": text, "labels": list(row.labels), "system": row.system, "competes": row.competes,
                "letter": table.tests.letter_of(text) if table.tests else "",
                "cells": [
                    {"text": table.text_of(text, column), "mark": mark(text, column) if row.competes else None,
                     "significance": table.tests.marks(text, column) if table.tests else "",
                     "jobs": list(cell.jobs) if (cell := table.cells[text].get(column)) else []}
                    for column in table.column_keys
                ],
            }
            for text, row in table.rows.items()
        ],
    }  # fmt: skip


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


def _depth(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 8):
        raise ConfigurationError(f"{text[:40]} is no depth", where="depth")
    return int(text)


def _one_of(text: str, known: Sequence[str], name: str) -> str:
    if text and text not in known:
        raise ConfigurationError(f"{name}={text[:40]} is none of {', '.join(known)}", where=name)
    return text
