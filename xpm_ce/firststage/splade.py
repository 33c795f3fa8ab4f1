"""SPLADE as a first stage: an encoder that turns a text into weighted vocabulary entries, the index of a collection and
the retrieval with it. The computation is in `encoding.py` and `splade_jobs.py`.

This module does not know judgements, nor who re-ranks the run.
"""

from pathlib import Path
from typing import Optional

from experimaestro import Config, Constant, Meta, Param, PathGenerator, field

from xpm_ce.data.need import Need, Standing
from xpm_ce.data.parts import Queries
from xpm_ce.data.runs import Run
from xpm_ce.data.store import DocumentStore
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.jobs import Job, ResumableJob
from xpm_ce.libraries import loading
from xpm_ce.scorers.backbones import Backbone, FolderBackbone, PublishedBackbone

PUBLISHED = "naver/splade-v3-distilbert"
"""The published weights, on the Hugging Face hub (arXiv 2403.06789)"""
GIVE_BACKBONE = (
    f"Give backbone: {{type: hub, id: {PUBLISHED}, revision: <the 40 hexadecimal digits under `Files, History` of "
    f"https://huggingface.co/{PUBLISHED}>}}, or {{type: local, path: FOLDER}}; for protocols it is "
    "evaluation.splade_backbone."
)


class SpladeEncoder(Config):
    """A masked language model that weighs the entries of its vocabulary for a text.

    The weight of an entry is the maximum over the text's tokens of log(1 + max(0, logit)) (SPLADE-max, arXiv
    2109.10086); padding is left out, special tokens are not. Queries and documents are read alike.
    """

    __xpmid__ = "xpm_ce.firststage.splade_encoder"
    version: Constant[int] = 1
    """Version of how weights are computed"""

    backbone: Param[Optional[Backbone]] = field(default=None)
    """A transformers folder with the head of a masked language model; by default the published weights of
    naver/splade-v3-distilbert, of which no commit is on record"""

    max_length: Param[int] = field(default=256)
    """Tokens of a text, special tokens included; what follows is cut (256 is that of the published model)"""

    precision: Param[str] = field(default="fp32")
    """Precision of the forward pass: fp32, tf32 or bf16; weights are fp32 in any case"""

    @property
    def obstacle(self) -> str | None:
        """What keeps it from being loaded here, and what to do about it; None where nothing is known to."""
        return f"no commit of {PUBLISHED} is on record. {GIVE_BACKBONE}" if self.backbone is None else None

    @property
    def need(self) -> Need | None:
        """The published weights; None where a backbone says what it needs itself."""
        if self.backbone is not None:
            return None
        return Need(PUBLISHED, "weights", "a commit", Standing.ABSENT, GIVE_BACKBONE, downloadable=False)

    def obtain(self) -> str:
        """Nothing can be had without a commit: DataError."""
        raise DataError(f"no commit of {PUBLISHED} is on record", remedy=GIVE_BACKBONE)

    def __validate__(self) -> None:
        if self.max_length < 3:
            raise ConfigurationError(f"max_length of {self.max_length} leaves no room for a word", remedy="Give 256.")
        if self.precision not in ("fp32", "tf32", "bf16"):
            raise ConfigurationError(f"precision {self.precision!r} is none of SPLADE's", remedy="fp32, tf32 or bf16.")
        if self.backbone is not None and not isinstance(self.backbone, (FolderBackbone, PublishedBackbone)):
            raise ConfigurationError(
                "backbone is no folder with the head of a masked language model", remedy="Give hub, local or package."
            )

    def resolve(self) -> Path:
        """The folder of weights and tokenizer; one of our errors where it cannot be had."""
        if not isinstance(self.backbone, FolderBackbone):
            raise DataError("the weights of SPLADE cannot be had", remedy=self.obstacle or GIVE_BACKBONE)
        return self.backbone.resolve()


class SpladePostings(Config):
    """An index that a `SpladeIndex` job has built."""

    __xpmid__ = "xpm_ce.firststage.splade_postings"

    store: Param[DocumentStore]
    """The documents; rows of the index are its rows"""

    encoder: Param[SpladeEncoder]
    """What weighed them, and weighs queries"""

    path: Meta[Path]
    """Folder of the index"""


class SpladeIndex(ResumableJob):
    """Encode and index the documents of a store; interrupted, it goes on from its last checkpoint.

    Weights are stored as 32-bit floats, without quantisation.
    """

    __xpmid__ = "xpm_ce.firststage.splade_index"
    version: Constant[int] = 1
    """Version of what the index holds"""

    store: Param[DocumentStore]
    """The documents to index"""

    encoder: Param[SpladeEncoder]
    """What weighs them"""

    device: Meta[str] = field(default="cpu")
    """Where documents are encoded: cpu, cuda, cuda:1"""

    index: Meta[Path] = field(default_factory=PathGenerator("index"))
    """The index, in impact-index's format"""

    counts: Meta[Path] = field(default_factory=PathGenerator("counts.json"))
    """Documents, weighed entries, documents without any, documents that were cut"""

    def compute(self) -> None:
        with loading():
            from xpm_ce.firststage.splade_jobs import index
        from xpm_ce.progress import job_progress

        index(self, progress=job_progress())

    def task_outputs(self, dep):
        return dep(SpladePostings.C(store=self.store, encoder=self.encoder, path=self.index))


class SpladeRetrieve(Job):
    """Retrieve the best `depth` documents of each query by the dot product of their SPLADE weights.

    Documents without an entry of the query are not retrieved. Equal scores at the cut are all looked at, and stand by
    document id. Queries without any hit are absent from the run, and counted.
    """

    __xpmid__ = "xpm_ce.firststage.splade_retrieve"
    version: Constant[int] = 1
    """Version of how the ranking is made"""

    index: Param[SpladePostings]
    """The index to search"""

    queries: Param[Queries]
    """The queries"""

    depth: Param[int] = field(default=1000)
    """Documents per query, at most"""

    ignore_identical_ids: Param[bool] = field(default=False)
    """Leave out a document whose id is the query's (BEIR's rule, which ArguAna and Quora need)"""

    device: Meta[str] = field(default="cpu")
    """Where documents and queries are encoded: cpu, cuda, cuda:1"""

    ranking: Meta[Path] = field(default_factory=PathGenerator("run.gz"))
    """The run (TREC format, strictly decreasing scores)"""

    counts: Meta[Path] = field(default_factory=PathGenerator("counts.json"))
    """Queries, those without a hit or below the depth, documents retrieved, ties"""

    def __validate__(self) -> None:
        if self.depth < 1:
            raise ConfigurationError(f"a depth of {self.depth} retrieves nothing", remedy="Give 1 or more.")

    def compute(self) -> None:
        with loading():
            from xpm_ce.firststage.splade_jobs import retrieve

        retrieve(self)

    def task_outputs(self, dep):
        return dep(Run.C(path=self.ranking))
