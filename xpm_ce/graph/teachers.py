"""Teachers that a study trains itself, cross-fitted: no query is scored by a model that was trained on it.

The training queries are divided into folds. For each fold a teacher learns from the judgements of the queries outside
it and scores what the training set holds for the queries inside; the runs of all folds are joined. This module does not
know which losses learn from the scores.
"""

import dataclasses
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from experimaestro import Config, Constant, Param, field

from xpm_ce.data.candidates import GroupCandidates
from xpm_ce.data.joined import JoinRuns
from xpm_ce.data.mining import MineTrainingSet
from xpm_ce.data.parts import Qrels, Queries
from xpm_ce.data.runs import Run
from xpm_ce.data.split import Fold, QrelsOfFold, QueriesOfFold, check_folds
from xpm_ce.data.store import DocumentStore
from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.evaluate.rerank import Rerank
from xpm_ce.graph.sections import Evaluation
from xpm_ce.graph.stages import START_FROM
from xpm_ce.learn.learner import Learner
from xpm_ce.settings import Document, Node, fields

if TYPE_CHECKING:
    from xpm_ce.graph.wiring import Wiring

EVERY_DOCUMENT = 1_000_000
"""A depth below every group"""
SECTIONS = ("training_set", "learner")
"""Keys of `cross_fitted` that hold a section like the study's own"""


class CrossFitting(Config):
    """Teachers trained on the training queries: one for each fold, on the queries outside it."""

    __xpmid__ = "xpm_ce.graph.cross_fitting"
    version: Constant[int] = 1

    folds: Param[int] = field(default=2)
    """Folds of the training queries; more of them leave each teacher more queries to learn from, and cost more"""

    seed: Param[int] = field(default=0)
    """Seed of the folds, which are drawn by hash(seed, query id)"""

    precision: Param[str] = field(default="fp32")
    """Precision in which teachers score; the one in which they are trained is their learner's"""

    def __validate__(self) -> None:
        check_folds(self.folds)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Untaught:
    """What a training set is made of before there is a teacher."""

    kind: Any
    """Class of the training set"""
    node: Node
    """Its own keys"""
    split: str
    store: DocumentStore
    queries: Queries
    qrels: Qrels
    run: Run
    """The first stage's"""

    @property
    def inputs(self) -> dict[str, Any]:
        """The arguments of a training set without a teacher."""
        return {
            "store": self.store, "queries": self.queries, "qrels": self.qrels, "run": self.run, "teacher": None
        }  # fmt: skip

    def outside(self, fold: int, setting: CrossFitting) -> "Untaught":
        """The same for the queries outside a fold."""
        return self._of(Fold.C(folds=setting.folds, number=fold, outside=True, seed=setting.seed))

    def inside(self, fold: int, setting: CrossFitting) -> "Untaught":
        """The same for the queries of a fold."""
        return self._of(Fold.C(folds=setting.folds, number=fold, outside=False, seed=setting.seed))

    def _of(self, fold: Fold) -> "Untaught":
        queries, qrels = QueriesOfFold.C(queries=self.queries, fold=fold), QrelsOfFold.C(qrels=self.qrels, fold=fold)
        return dataclasses.replace(self, queries=queries, qrels=qrels)


def cross_fitted(wiring: "Wiring", document: Document, node: Node, whole: Untaught) -> Run:
    """The run of the teachers that `node` describes: every document of the training set, scored, for all queries.

    ConfigurationError, with file and line, for what cannot be a cross-fitting.
    """
    setting = _setting(wiring, node)
    evaluation = wiring.typed(Evaluation, document.require("evaluation"))
    groups = _training_set(wiring, whole, whole.kind, whole.node, {"set": whole.split, "system": "untaught"})
    runs = []
    for number in range(1, setting.folds + 1):
        coordinates = {"set": whole.split, "system": "teacher", "fold": str(number)}
        outside, inside = whole.outside(number, setting), whole.inside(number, setting)
        seen = _training_set(wiring, outside, MineTrainingSet, _mined_keys(node, whole), coordinates)
        learner = _learner(wiring, document, node, seen, outside)
        model = wiring.trained(learner, coordinates)
        candidates = GroupCandidates.C(training_set=groups, queries=inside.queries, store=whole.store)
        rerank = Rerank.C(
            model=model, run=wiring.submit(candidates, kind="candidates", coordinates=coordinates),
            queries=inside.queries, store=whole.store, tokens=learner.tokens, depth=EVERY_DOCUMENT,
            precision=setting.precision, device=evaluation.device, tokens_per_batch=evaluation.tokens_per_batch,
        )  # fmt: skip
        runs.append(wiring.submit(rerank, kind="rerank", coordinates=coordinates))
    joined = JoinRuns.C(runs=runs, queries=whole.queries)
    return wiring.submit(joined, kind="join", coordinates={"set": whole.split, "system": "teacher"})


def sections_of_teachers(document: Document) -> list[Node | None]:
    """The nodes outside `training_set` that cross-fitted teachers depend on; none where there are no such teachers."""
    if document.get("training_set.teacher.cross_fitted") is None:
        return []
    return [document.get("learner.scorer")]


def _setting(wiring: "Wiring", node: Node) -> CrossFitting:
    valid = [field.name for field in fields(CrossFitting)] + list(SECTIONS)
    for key, below in node.nodes.items():
        if key not in valid:
            raise UnknownKeyError(f"{node.path}.{key}", valid, where=below.where)
    if node.get("learner") is None:
        raise ConfigurationError(
            f"{node.path}.learner is missing",
            where=node.where,
            remedy="Say how teachers are trained: loss, sampler, ...",
        )
    return wiring.typed(CrossFitting, node.without(*SECTIONS))


def _training_set(wiring: "Wiring", of: Untaught, kind: Any, node: Node, coordinates: dict[str, str]) -> Any:
    task = wiring.typed(kind, node, of.inputs)
    return wiring.submit(task, kind="training set", coordinates=coordinates)


def _mined_keys(node: Node, whole: Untaught) -> Node:
    """The keys of the teachers' training sets: their own, else those of the set that they are to score."""
    own = node.get("training_set")
    if own is not None:
        kind = own.get("type")
        if kind is not None and kind.text != "mined":
            raise UnknownKeyError(kind.text, ["mined"], where=kind.where, kind="training set of a teacher")
        return own.without("type")
    return (
        whole.node if whole.kind is MineTrainingSet else Node.of({}, where=node.where, path=f"{node.path}.training_set")
    )


def _learner(wiring: "Wiring", document: Document, node: Node, training_set: Any, of: Untaught) -> Any:
    """A teacher's learner; where it says nothing else it has the study's scorer, and trains where the study does."""
    own, study = node.nodes["learner"], document.require("learner")
    places = study.without(START_FROM, "keep", *(field.name for field in fields(Learner) if field.identity))
    scorer = laid_over(document.require("learner.scorer"), own.get("scorer"))
    return wiring.learner(
        document, laid_over(places, own.without("scorer")), scorer, training_set=training_set, queries=of.queries
    )


def laid_over(base: Node, over: Node | None) -> Node:
    """`base` with the keys of `over`; a mapping that names its `type`, and everything else, is taken whole."""
    if over is None:
        return base
    if base.kind != "mapping" or over.kind != "mapping" or over.get("type") is not None:
        return over
    nodes = {
        key: laid_over(base.nodes[key], below) if key in base.nodes else below for key, below in over.nodes.items()
    }
    return dataclasses.replace(over, value=MappingProxyType({**base.nodes, **nodes}))
