"""From a study to its jobs: one function that walks the grid and gives every task to a submitter.

The walk only names jobs; `launch/submission.py` hands the missing ones to the scheduler. Equal identities are one job,
whichever points of the grid ask for them. This module does not know how jobs run.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from xpm_ce import extensions
from xpm_ce.data.collection import Collection
from xpm_ce.data.distilled import RunTrainingSet
from xpm_ce.data.mining import MineTrainingSet
from xpm_ce.data.overlap import overlap
from xpm_ce.data.parts import Parts
from xpm_ce.data.runs import ExternalRun, Run
from xpm_ce.data.split import QrelsOfPart, QueriesOfPart
from xpm_ce.data.store import DocumentStore, StoreDocuments
from xpm_ce.errors import ConfigurationError, UnknownKeyError, XpmCeError
from xpm_ce.evaluate.measure import Measure
from xpm_ce.evaluate.rerank import Rerank
from xpm_ce.firststage.bm25_index import Bm25Index
from xpm_ce.firststage.retrieve import Retrieve
from xpm_ce.graph.plan import Plan, Result, source_warnings
from xpm_ce.graph.planner import Planner
from xpm_ce.graph.sections import (
    TABLES,
    Evaluation,
    EvaluationSet,
    ModelFolder,
    RunFile,
    ValidationSplit,
)
from xpm_ce.graph.siblings import take_over_other_depths
from xpm_ce.graph.study import Study
from xpm_ce.learn.learner import Learner
from xpm_ce.measures import names
from xpm_ce.scorers.backbones import LocalBackbone
from xpm_ce.scorers.models import InitialModel, Model, PretrainedModel
from xpm_ce.scorers.scorer import Scorer
from xpm_ce.settings.document import Document
from xpm_ce.settings.nodes import Node
from xpm_ce.settings.schema import accepted
from xpm_ce.settings.typed import typed
from xpm_ce.workspace import Workspace

TRAINING_SETS: dict[str, Any] = {"mined": MineTrainingSet, "run": RunTrainingSet}
"""Kinds of training sets by name"""
WIRED_IN_TRAINING_SETS = frozenset({"store", "queries", "qrels", "run", "teacher"})
"""Arguments of training sets that other sections give"""


@dataclasses.dataclass(frozen=True)
class PreparedSet:
    """An evaluation set with its first-stage run, ready to be re-ranked and measured."""

    label: str
    store: DocumentStore
    parts: Parts
    queries: Any
    qrels: Any
    run: Run
    ignore_identical_ids: bool


def planned(study: Study, workspace: Workspace, *, capabilities: tuple[str, ...] = ("fp32",)) -> Plan:
    """The plan of a study in a workspace; ConfigurationError where something cannot be built."""
    planner = Planner(workspace, capabilities=capabilities)
    builder = Builder(study, planner)
    results = builder.build()
    take_over_other_depths(planner)
    planner.hashes.save()
    return Plan(
        experiment=study.id,
        title=study.title,
        files=[str(file) for file in study.document.files],
        jobs=list(planner.jobs.values()),
        results=results,
        table=builder.layout(),
        counts_of_queries=builder.counted,
        warnings=source_warnings(planner),
        extensions=builder.extensions,
    )


class Builder:
    """Walks the grid of a study and gives tasks to `submit`; equal sections are prepared once."""

    def __init__(self, study: Study, submit: Any):
        self.study, self.submit = study, submit
        self.extensions = extensions.load(study.document.get("extensions"))
        self.classes = extensions.classes(self.extensions)
        self.counted: dict[str, Any] = {}
        self._prepared: dict[str, Any] = {}
        self._results: dict[tuple[str, ...], Result] = {}
        self._measures: list[str] = []
        self._depths: set[int] = set()
        self._protocols: list[str] = []

    # -- the walk -------------------------------------------------------------------------------------------

    def build(self) -> list[Result]:
        """Every job of the study, in an order in which inputs come first; gives the results in the table's order."""
        for coordinates, document in self.study.points():
            evaluation = self.evaluation(document)
            sets = [self.evaluation_set(document, entry, evaluation) for entry in evaluation.sets]
            self.first_stages(coordinates, sets, evaluation)
            self.existing(coordinates, sets, evaluation)
            if document.get("learner") is None:
                continue
            learner, checkpoint = self.learner(document, coordinates)
            self.count_overlap(learner.queries, sets)
            if evaluation.untrained:
                kept = self.study.axes_of_scorer()
                shared = {axis: value for axis, value in coordinates.items() if axis in kept}
                self.evaluated(InitialModel.C(scorer=learner.scorer), "untrained", shared, sets, evaluation)
            self.evaluated(checkpoint, "trained", coordinates, sets, evaluation)
        return list(self._results.values())

    def first_stages(self, coordinates: dict[str, str], sets: list[PreparedSet], evaluation: Evaluation) -> None:
        """Measure the first stage of each set, with its bounds."""
        kept = self.study.axes_of_data()
        shared = {axis: value for axis, value in coordinates.items() if axis in kept}
        for prepared in sets:
            self.measured(prepared.run, None, "first stage", {**shared, "first stage": "BM25"}, prepared, evaluation)

    def existing(self, coordinates: dict[str, str], sets: list[PreparedSet], evaluation: Evaluation) -> None:
        """Evaluate the models and measure the runs that were there before."""
        kept = self.study.axes_of_data()
        shared = {axis: value for axis, value in coordinates.items() if axis in kept}
        for node in self.study.section("models"):
            folder = typed(ModelFolder, node)
            model = self.pretrained(folder, node)
            self.evaluated(model, "model", {**shared, "model": folder.name}, sets, evaluation)
        for node in self.study.section("runs"):
            entry = typed(RunFile, node)
            labels = [prepared.label for prepared in sets]
            if entry.set is not None and entry.set not in labels:
                raise UnknownKeyError(entry.set, labels, where=(node.get("set") or node).where, kind="evaluation set")
            prepared = sets[labels.index(entry.set)] if entry.set is not None else sets[0]
            run = self.external_run(entry.path)
            self.measured(run, None, "run", {**shared, "run": entry.name}, prepared, evaluation)

    def evaluated(
        self, model: Any, system: str, coordinates: dict[str, str], sets: list[PreparedSet], evaluation: Evaluation
    ) -> None:
        """Re-rank every set with a model at the largest depth, and measure at all."""
        for prepared in sets:
            rerank = Rerank.C(
                model=model, run=prepared.run, queries=prepared.queries, store=prepared.store,
                depth=max(evaluation.depths), precision=evaluation.precision, device=evaluation.device,
                tokens_per_batch=evaluation.tokens_per_batch,
            )  # fmt: skip
            where = {**coordinates, "set": prepared.label}
            if system != "trained":
                where["system"] = system
            run = self.submit(rerank, kind="rerank", coordinates=where)
            self.measured(run, prepared.run, system, coordinates, prepared, evaluation)

    def measured(
        self, run: Any, first_stage: Any, system: str, coordinates: dict[str, str], prepared: PreparedSet,
        evaluation: Evaluation,
    ) -> None:  # fmt: skip
        """Measure one run on one set, and remember where its result stands."""
        measure = Measure.C(
            run=run, first_stage=first_stage, qrels=prepared.qrels, store=prepared.store,
            depths=sorted(set(evaluation.depths)), measures=names.sorted_unique(evaluation.measures),
            ignore_identical_ids=prepared.ignore_identical_ids, bounds=system == "first stage",
        )  # fmt: skip
        where = {**coordinates, "set": prepared.label}
        if system != "trained":
            where["system"] = system
        output = self.submit(measure, kind="measure", coordinates=where)
        identity = output.__xpm__.identifier.all.hex()
        key = (system, prepared.label, *(f"{axis}={value}" for axis, value in coordinates.items()))
        self._results.setdefault(key, Result(identity, system, prepared.label, coordinates))

    # -- sections -------------------------------------------------------------------------------------------

    def once(self, what: str, nodes: list[Node | None], make: Any) -> Any:
        """The value of `make()`, made once per content of `nodes`."""
        key = json.dumps([what, *([str(node.folder), node.plain()] if node is not None else None for node in nodes)])
        if key not in self._prepared:
            self._prepared[key] = make()
        return self._prepared[key]

    def typed(self, kind: Any, node: Node, wired: Any = ()) -> Any:
        return typed(kind, node, wired=wired, tables=TABLES, classes=self.classes)

    def evaluation(self, document: Document) -> Evaluation:
        evaluation = self.typed(Evaluation, document.require("evaluation"))
        for entry in evaluation.sets:
            if entry.label not in self._protocols:
                self._protocols.append(entry.label)
        self._measures = self._measures or [str(names.parse(name)) for name in evaluation.measures]
        self._depths.update(evaluation.depths)
        return evaluation

    def layout(self) -> dict[str, Any]:
        """How tables are laid out, with what there is to show."""
        return {
            **self.study.layout(), "protocols": self._protocols, "measures": self._measures,
            "depths": sorted(self._depths),
        }  # fmt: skip

    def collection(self, node: Node) -> tuple[Parts, DocumentStore]:
        """The parts of a collection and its document store."""
        store_node = self.study.document.get("store")

        def make() -> tuple[Parts, DocumentStore]:
            parts = self.typed(Collection, node).prepare(self.submit)
            empty = Node.of({}, where=node.where)
            store = self.typed(StoreDocuments, store_node or empty, {"documents": parts.documents})
            return parts, self.submit(store, kind="store", coordinates={})

        return self.once("collection", [node, store_node], make)

    def evaluation_set(self, document: Document, entry: EvaluationSet, evaluation: Evaluation) -> PreparedSet:
        """The texts, judgements and first-stage run of one evaluation set."""
        node = document.require("evaluation.sets")
        own = next(below for below in node if (below.get("split") or below).text == entry.split)
        collection_node = own.get("collection") or document.require("collection")
        parts, store = self.collection(collection_node)
        queries, qrels = self.split(document, parts, entry.split)
        run = self.first_stage(
            document, collection_node, store, queries, entry.split, ignore_identical_ids=entry.ignore_identical_ids
        )
        return PreparedSet(entry.label, store, parts, queries, qrels, run, entry.ignore_identical_ids)

    def split(self, document: Document, parts: Parts, split: str) -> tuple[Any, Any]:
        """Queries and judgements of a split; `train` and `validation` share the training queries where asked."""
        node = document.get("validation")
        if node is None or split not in ("train", "validation"):
            return parts.queries(split), parts.qrels(split)
        if split == "validation" and "validation" in parts.splits():
            raise ConfigurationError(
                "the collection has a validation split of its own", where=node.where, remedy="Remove validation:."
            )
        carved = self.typed(ValidationSplit, node)
        values = {"fraction": carved.fraction, "seed": carved.seed, "part": split}
        return (
            QueriesOfPart.C(queries=parts.queries("train"), **values),
            QrelsOfPart.C(qrels=parts.qrels("train"), **values),
        )

    def first_stage(
        self, document: Document, collection: Node, store: DocumentStore, queries: Any, split: str, *,
        ignore_identical_ids: bool = False,
    ) -> Run:  # fmt: skip
        """The first-stage run of one split, at the full depth of the first stage."""
        node = document.require("first_stage")
        kind = node.get("type")
        if kind is None or kind.text != "bm25":
            raise UnknownKeyError(
                kind.text if kind else "(none)", ["bm25"], where=(kind or node).where, kind="first stage"
            )
        keys = node.without("type")
        of_index = [name for name in accepted(Bm25Index) if keys.get(name) is not None and name != "store"]
        index = self.once(
            "index",
            [node, collection, document.get("store")],
            lambda: self.submit(
                self.typed(Bm25Index, _only(keys, of_index), {"store": store}), kind="index", coordinates={}
            ),
        )
        wired = {"index": index, "queries": queries, "ignore_identical_ids": ignore_identical_ids}
        retrieve = self.typed(Retrieve, keys.without(*of_index), wired)
        return self.submit(retrieve, kind="retrieve", coordinates={"set": split})

    def training_set(self, document: Document, parts: Parts, store: DocumentStore) -> tuple[Any, Any]:
        """The training set of a point of the grid and the texts of its queries."""
        node = document.require("training_set")
        split_node, teacher_node, kind = node.get("split"), node.get("teacher"), node.get("type")
        split = split_node.text if split_node is not None else "train"
        queries, qrels = self.split(document, parts, split)
        if kind is None or kind.text not in TRAINING_SETS:
            raise UnknownKeyError(
                kind.text if kind else "(none)", TRAINING_SETS, where=(kind or node).where, kind="training set"
            )
        task_class = TRAINING_SETS[kind.text]
        keys = node.without("type", "split", "teacher")
        for key, below in keys.nodes.items():
            valid = [*(set(accepted(task_class)) - WIRED_IN_TRAINING_SETS), "split", "teacher", "type"]
            if key not in valid:
                raise UnknownKeyError(f"training_set.{key}", valid, where=below.where)
        run = self.first_stage(document, document.require("collection"), store, queries, split)
        teacher = self.teacher(document, teacher_node, parts, split, run, queries, store)
        if task_class is RunTrainingSet and teacher is None:
            raise ConfigurationError(
                "a training set made from a run needs the run", where=node.where, remedy="Add teacher: {path: RUN}."
            )
        wired = {"queries": queries, "qrels": qrels, "store": store, "teacher": teacher}
        wired["run"] = teacher if task_class is RunTrainingSet else run
        task = self.typed(task_class, keys, wired)
        return self.submit(task, kind="training set", coordinates={"set": split}), queries

    def count_overlap(self, train: Any, tests: list[PreparedSet]) -> None:
        """Count the training queries whose normalised text is a test query's, where the texts can be read already."""
        for prepared in tests:
            test = prepared.queries
            name = f"training queries that are also queries of {prepared.label}"
            if name in self.counted:
                continue
            identities = [queries.__xpm__.identifier.all.hex() for queries in (train, test)]
            try:
                shared, total = self.submit.hashes.get(
                    f"overlap 1 {' '.join(identities)}", [], lambda test=test: _overlap(train, test)
                )
            except (OSError, XpmCeError):
                self.counted[name] = "unknown until the collection is there"
            else:
                self.counted[name] = f"{shared} of {total}"

    def teacher(
        self, document: Document, node: Node | None, parts: Parts, split: str, run: Run, queries: Any,
        store: DocumentStore,
    ) -> Run | None:  # fmt: skip
        """The run whose scores are the teacher's: the collection's own, a run file, or an existing model's."""
        if node is None or node.value is None:
            return None
        if node.kind == "scalar":
            if node.text != "collection":
                raise UnknownKeyError(node.text, ["collection"], where=node.where, kind="teacher")
            teacher = parts.teacher(split)
            if teacher is None:
                raise ConfigurationError(
                    "this collection brings no teacher", where=node.where, remedy="Give {path: RUN} or {model: ...}."
                )
            return teacher
        if node.get("model") is not None:
            below = node.get("model")
            assert below is not None
            model = self.pretrained(typed(ModelFolder, below), below)
            depth_node = node.get("depth")
            depth = typed(int, depth_node) if depth_node is not None else 100
            rerank = Rerank.C(model=model, run=run, queries=queries, store=store, depth=depth)
            return self.submit(rerank, kind="rerank", coordinates={"set": split, "system": "teacher"})
        path = node.get("path")
        if path is None:
            raise UnknownKeyError("teacher", ["collection", "path", "model"], where=node.where)
        return self.external_run(typed(Path, path))

    def learner(self, document: Document, coordinates: dict[str, str]) -> tuple[Any, Any]:
        """The learner of a point of the grid and its checkpoint."""
        collection = document.require("collection")
        parts, store = self.collection(collection)
        relevant = [collection, document.get("first_stage"), document.get("training_set"), document.get("validation")]
        training_set, queries = self.once("training set", relevant, lambda: self.training_set(document, parts, store))
        node = document.require("learner")
        scorer_node = document.require("learner.scorer")

        def scorer() -> Any:
            made = self.typed(Scorer, scorer_node, ("backbone.tokenizer", "backbone.sha256"))
            return made.prepare(self.submit, store=store, queries=queries)

        wired = {
            "store": store, "queries": queries, "training_set": training_set,
            "scorer": self.once("scorer", [scorer_node, *relevant], scorer),
        }  # fmt: skip
        learner = self.typed(Learner, node.without("scorer"), wired)
        return learner, self.submit(learner, kind="learn", coordinates=coordinates)

    def pretrained(self, folder: ModelFolder, node: Node) -> Model:
        """An existing model as it is."""
        backbone = LocalBackbone.C(path=folder.path).prepare(self.submit)
        return PretrainedModel.C(
            backbone=backbone, max_length=folder.max_length, max_query_length=folder.max_query_length
        )

    def external_run(self, path: Path) -> Run:
        """A run file from elsewhere, identified by its content."""
        return ExternalRun.C(path=path, sha256=self.submit.hashes.sha256(path))


def _only(node: Node, keys: list[str]) -> Node:
    return node.without(*(key for key in node.nodes if key not in keys))


def _overlap(train: Any, test: Any) -> list[int]:
    """Training queries whose normalised text is a test query's, and all training queries."""
    found = overlap(train.read(), test.read())
    return [found.shared_train_queries, found.train_queries]
