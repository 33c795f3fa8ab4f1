"""A study's result files without the study: plan.json, summaries and values per query, drawn by a seeded generator.

Values are correlated by query, as those of re-rankers are: some queries are hard for all. They come from raw PCG64
integers and have four decimals, so that equal arguments give equal values everywhere. This module does not know what is
done with the files.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xpm_ce import atomic
from xpm_ce.measures.table import Column, PerQueryTable, write_per_query
from xpm_ce.workspace import FIRST_STAGE, TRAINED, UNTRAINED, Workspace

LOSSES = {"BCE": -0.05, "Hinge": -0.02, "InfoNCE": 0.02, "MarginMSE": 0.01, "DistillRankNET": 0.0, "ADR-MSE": 0.0}
BACKBONES = {
    "Ettin-17M": -0.08, "Ettin-32M": -0.05, "MiniLM-L12": 0.0, "Ettin-68M": -0.01, "BERT": 0.0, "ELECTRA": 0.02,
    "RoBERTa": 0.01, "Ettin-150M": 0.03, "DeBERTa-v3": 0.02,
}  # fmt: skip
"""Axes of the study of arXiv 2603.03010 and what each point adds to a value"""
BEIR = {
    "ArguAna": 1406, "Climate-FEVER": 1535, "DBPedia": 400, "FEVER": 6666, "FiQA": 648, "HotpotQA": 7405,
    "NFCorpus": 323, "NQ": 3452, "Quora": 10_000, "SCIDOCS": 1000, "SciFact": 300, "TREC-COVID": 50, "Touche-v2": 49,
}  # fmt: skip
LOTTE = {"Writing": 1071, "Recreation": 924, "Science": 617, "Technology": 596, "Lifestyle": 661}
PROTOCOLS = {"MSM": 6980, "DL19": 43, "DL20": 54, **BEIR, **LOTTE, "Robust04": 249}
"""Test sets of that study with their numbers of queries"""
AVERAGES = {"ID": ["MSM", "DL19", "DL20"], "BEIR-13": list(BEIR), "LoTTE": list(LOTTE)}
MEASURES = ("nDCG@10", "RR@10", "Success@5")


class Shape(NamedTuple):
    """How large a study is."""

    losses: Mapping[str, float] = LOSSES
    backbones: Mapping[str, float] = BACKBONES
    seeds: int = 3
    protocols: Mapping[str, int] = PROTOCOLS
    averages: Mapping[str, Sequence[str]] = AVERAGES
    depth: int = 1000


SMALL = Shape(
    losses={name: LOSSES[name] for name in ("BCE", "InfoNCE")},
    backbones={name: BACKBONES[name] for name in ("BERT", "ELECTRA")},
    seeds=2,
    protocols={name: PROTOCOLS[name] for name in ("DL19", "DL20", "SciFact")},
    averages={"DL": ["DL19", "DL20"]},
)


def write_study(workspace: Workspace, experiment: str, shape: Shape, *, seed: int = 0, absent: int = 0) -> None:
    """Write the plan and the results of a study into a workspace; the last `absent` results are planned only."""
    jobs: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    to_write: list[tuple[str, str, float, int, bool]] = []

    def job(kind: str, task: str, coordinates: dict[str, str], depends_on: list[str]) -> str:
        text = f"{experiment} {kind} {sorted(coordinates.items())} {depends_on}"
        identity = hashlib.sha256(text.encode()).hexdigest()
        folder = str(workspace.job(task, identity).path)
        jobs.append(
            {"kind": kind, "task": task, "id": identity, "folder": folder, "state": "reuse", "coordinates": coordinates,
             "depends_on": depends_on, "reason": {"kind": "done", "values": []}}
        )  # fmt: skip
        return identity

    def measured(system: str, coordinates: dict[str, str], protocol: str, run: list[str], effect: float) -> None:
        where = {**coordinates, "set": protocol, "system": system}
        identity = job("measure", "xpm_ce.evaluate.measure", where, run)
        results.append({"job": identity, "system": system, "protocol": protocol, "coordinates": coordinates})
        to_write.append((identity, protocol, effect, int(coordinates.get("seed", 0)), system == FIRST_STAGE))

    retrieved = {each: job("retrieve", "xpm_ce.firststage.retrieve", {"set": each}, []) for each in shape.protocols}
    for protocol, run in retrieved.items():
        measured(FIRST_STAGE, {FIRST_STAGE: "BM25"}, protocol, [run], -0.15)
    for backbone, gain in shape.backbones.items():
        for loss, more in shape.losses.items():
            for number in range(1, shape.seeds + 1):
                coordinates = {"backbone": backbone, "loss": loss, "seed": str(number)}
                learner = job("learn", "xpm_ce.learn.learner", coordinates, [])
                for protocol, run in retrieved.items():
                    where = {**coordinates, "set": protocol}
                    rerank = job("rerank", "xpm_ce.evaluate.rerank", where, [learner, run])
                    measured(TRAINED, coordinates, protocol, [rerank, run], gain + more)
        scorer = {"backbone": backbone}
        for protocol, run in list(retrieved.items())[:1]:
            rerank = job("rerank", "xpm_ce.evaluate.rerank", {**scorer, "set": protocol}, [run])
            measured(UNTRAINED, scorer, protocol, [rerank, run], -0.4)
    queries = {name: _Queries(name, count, seed) for name, count in shape.protocols.items()}
    for identity, protocol, effect, number, bounds in to_write[: len(to_write) - absent]:
        folder = workspace.job("xpm_ce.evaluate.measure", identity).path
        _write_results(
            folder, identity, queries[protocol], effect=effect, seed=number, depth=shape.depth, bounds=bounds
        )
    _write_plan(workspace, experiment, shape, jobs, results)


class _Queries:
    """The queries of a protocol: ids, and how easy each one is."""

    def __init__(self, protocol: str, count: int, seed: int):
        self.protocol = protocol
        self.ids = [f"{protocol.casefold()}-{number:06d}" for number in range(count)]
        self.easiness = 0.55 * (_uniform(f"{seed} {protocol}", count) - 0.5)

    def values(self, text: str, effect: float) -> np.ndarray:
        """nDCG, RR and success of one run, [queries, 3]: from one level per query, a third of them at 0 or 1."""
        noise = _uniform(f"{self.protocol} {text}", len(self.ids)) - 0.5
        level = np.clip(0.5 + self.easiness + effect + 0.4 * noise, 0, 1)
        return np.stack([level.round(4), (1 / np.maximum(1, (11 - 10 * level).round())).round(4), level > 0.4], axis=1)


def _uniform(text: str, count: int) -> np.ndarray:
    """Numbers in [0, 1) that a text stands for."""
    key = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return (np.random.PCG64(key).random_raw(count) >> np.uint64(11)) / float(1 << 53)


def _write_results(
    folder: Path, identity: str, queries: _Queries, *, effect: float, seed: int, depth: int, bounds: bool
) -> None:
    orders = {"given": effect, **({"ceiling": 0.4, "random": -0.45} if bounds else {})}
    columns = [Column(measure, depth, order) for order in orders for measure in MEASURES]
    values = np.hstack([queries.values(f"{identity} {seed} {order}", gain) for order, gain in orders.items()])
    table = PerQueryTable(queries.ids, queries.protocol, identity, columns, values)
    write_per_query(folder / "per_query.parquet", table)
    means = [
        {"order": column.order, "depth": depth, "measure": column.measure, "mean": float(mean)}
        for column, mean in zip(columns, values.mean(axis=0), strict=True)
    ]
    summary = {
        "schema": 1, "queries": len(queries.ids), "queries_without_result": [], "judgements_of_unknown_documents": 0,
        "means": means,
    }  # fmt: skip
    atomic.write_json(folder / "summary.json", summary)
    (folder / "measure.done").touch()


def _write_plan(workspace: Workspace, experiment: str, shape: Shape, jobs: list[Any], results: list[Any]) -> None:
    axes = {
        "backbone": list(shape.backbones), "loss": list(shape.losses),
        "seed": [str(number) for number in range(1, shape.seeds + 1)],
    }  # fmt: skip
    layout = {
        "rows": "loss", "columns": "backbone", "over": "seed", "row_labels": axes["loss"],
        "column_labels": axes["backbone"], "axes": axes, "averages": shape.averages, "protocols": list(shape.protocols),
        "measures": list(MEASURES), "depths": [shape.depth],
    }  # fmt: skip
    plan = {
        "schema": 1,
        "experiment": experiment,
        "title": experiment,
        "table": layout,
        "results": results,
        "jobs": jobs,
    }
    atomic.write_json(workspace.plan_file(experiment), plan)
