"""The ledger of a training: what it has seen, how it was computed and what it cost.

This module does not compute anything of it. A ledger.json, schema 2, holds:

    seen        steps, queries, documents, tokens, epochs, training_queries, skipped_queries
    per step    queries_per_step, documents_per_step: means of what was really in the steps
    packing     rectangle_tokens, padded_tokens, recomputed_tokens, padding_avoided (share of the rectangles)
    reading     max_length, max_query_length; pairs_, queries_, documents_truncated and the same as .._truncation_rate
    negatives   task that made the training set, with its parameters
    teacher     what the loss learns from beside labels: a run, a model; null where it learns from labels alone
    seeds       each seed by its place in the learner
    computing   precision, precision_used, device, threads, processes, tokens_per_batch, environment
    cost        seconds (of steps), examples_per_second (documents), peak_memory_mib,
                gflops (of the matrix products of the real tokens, a second), matmul_peak_gflops, share_of_peak
    course      last_loss, executions, resumptions, continued_from (step and identity of a shorter training, or null)
    model       parameters, initial_head, new_weights, checkpoint (sha256 by file)
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from xpm_ce import atomic
from xpm_ce.data.supervision import TEACHER_ORDER, TEACHER_SCORES
from xpm_ce.engine.memory import peak_memory_mib
from xpm_ce.engine.peak import FORWARD_AND_BACKWARD, MatrixProducts, matmul_peak
from xpm_ce.engine.precision import BF16, FP32, TF32
from xpm_ce.identity import file_sha256
from xpm_ce.jobs import environment
from xpm_ce.learn.counts import Counts
from xpm_ce.parameters import Given, read_parameters
from xpm_ce.scorers.transformer import TransformerScorer
from xpm_ce.workspace import read_json

if TYPE_CHECKING:
    from xpm_ce.learn.learner import Learner

SCHEMA = 2
SECONDS_FOR_PEAK = 0.5
"""A share of a training's time that nobody minds, and enough for the best of several products"""
TEXTS = ("tokens", "queries")
"""Fields of a learner that say which texts there are, not who chose among them"""


def note_execution(file: Path, *, from_step: int) -> list[dict[str, Any]]:
    """Add this execution to the list of those of this job, and give the list."""
    executions = [
        *(read_json(file) or []),
        {"started": time.time(), "from_step": from_step, "threads": torch.get_num_threads()},
    ]
    atomic.write_json(file, executions)
    return executions


def write_ledger(
    task: "Learner",
    *,
    counts: Counts,
    scorer: TransformerScorer,
    device: torch.device,
    executions: list[dict[str, Any]],
    last_loss: float,
    epochs: float,
    training_queries: int,
    skipped_queries: int,
    checkpoint: Path,
    processes: int = 1,
    continued_from: dict[str, Any] | None = None,
) -> None:
    """Write the ledger; it names the files of the checkpoint by content, so that both are known to belong together.

    To be called within `computing`, where the machine's peak is measured. `counts` are over all processes.
    """
    record = {
        "schema": SCHEMA,
        **counts._asdict(),
        **_rates(counts),
        "epochs": epochs,
        "training_queries": training_queries,
        "skipped_queries": skipped_queries,
        "last_loss": last_loss,
        "max_length": scorer.limits.max_length,
        "max_query_length": scorer.limits.max_query_length,
        **_sources(task),
        "parameters": sum(each.numel() for each in scorer.parameters()),
        "initial_head": "new" if scorer.head_is_new else "loaded",
        "new_weights": len(scorer.new_weights),
        "precision": task.precision,
        "precision_used": _precision_used(scorer.computed),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "processes": processes,
        "tokens_per_batch": task.tokens_per_batch,
        "peak_memory_mib": peak_memory_mib(),
        **_speed(counts, scorer, task.precision, device, processes),
        "executions": executions,
        "resumptions": len(executions) - 1,
        "continued_from": continued_from,
        "environment": environment(),
        "checkpoint": contents(checkpoint),
    }
    atomic.write_json(task.ledger, record)


def finished(file: Path, checkpoint: Path) -> bool:
    """Whether a ledger and the checkpoint that it names are both there and belong together."""
    record = read_json(file)
    return record is not None and checkpoint.is_dir() and record.get("checkpoint") == contents(checkpoint)


def contents(folder: Path) -> dict[str, str]:
    """sha256 of each file of a folder, by name."""
    return {file.name: file_sha256(file) for file in sorted(folder.iterdir())}


def _rates(counts: Counts) -> dict[str, float]:
    """What the counts are per step, per pair and per token."""
    return {
        "queries_per_step": counts.queries / counts.steps,
        "documents_per_step": counts.documents / counts.steps,
        "padding_avoided": 1 - counts.padded_tokens / counts.rectangle_tokens,
        "truncation_rate": counts.pairs_truncated / counts.documents,
        "query_truncation_rate": counts.queries_truncated / counts.documents,
        "document_truncation_rate": counts.documents_truncated / counts.documents,
    }


def _speed(
    counts: Counts, scorer: TransformerScorer, precision: str, device: torch.device, processes: int
) -> dict[str, float]:
    """Documents a second, and what share of the best that the machine can do its matrix products were."""
    products = MatrixProducts.of(scorer.model, head=scorer.family.head)
    flops = FORWARD_AND_BACKWARD * products.flops(tokens=counts.tokens, squared_tokens=counts.squared_tokens)
    peak = matmul_peak(precision, device, products, seconds=SECONDS_FOR_PEAK)
    return {
        "examples_per_second": counts.documents / counts.seconds,
        "gflops": flops / counts.seconds / 1e9,
        "matmul_peak_gflops": peak / 1e9,
        "share_of_peak": flops / counts.seconds / (peak * processes),
    }


def _sources(task: "Learner") -> dict[str, Any]:
    """Who chose the documents, who taught, and what was drawn by chance, from the job's own parameters.

    Outside of a job only the learner's seed is known.
    """
    given = read_parameters(task.listing.parent)
    if given is None:
        return {"negatives": None, "teacher": None, "seeds": {"seed": task.seed}}
    # What made the training set looks at the same documents and queries; they are told once, by the configuration.
    texts = tuple(given.fields[name] for name in TEXTS)
    texts += tuple(each for each in texts[0].fields.values() if isinstance(each, Given))
    training_set: Given = given.fields["training_set"]
    runs = [training_set.fields[name] for name in ("teacher", "run") if training_set.fields.get(name) is not None]
    taught = (task.loss.NEEDS | task.sampler.NEEDS) & {TEACHER_SCORES, TEACHER_ORDER}
    # A set brings its teacher's scores with it, or is made of the run that teaches, or of a teacher's judgements.
    teacher: Given = [*runs, training_set][0]
    own = {name: value for name, value in given.fields.items() if name not in (*TEXTS, "training_set")}
    return {
        "negatives": training_set.described(without=(*texts, *runs[:-1])),
        "teacher": teacher.described(without=texts) if taught else None,
        "seeds": dict(_seeds(own, "")),
    }


def _seeds(fields: dict[str, Any], prefix: str) -> list[tuple[str, int]]:
    """Seeds below a configuration, by dotted path, but for those of other tasks."""
    found = []
    for name, value in fields.items():
        if isinstance(value, Given) and not value.task:
            found += _seeds(value.fields, f"{prefix}{name}.")
        elif name == "seed" or name.endswith("_seed"):
            found.append((f"{prefix}{name}", value))
    return found


def _precision_used(seen: torch.dtype | None) -> str | None:
    """The precision in which the network was seen to compute; None where nothing was seen."""
    if seen == torch.float32:
        return FP32 if torch.get_float32_matmul_precision() == "highest" else TF32
    return BF16 if seen == torch.bfloat16 else None if seen is None else str(seen)
