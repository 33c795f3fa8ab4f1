"""The task that scores: a model, a first-stage run and a depth give a run. It does not know any judgement."""

from pathlib import Path
from typing import Optional

from experimaestro import Constant, Meta, Param, PathGenerator, field

from xpm_ce.data.parts import Queries
from xpm_ce.data.runs import Run
from xpm_ce.data.store import DocumentStore
from xpm_ce.errors import ConfigurationError
from xpm_ce.jobs import ResumableJob
from xpm_ce.libraries import loading
from xpm_ce.scorers.models import Model
from xpm_ce.tokens.store import TokenStore


class Rerank(ResumableJob):
    """Re-rank the first `depth` documents of each query: the set of documents stays, their order changes.

    Scores are kept shard by shard, so that a killed job goes on from the shards that it has finished, with equal
    results.
    """

    __xpmid__ = "xpm_ce.evaluate.rerank"
    version: Constant[int] = 1

    model: Param[Model]
    """What scores: a checkpoint, an untrained scorer, or an existing model"""

    run: Param[Run]
    """The first stage's run"""

    queries: Param[Queries]
    """Texts of the run's queries"""

    store: Param[DocumentStore]
    """The collection, which knows documents by their ids"""

    tokens: Param[Optional[TokenStore]] = field(default=None)
    """The same documents as the model's tokenizer reads them; absent for a model that reads texts by itself"""

    depth: Param[int]
    """Documents per query that are scored, counted from the first stage's first"""

    precision: Param[str] = field(default="fp32")
    """Precision of the forward pass; scores are fp32 in any case"""

    device: Meta[str] = field(default="cpu")
    """Where the forward pass runs: cpu, cuda, cuda:1"""

    tokens_per_batch: Meta[int] = field(default=4096)
    """Tokens of a batch; bounds the memory"""

    finished: Meta[Optional[Path]] = field(default=None)
    """Folder of a finished job of the same model and first stage at another depth: its scores are taken over"""

    protocol: Meta[str] = field(default="")
    """Label of the evaluation set, for the run's sidecar"""

    goal: Meta[str] = field(default="")
    """What the run is made for, in words, for its sidecar"""

    ranking: Meta[Path] = field(default_factory=PathGenerator("run.gz"))
    """The re-ranked run (TREC format, strictly decreasing scores); run.ir-metadata.yaml beside it says what made it"""

    scores: Meta[Path] = field(default_factory=PathGenerator("scores.npy"))
    """The scores as computed, float32, in the order of the first stage's run, at most `depth` a query"""

    counts: Meta[Path] = field(default_factory=PathGenerator("counts.json"))
    """Depth, pairs scored (of them by executions before an interruption) and taken over, queries, truncations, ties,
    seconds"""

    def __validate__(self) -> None:
        if self.depth < 1:
            raise ConfigurationError(f"a depth must be at least 1, not {self.depth}")

    def compute(self) -> None:
        with loading():
            from xpm_ce.evaluate.reranking import rerank
        from xpm_ce.progress import job_progress

        rerank(self, progress=job_progress())

    def task_outputs(self, dep):
        return dep(Run.C(path=self.ranking))
