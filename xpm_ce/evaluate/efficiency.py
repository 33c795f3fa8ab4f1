"""The task that times: what re-ranking the first documents of a query takes with a model, and where the time goes."""

from pathlib import Path

from experimaestro import Constant, Meta, Param, PathGenerator, field

from xpm_ce.data.parts import Queries
from xpm_ce.data.runs import Run
from xpm_ce.data.store import DocumentStore
from xpm_ce.errors import ConfigurationError
from xpm_ce.jobs import Job
from xpm_ce.libraries import loading
from xpm_ce.scorers.models import Model


class Efficiency(Job):
    """Time the re-ranking of queries one by one, from texts to scores, on pairs of the evaluation itself."""

    __xpmid__ = "xpm_ce.evaluate.efficiency"
    version: Constant[int] = 1

    model: Param[Model]
    """What scores: a checkpoint, an untrained scorer, or an existing model"""

    run: Param[Run]
    """The first stage's run"""

    queries: Param[Queries]
    """Texts of the run's queries"""

    store: Param[DocumentStore]
    """The collection, which knows documents by their ids"""

    depth: Param[int]
    """Documents per query that are scored, counted from the first stage's first"""

    timed_queries: Param[int] = field(default=32)
    """Queries that are timed, spread over the run; all where it has fewer"""

    warmup_queries: Param[int] = field(default=3)
    """Queries that are scored before any is timed"""

    precision: Param[str] = field(default="fp32")
    """Precision of the forward pass"""

    device: Param[str] = field(default="cpu")
    """Where the forward pass runs; it is what is timed, and so part of the identity"""

    tokens_per_batch: Param[int] = field(default=4096)
    """Tokens of a batch; it bounds the memory that is measured"""

    report: Meta[Path] = field(default_factory=PathGenerator("efficiency.json"))
    """Seconds of each part, pairs a second, memory, parameters, machine (schema 1, see `timing.py`)"""

    def __validate__(self) -> None:
        for name in ("depth", "timed_queries"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}", remedy="Give 1 or more.")

    def compute(self) -> None:
        with loading():
            from xpm_ce.evaluate.timing import time_reranking

        time_reranking(self)
