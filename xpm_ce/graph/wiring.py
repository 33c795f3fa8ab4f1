"""From sections of a document to what jobs take in: collections, stores, first-stage runs, training sets, models.

Equal sections are prepared once. This module does not know the grid, nor what is measured.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xpm_ce import extensions
from xpm_ce.data.collection import Collection
from xpm_ce.data.distilled import RunTrainingSet
from xpm_ce.data.mining import MineTrainingSet
from xpm_ce.data.parts import Parts
from xpm_ce.data.runs import ExternalRun, Run
from xpm_ce.data.split import QrelsOfPart, QueriesOfPart
from xpm_ce.data.store import DocumentStore, StoreDocuments
from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.evaluate.rerank import Rerank
from xpm_ce.firststage.bm25_index import Bm25Index
from xpm_ce.firststage.retrieve import Retrieve
from xpm_ce.graph.sections import TABLES, EvaluationSet, ModelFolder, ValidationSplit
from xpm_ce.graph.study import DATA_SECTIONS, Study
from xpm_ce.scorers.backbones import LocalBackbone
from xpm_ce.scorers.models import Model, PretrainedModel
from xpm_ce.settings import Document, Node, fields, typed

TRAINING_SETS: dict[str, Any] = {"mined": MineTrainingSet, "run": RunTrainingSet}
"""Kinds of training sets by name"""
WIRED_IN_TRAINING_SETS = frozenset({"store", "queries", "qrels", "run", "teacher"})
"""Arguments of training sets that other sections give"""
TEACHER_DEPTH = 100
"""Documents per training query that a teacher re-ranks, unless it says otherwise"""


@dataclasses.dataclass(frozen=True)
class PreparedSet:
    """An evaluation set with its first-stage run, ready to be re-ranked and measured."""

    label: str
    store: DocumentStore
    queries: Any
    qrels: Any
    run: Run
    ignore_identical_ids: bool


class Wiring:
    """Makes configurations of a study's sections and gives the tasks among them to `submit`."""

    def __init__(self, study: Study, submit: Any):
        self.study, self.submit = study, submit
        self.extensions = extensions.load(study.document.get("extensions"))
        self.classes = extensions.classes(self.extensions)
        self._by_content: dict[str, Any] = {}
        self._by_object: dict[tuple[Any, ...], tuple[list[Node | None], Any]] = {}

    def once(self, what: str, nodes: list[Node | None], make: Callable[[], Any]) -> Any:
        """The value of `make()`, made once per content of `nodes`; points of a grid share most of their nodes."""
        same = (what, *map(id, nodes))
        if same not in self._by_object:
            content = [[str(node.folder), node.plain()] if node is not None else None for node in nodes]
            key = json.dumps([what, content])
            if key not in self._by_content:
                self._by_content[key] = make()
            self._by_object[same] = (nodes, self._by_content[key])  # the nodes stay alive, and with them their ids
        return self._by_object[same][1]

    def typed(self, kind: Any, node: Node, wired: Any = ()) -> Any:
        """The configuration that a node describes."""
        return typed(kind, node, wired=wired, tables=TABLES, classes=self.classes)

    # -- data -----------------------------------------------------------------------------------------------

    def collection(self, document: Document, node: Node) -> tuple[Parts, DocumentStore]:
        """The parts of a collection and its document store."""
        store_node = document.get("store")

        def make() -> tuple[Parts, DocumentStore]:
            parts = self.typed(Collection, node).prepare(self.submit)
            described = store_node or Node.of({}, where=node.where)
            store = self.typed(StoreDocuments, described, {"documents": parts.documents})
            return parts, self.submit(store, kind="store", coordinates={})

        return self.once("collection", [node, store_node], make)

    def evaluation_set(self, document: Document, entry: EvaluationSet, node: Node) -> PreparedSet:
        """The texts, judgements and first-stage run of the evaluation set that `node` describes."""
        collection = node.get("collection") or document.require("collection")
        parts, store = self.collection(document, collection)
        queries, qrels = self.split(document, parts, entry.split)
        run = self.first_stage(
            document, collection, queries, entry.split, ignore_identical_ids=entry.ignore_identical_ids
        )
        return PreparedSet(entry.label, store, queries, qrels, run, entry.ignore_identical_ids)

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
        self, document: Document, collection: Node, queries: Any, split: str, *, ignore_identical_ids: bool = False
    ) -> Run:
        """The first-stage run of one split, at the full depth of the first stage."""
        node = document.require("first_stage")
        kind = node.get("type")
        if kind is None or kind.text != "bm25":
            raise UnknownKeyError(_text(kind), ["bm25"], where=(kind or node).where, kind="first stage")
        _, store = self.collection(document, collection)
        index = self.once(
            "index",
            [collection, document.get("store")],
            lambda: self.submit(Bm25Index.C(store=store), kind="index", coordinates={}),
        )
        wired = {"index": index, "queries": queries, "ignore_identical_ids": ignore_identical_ids}
        return self.submit(
            self.typed(Retrieve, node.without("type"), wired), kind="retrieve", coordinates={"set": split}
        )

    # -- training -------------------------------------------------------------------------------------------

    def training_set(self, document: Document) -> tuple[Any, Any]:
        """The training set of a document and the texts of its queries."""
        sections = [document.get(section) for section in (*DATA_SECTIONS, "training_set")]
        return self.once("training set", sections, lambda: self._training_set(document))

    def _training_set(self, document: Document) -> tuple[Any, Any]:
        node, collection = document.require("training_set"), document.require("collection")
        kind = node.get("type")
        if kind is None or kind.text not in TRAINING_SETS:
            raise UnknownKeyError(_text(kind), TRAINING_SETS, where=(kind or node).where, kind="training set")
        task_class = TRAINING_SETS[kind.text]
        valid = [field.name for field in fields(task_class, WIRED_IN_TRAINING_SETS)] + ["split", "teacher", "type"]
        for key, below in node.nodes.items():
            if key not in valid:
                raise UnknownKeyError(f"training_set.{key}", valid, where=below.where)
        parts, store = self.collection(document, collection)
        split = _text(node.get("split"), "train")
        queries, qrels = self.split(document, parts, split)
        run = self.first_stage(document, collection, queries, split)
        teacher = self.teacher(node.get("teacher"), parts, split, run=run, queries=queries, store=store)
        if task_class is RunTrainingSet and teacher is None:
            raise ConfigurationError(
                "a training set made from a run needs the run", where=node.where, remedy="Add teacher: {path: RUN}."
            )
        wired = {"queries": queries, "qrels": qrels, "store": store, "teacher": teacher}
        wired["run"] = teacher if task_class is RunTrainingSet else run
        task = self.typed(task_class, node.without("type", "split", "teacher"), wired)
        return self.submit(task, kind="training set", coordinates={"set": split}), queries

    def teacher(
        self, node: Node | None, parts: Parts, split: str, *, run: Run, queries: Any, store: DocumentStore
    ) -> Run | None:
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
        model, path, depth = node.get("model"), node.get("path"), node.get("depth")
        if model is not None:
            rerank = Rerank.C(
                model=self.pretrained(typed(ModelFolder, model)), run=run, queries=queries, store=store,
                depth=typed(int, depth) if depth is not None else TEACHER_DEPTH,
            )  # fmt: skip
            return self.submit(rerank, kind="rerank", coordinates={"set": split, "system": "teacher"})
        if path is None:
            raise UnknownKeyError(next(iter(node.nodes), "teacher"), ["path", "model"], where=node.where)
        return self.external_run(typed(Path, path))

    # -- what was there before ------------------------------------------------------------------------------

    def pretrained(self, folder: ModelFolder) -> Model:
        """An existing model as it is."""
        backbone = LocalBackbone.C(path=folder.path).prepare(self.submit)
        return PretrainedModel.C(
            backbone=backbone, max_length=folder.max_length, max_query_length=folder.max_query_length
        )

    def external_run(self, path: Path) -> Run:
        """A run file from elsewhere, identified by its content."""
        return ExternalRun.C(path=path, sha256=self.submit.hashes.sha256(path))


def _text(node: Node | None, default: str = "(none)") -> str:
    return node.text if node is not None else default
