"""An evaluation set that is ready to be re-ranked and measured, whoever described it.

This module does not know how it was prepared, nor what is measured on it.
"""

import dataclasses
from typing import Any

from xpm_ce.data.runs import Run
from xpm_ce.data.store import DocumentStore
from xpm_ce.protocols.registry import Protocol


@dataclasses.dataclass(frozen=True)
class PreparedSet:
    """An evaluation set with its first-stage run, ready to be re-ranked and measured."""

    label: str
    store: DocumentStore
    queries: Any
    qrels: Any
    run: Run
    ignore_identical_ids: bool
    first_stage: str
    """Name of the first stage in tables"""
    depths: tuple[int, ...]
    """Documents per query that are re-ranked; none where only a validation uses it"""
    measures: tuple[str, ...]
    protocol: Protocol | None = None
    """The protocol that it is; None for a set of the study's own"""
