"""The ledger of a training: what it has seen, how it was computed and what it cost.

This module does not compute anything of it.
"""

import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch

from xpm_ce import atomic
from xpm_ce.identity import file_sha256
from xpm_ce.jobs import environment
from xpm_ce.learn.counts import Counts
from xpm_ce.scorers.transformer import TransformerScorer
from xpm_ce.workspace import read_json

SCHEMA = 1


def note_execution(file: Path, *, from_step: int) -> list[dict[str, Any]]:
    """Add this execution to the list of those of this job, and give the list."""
    executions = [
        *(read_json(file) or []),
        {"started": time.time(), "from_step": from_step, "threads": torch.get_num_threads()},
    ]
    atomic.write_json(file, executions)
    return executions


def write_ledger(
    file: Path,
    *,
    counts: Counts,
    scorer: TransformerScorer,
    executions: list[dict[str, Any]],
    precision: str,
    device: torch.device,
    last_loss: float,
    epochs: float,
    training_queries: int,
    skipped_queries: int,
    checkpoint: Path,
) -> None:
    """Write the ledger; it names the files of the checkpoint by content, so that both are known to belong together."""
    record = {
        "schema": SCHEMA,
        **counts._asdict(),
        "queries_per_step": counts.queries / counts.steps,
        "documents_per_step": counts.documents / counts.steps,
        "truncation_rate": counts.pairs_truncated / counts.documents,
        "epochs": epochs,
        "training_queries": training_queries,
        "skipped_queries": skipped_queries,
        "last_loss": last_loss,
        "max_length": scorer.limits.max_length,
        "max_query_length": scorer.limits.max_query_length,
        "parameters": sum(each.numel() for each in scorer.parameters()),
        "initial_head": "new" if scorer.head_is_new else "loaded",
        "new_weights": len(scorer.new_weights),
        "precision": precision,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "peak_memory_mib": _peak_memory_mib(),
        "executions": executions,
        "resumptions": len(executions) - 1,
        "environment": environment(),
        "checkpoint": contents(checkpoint),
    }
    atomic.write_json(file, record)


def finished(file: Path, checkpoint: Path) -> bool:
    """Whether a ledger and the checkpoint that it names are both there and belong together."""
    record = read_json(file)
    return record is not None and checkpoint.is_dir() and record.get("checkpoint") == contents(checkpoint)


def contents(folder: Path) -> dict[str, str]:
    """sha256 of each file of a folder, by name."""
    return {file.name: file_sha256(file) for file in sorted(folder.iterdir())}


def _peak_memory_mib() -> int:
    """Most memory that this process ever had, in MiB; the system counts in KiB, but on a Mac in bytes."""
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit
