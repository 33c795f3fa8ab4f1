"""The views of learners: curves, the ledger of one, what differs between two. Numbers come from `analysis`.

This module does not know how they are sent, nor drawn.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.monitor.asked import Asked
from xpm_ce.monitor.observed import ObservedFolder
from xpm_ce.monitor.readings import Readings
from xpm_ce.monitor.state import ExperimentState
from xpm_ce.workspace import read_json

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


def curves(readings: Readings, state: ExperimentState, asked: Asked) -> dict[str, Any]:
    """Loss and validation of learners against documents seen, and of seeds together, as a band."""
    from xpm_ce.analysis.curves import learner_courses, over_seeds

    results = readings.results(state)
    wanted = set(asked.list("id")) - {"all"}
    for identity in wanted:
        state.job(identity)
    found = learner_courses(results, read=readings.course)
    found = [each for each in found if not wanted or each.job in wanted]
    return {
        "learners": [
            {
                "id": each.job, "coordinates": dict(each.coordinates), "state": state.job(each.job).state,
                "row": each.row, "column": each.column,
                "documents": [point.documents for point in each.course.loss],
                "loss": [point.value for point in each.course.loss],
                "validation": [point._asdict() for point in each.course.validation],
                "measure": each.course.measure, "kept": _kept_steps(readings, state.job(each.job).path),
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


def ledger(readings: Readings, state: ExperimentState, asked: Asked) -> dict[str, Any]:
    """What a learner has seen, used and cost, by section; what it was told before it has ended."""
    job = state.job(asked.one("id"))
    ledger = _file(readings, job.path, "ledger.json")
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
        "kept": _kept_steps(readings, job.path),
    }  # fmt: skip


def fair(readings: Readings, state: ExperimentState, asked: Asked) -> dict[str, Any]:
    """What two learners differ in: under study, beside it, and in cost."""
    from xpm_ce.analysis.fair import compare_fairly

    a, b = (state.job(asked.one(side)) for side in ("a", "b"))
    for job in (a, b):
        if not job.exists:
            raise ConfigurationError(f"{job.id[:12]} was never started", where=state.experiment)
        readings.inside.folder(job.path)
    try:
        found = compare_fairly(readings.workspace, a.id, b.id)
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


def _kept_steps(readings: Readings, folder: Path) -> dict[str, int] | None:
    kept = _file(readings, folder, "kept.json")
    if not isinstance(kept, Mapping):
        return None
    return {rule: each["step"] for rule, each in kept.items() if isinstance(each, Mapping) and "step" in each}


def _file(readings: Readings, folder: Path, name: str) -> Any:
    """A JSON file of a job; None where there is none, or it is not to be read."""
    if not readings.inside.holds(folder) or name not in ObservedFolder(folder).entries:
        return None
    try:
        return read_json(folder / name)
    except DataError:
        return None
