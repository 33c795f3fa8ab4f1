"""The sections of an experiment's YAML, and the classes whose own arguments are their keys.

A section whose class is a task or a library class gets its keys, types, defaults and help from that class; the ones
here have no other home. Nothing is declared twice.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from experimaestro import Config, Constant, Meta, Param, field

from xpm_ce.data.collection import Collection
from xpm_ce.data.table import COLLECTIONS
from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.interop.xpmir_model import XPMIR_SCORERS
from xpm_ce.losses.table import LOSSES
from xpm_ce.measures import names
from xpm_ce.scorers.backbones import Backbone
from xpm_ce.scorers.table import BACKBONES, SCORERS

EXPERIMAESTRO_KEYS = (
    "id", "title", "subtitle", "description", "paper", "module", "file", "pythonpath", "imports", "parent",
    "pre_experiment", "add_timestamp", "dirty_git",
)  # fmt: skip
"""Keys that experimaestro itself reads"""


IR_DATASETS, DATAMAESTRO = "ir_datasets", "datamaestro"
LIBRARIES = (IR_DATASETS, DATAMAESTRO)
"""Libraries of data that the sets of protocols can be read from"""


class EvaluationSet(Config):
    """One set of queries that every system is measured on: a protocol, by its name in tables."""

    __xpmid__ = "xpm_ce.graph.evaluation_set"
    version: Constant[int] = 1

    split: Param[str]
    """Split of the collection whose queries are measured"""

    name: Param[Optional[str]] = field(default=None)
    """Name in tables; by default the split's"""

    collection: Param[Optional[Collection]] = field(default=None)
    """Another collection than the experiment's, for transfer"""

    ignore_identical_ids: Param[bool] = field(default=False)
    """Leave out a document whose id is the query's, as BEIR does (ArguAna, Quora)"""

    run: Meta[Optional[Path]] = field(default=None)
    """A TREC run, .gz or not, that is re-ranked instead of what the first stage retrieves"""

    @property
    def label(self) -> str:
        return self.name or self.split


class Evaluation(Config):
    """What is measured, and on what."""

    __xpmid__ = "xpm_ce.graph.evaluation"
    version: Constant[int] = 1

    protocols: Param[Optional[list[str]]] = field(default=None)
    """Names of protocols (docs/protocols.md), or of groups of them: dl19@bm25-1000, beir13@bm25-100. Each says its own
    collection, first stage, depth and measures"""

    library: Param[str] = field(default=IR_DATASETS)
    """Library that the sets of protocols are read from: ir_datasets or datamaestro"""

    splade_backbone: Param[Optional[Backbone]] = field(default=None)
    """Where protocols with SPLADE find its weights, as in learner.scorer.backbone: a hub commit or a local folder"""

    sets: Param[Optional[list[EvaluationSet]]] = field(default=None)
    """Sets of queries of your own, or with other settings than a protocol's; a table each"""

    depths: Param[Optional[list[int]]] = field(default=None)
    """Documents per query of `sets` that are re-ranked; the largest is scored, the others are cut from it"""

    measures: Param[Optional[list[str]]] = field(default=None)
    """Measures of `sets` in the spelling of ir-measures; the first is the one of the summary table"""

    untrained: Param[bool] = field(default=True)
    """Measure every scorer of the grid before training, too"""

    precision: Param[str] = field(default="fp32")
    """Precision of re-ranking"""

    device: Meta[str] = field(default="cpu")
    """Where re-ranking runs: cpu, cuda, cuda:1"""

    tokens_per_batch: Meta[int] = field(default=4096)
    """Tokens of a batch when re-ranking; bounds the memory"""

    efficiency: Meta[bool] = field(default=False)
    """Time each trained or existing model on each set, too: latency by part, pairs a second, memory, parameters"""

    def __validate__(self) -> None:
        if self.sets is None and not self.protocols:
            raise ConfigurationError("nothing is measured", remedy="Give sets, or protocols, or both.")
        for name in ("sets", "depths", "measures"):
            if self.sets is not None and not getattr(self, name):
                raise ConfigurationError(f"{name} is empty", remedy="Give at least one.")
            if self.sets is None and getattr(self, name) is not None:
                raise ConfigurationError(
                    f"{name} is given, but there are no sets",
                    remedy="Remove it: every protocol says its own. Or describe sets.",
                )
        for name in self.measures or ():
            names.parse(name)
        if self.depths and min(self.depths) < 1:
            raise ConfigurationError("depths must be at least 1")
        if self.library not in LIBRARIES:
            raise UnknownKeyError(self.library, LIBRARIES, where="", kind="library of data")


class ModelFolder(Config):
    """An existing model, evaluated without training."""

    __xpmid__ = "xpm_ce.graph.model_folder"
    version: Constant[int] = 1

    name: Param[str]
    """Name in tables"""

    path: Meta[Optional[Path]] = field(default=None)
    """A transformers folder with a sequence-classification head of one output; or give backbone"""

    backbone: Param[Optional[Backbone]] = field(default=None)
    """Where such a model comes from, as in learner.scorer.backbone: a hub or a published one; or give path"""

    max_length: Param[int]
    """Tokens of a pair, special tokens included"""

    max_query_length: Param[Optional[int]] = field(default=None)
    """Tokens of a query; by default no limit of its own"""

    xpmir: Param[Optional[str]] = field(default=None)
    """Scorer of xpmir that reads the folder at path: hf_cross_scorer or st_cross_scorer; by default it is our own"""

    def __validate__(self) -> None:
        if self.xpmir is not None and self.xpmir not in XPMIR_SCORERS:
            raise UnknownKeyError(self.xpmir, XPMIR_SCORERS, where="", kind="scorer of xpmir")
        if self.xpmir is not None and self.path is None:
            raise ConfigurationError(f"model {self.name}: a scorer of xpmir reads a folder", remedy="Give path.")
        if (self.path is None) == (self.backbone is None):
            raise ConfigurationError(
                f"model {self.name} comes from {'nowhere' if self.path is None else 'two places'}",
                remedy="Give path or backbone.",
            )


class RunFile(Config):
    """A run from elsewhere, measured like ours."""

    __xpmid__ = "xpm_ce.graph.run_file"
    version: Constant[int] = 1

    name: Param[str]
    """Name in tables"""

    path: Meta[Path]
    """A TREC run, .gz or not"""

    set: Param[Optional[str]] = field(default=None)
    """Name of the evaluation set whose queries it answers; by default the first"""


class TableLayout(Config):
    """How the summary table is laid out, by names of axes of the grid."""

    __xpmid__ = "xpm_ce.graph.table_layout"
    version: Constant[int] = 1

    rows: Param[Optional[str]] = field(default=None)
    """Axis of the rows; by default the grid's first that is neither columns nor over"""

    columns: Param[Optional[str]] = field(default=None)
    """Axis of the columns; by default the grid's next"""

    over: Param[Optional[str]] = field(default=None)
    """Axis that is averaged; by default the axis named seed"""

    averages: Param[Optional[dict[str, list[str]]]] = field(default=None)
    """Means over evaluation sets, by name; shown beside the sets where these are columns, only when complete"""


class ValidationSplit(Config):
    """A part of the training queries that is kept from training, drawn by hash(seed, query id)."""

    __xpmid__ = "xpm_ce.graph.validation_split"
    version: Constant[int] = 1

    fraction: Param[float]
    """Share of the training queries, between 0 and 1"""

    seed: Param[int] = field(default=0)
    """Another seed draws other queries"""


TABLES: Mapping[type | str, Mapping[str, str]] = {
    Collection: COLLECTIONS,
    "xpm_ce.losses.loss": LOSSES,
    "xpm_ce.scorers.backbone": BACKBONES,
    "xpm_ce.scorers.scorer": SCORERS,
    "xpm_ce.samplers.sampler": {
        "groups": "xpm_ce.samplers.groups.GroupSampler",
        "lists": "xpm_ce.samplers.lists.ListSampler",
        "triples": "xpm_ce.samplers.triples.TripleSampler",
    },
}
