"""The task that measures: a run and judgements give per-query values. It never loads a model."""

from pathlib import Path
from typing import Optional

from experimaestro import Constant, Meta, Param, PathGenerator, field

from xpm_ce.data.parts import Qrels
from xpm_ce.data.runs import Run
from xpm_ce.data.store import DocumentStore
from xpm_ce.jobs import Job


class Measure(Job):
    """Measure a run at every depth and with every measure at once; queries without a result count as zero."""

    __xpmid__ = "xpm_ce.evaluate.measure"
    version: Constant[int] = 2

    run: Param[Run]
    """The run to measure"""

    first_stage: Param[Optional[Run]] = field(default=None)
    """The run that was re-ranked: its ranks say which documents a smaller depth holds; absent for a first stage"""

    qrels: Param[Qrels]
    """Judgements of the queries that are measured"""

    store: Param[DocumentStore]
    """The collection: judgements of documents that it does not hold are counted"""

    depths: Param[list[int]]
    """Depths, sorted: only the first so many documents of the first stage are in the ranking"""

    measures: Param[list[str]]
    """Measures in the spelling of ir-measures, sorted"""

    ignore_identical_ids: Param[bool] = field(default=False)
    """Leave out a document whose id is the query's (BEIR's rule, which ArguAna and Quora need)"""

    bounds: Param[bool] = field(default=False)
    """Measure two more orders of the same documents: the best one (the recall ceiling) and a random one"""

    protocol: Meta[str] = field(default="")
    """Label of the evaluation set, for those who read the values"""

    values: Meta[Path] = field(default_factory=PathGenerator("per_query.parquet"))
    """A row a judged query, a column a measure, depth and order, at full precision (`measures.table`)"""

    summary: Meta[Path] = field(default_factory=PathGenerator("summary.json"))
    """Means over queries, number of queries, queries without a result, judgements of unknown documents"""

    def compute(self) -> None:
        from xpm_ce.evaluate.measuring import measure

        measure(self)
