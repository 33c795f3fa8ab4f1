"""From sections of a document to what jobs take in: collections, stores, first-stage runs, training sets, models.

Equal sections are prepared once. This module does not know the grid, nor what is measured.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xpm_ce import extensions
from xpm_ce.data.collection import Collection
from xpm_ce.data.distilled import RunTrainingSet
from xpm_ce.data.file_run import FileRun
from xpm_ce.data.first_documents import FirstDocuments
from xpm_ce.data.mining import MineTrainingSet
from xpm_ce.data.parts import Parts
from xpm_ce.data.runs import ExternalRun, Run
from xpm_ce.data.split import QrelsOfPart, QueriesOfPart
from xpm_ce.data.store import DocumentStore, StoreDocuments
from xpm_ce.data.triples import TripleTrainingSet
from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.evaluate.rerank import Rerank
from xpm_ce.graph.first_stages import retrieval, title
from xpm_ce.graph.prepared import PreparedSet
from xpm_ce.graph.sections import TABLES, EvaluationSet, ModelFolder, ValidationSplit
from xpm_ce.graph.study import DATA_SECTIONS, Study
from xpm_ce.graph.teachers import Untaught, cross_fitted, sections_of_teachers
from xpm_ce.graph.validations import validation
from xpm_ce.interop.xpmir_model import XpmirModel
from xpm_ce.learn.learner import Learner, kept
from xpm_ce.scorers.backbones import LocalBackbone
from xpm_ce.scorers.models import Checkpoint, Model, PretrainedModel
from xpm_ce.scorers.scorer import Scorer
from xpm_ce.settings import Document, Node, fields, typed
from xpm_ce.tokens.store import TokeniseDocuments, TokenStore

TRAINING_SETS: dict[str, Any] = {"mined": MineTrainingSet, "run": RunTrainingSet, "triples": TripleTrainingSet}
"""Kinds of training sets by name"""
RUNS_OF_TRAINING_SETS = {"mined": ("run", "teacher"), "run": ("first_stage", "run", "teacher"), "triples": ()}
"""Keys of a training set that are runs, by its kind"""
WIRED_IN_TRAINING_SETS = frozenset({"store", "queries", "qrels", "run", "first_stage", "teacher", "sha256"})
"""Arguments of training sets that other sections give, or keys of their own"""
KEYS_OF_TEACHERS = ("path", "model", "depth", "cross_fitted")
TEACHER_DEPTH = 100
"""Documents per training query that a teacher re-ranks, unless it says otherwise"""


class Wiring:
    """Makes configurations of a study's sections and gives the tasks among them to `submit`."""

    def __init__(self, study: Study, submit: Any):
        self.study, self.submit = study, submit
        self.extensions = extensions.load(study.document.get("extensions"))
        self.classes = extensions.classes(self.extensions)
        self._by_content: dict[str, Any] = {}
        self._by_object: dict[tuple[Any, ...], tuple[list[Node | None], Any]] = {}
        self._tokens: dict[tuple[int, int], tuple[Any, TokenStore]] = {}

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

    def tokens(self, store: DocumentStore, reader: Any) -> TokenStore:
        """The documents of a store as a scorer or a backbone reads them, tokenised once for all that read alike."""
        if (id(store), id(reader)) not in self._tokens:
            task = TokeniseDocuments.C(store=store, tokenizer=reader.own_tokenizer(self.submit.hashes))
            tokens = self.submit(task, kind="tokens", coordinates={})
            self._tokens[id(store), id(reader)] = ((store, reader), tokens)  # both stay alive, and with them their ids
        return self._tokens[id(store), id(reader)][1]

    def evaluation_set(
        self, document: Document, entry: EvaluationSet, node: Node, *, depths: Sequence[int] = (),
        measures: Sequence[str] = (),
    ) -> PreparedSet:  # fmt: skip
        """The texts, judgements and first-stage run of the evaluation set that `node` describes."""
        collection = node.get("collection") or document.require("collection")
        parts, store = self.collection(document, collection)
        queries, qrels = self.split(document, parts, entry.split)
        if entry.run is not None:
            run, name = self.external_run(entry.run), entry.run.name.removesuffix(".gz")
        else:
            run = self.first_stage(
                document, collection, queries, entry.split, ignore_identical_ids=entry.ignore_identical_ids
            )
            name = title(document.require("first_stage"))
        return PreparedSet(
            entry.label, store, queries, qrels, run, entry.ignore_identical_ids, depths=tuple(depths),
            measures=tuple(measures), first_stage=name,
        )  # fmt: skip

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
        self, document: Document, collection: Node, queries: Any, split: str, *, node: Node | None = None,
        ignore_identical_ids: bool = False,
    ) -> Run:  # fmt: skip
        """The first-stage run of one split, at the full depth of the first stage that `node` describes.

        That is the study's own by default.
        """
        _, store = self.collection(document, collection)
        described = node or document.require("first_stage")
        wired = {"queries": queries, "ignore_identical_ids": ignore_identical_ids}
        task = retrieval(self, described, store, [collection, document.get("store")], wired)
        return self.submit(task, kind="retrieve", coordinates={"set": split})

    # -- training -------------------------------------------------------------------------------------------

    def training_set(self, document: Document) -> tuple[Any, Any]:
        """The training set of a document and the texts of its queries."""
        sections = [document.get(section) for section in (*DATA_SECTIONS, "training_set")]
        sections += sections_of_teachers(document)
        return self.once("training set", sections, lambda: self._training_set(document))

    def _training_set(self, document: Document) -> tuple[Any, Any]:
        node, collection = document.require("training_set"), document.require("collection")
        kind = node.get("type")
        if kind is None or kind.text not in TRAINING_SETS:
            raise UnknownKeyError(_text(kind), TRAINING_SETS, where=(kind or node).where, kind="training set")
        task_class = TRAINING_SETS[kind.text]
        runs = RUNS_OF_TRAINING_SETS[kind.text]
        valid = [field.name for field in fields(task_class, WIRED_IN_TRAINING_SETS)] + ["split", "type", *runs]
        for key, below in node.nodes.items():
            if key not in valid:
                raise UnknownKeyError(f"training_set.{key}", valid, where=below.where)
        parts, store = self.collection(document, collection)
        split = _text(node.get("split"), "train")
        queries, qrels = self.split(document, parts, split)
        keys = node.without("type", "split", *runs)
        wired = {"queries": queries, "qrels": qrels, "store": store}
        if task_class is TripleTrainingSet:
            wired["sha256"] = self._content(node)
        else:
            run = self.file_run(node.get("run"))
            if task_class is MineTrainingSet or node.get("teacher") is not None:
                run = run or self.first_stage(document, collection, queries, split)
                untaught = Untaught(
                    kind=task_class, node=keys, split=split, store=store, queries=queries, qrels=qrels, run=run
                )
                wired["teacher"] = self.teacher(document, node.get("teacher"), parts, untaught)
            if task_class is RunTrainingSet:
                if (node.get("run") is None) == (wired.get("teacher") is None):
                    raise ConfigurationError(
                        "a training set made from a run needs one run",
                        where=node.where,
                        remedy="Add run: {path: FILE}, or teacher: for that of a model; not both.",
                    )
                run, wired["first_stage"] = wired.get("teacher") or run, self.file_run(node.get("first_stage"))
            wired["run"] = run
        task = self.typed(task_class, keys, wired)
        return self.submit(task, kind="training set", coordinates={"set": split}), queries

    def teacher(self, document: Document, node: Node | None, parts: Parts, untaught: Untaught) -> Run | None:
        """The teacher's run: the collection's own, a run file, an existing model's, or that of models trained here."""
        if node is None or node.value is None:
            return None
        split = untaught.split
        if node.kind == "scalar":
            if node.text != "collection":
                raise UnknownKeyError(node.text, ["collection"], where=node.where, kind="teacher")
            teacher = parts.teacher(split)
            if teacher is None:
                raise ConfigurationError(
                    "this collection brings no teacher", where=node.where, remedy="Give {path: RUN} or {model: ...}."
                )
            return teacher
        for key, below in node.nodes.items():
            if key not in KEYS_OF_TEACHERS:
                raise UnknownKeyError(f"{node.path}.{key}", KEYS_OF_TEACHERS, where=below.where)
        sources = [below for key, below in node.nodes.items() if key != "depth"]
        if len(sources) != 1:
            raise ConfigurationError(
                f"{node.path} names {len(sources)} sources of scores",
                where=node.where,
                remedy="Give one of: path, model, cross_fitted.",
            )
        (source,) = sources
        depth = node.get("depth")
        if depth is not None and node.get("model") is None:
            raise ConfigurationError(
                f"{depth.path} is for an existing model",
                where=depth.where,
                remedy="Remove it: here the training set says what is scored.",
            )
        if node.get("cross_fitted") is not None:
            return cross_fitted(self, document, source, untaught)
        if node.get("path") is not None:
            return self.external_run(typed(Path, source))
        model, places = self.pretrained(self.model(source)), {"set": split, "system": "teacher"}
        deep, run = typed(int, depth) if depth is not None else TEACHER_DEPTH, untaught.run
        if isinstance(run, FileRun):  # others' runs may have other queries too, and be larger than memory
            first = FirstDocuments.C(run=run, queries=untaught.queries, store=untaught.store, depth=deep)
            run = self.submit(first, kind="cut", coordinates=places)
        rerank = Rerank.C(
            model=model, run=run, queries=untaught.queries, store=untaught.store, depth=deep,
            tokens=self.tokens_of(model, untaught.store),
        )  # fmt: skip
        return self.submit(rerank, kind="rerank", coordinates=places)

    def scorer(self, document: Document, node: Node, queries: Any) -> Scorer:
        """The scorer that a node describes, prepared on the document's collection and on `queries`."""
        _, store = self.collection(document, document.require("collection"))
        # What identifies a backbone beyond its keys, a content hash or a tokenizer, is filled in by `prepare`.
        made = self.typed(Scorer, node, ("backbone.tokenizer", "backbone.sha256"))
        return made.prepare(self.submit, store=store, queries=queries)

    def learner(
        self, document: Document, node: Node, scorer_node: Node, *, training_set: Any, queries: Any,
        start: Scorer | None = None,
    ) -> Learner:  # fmt: skip
        """The learner that a node describes, its scorer apart; scorers of the same queries are prepared once.

        `start` is where it starts instead of the scorer that `scorer_node` describes.
        """
        _, store = self.collection(document, document.require("collection"))
        sections = [scorer_node, *(document.get(section) for section in DATA_SECTIONS)]
        scorer = start or self.once(
            f"scorer {queries.__xpm__.identifier.all.hex()}",
            sections,
            lambda: self.scorer(document, scorer_node, queries),
        )
        wired = {
            "tokens": self.tokens(store, scorer), "queries": queries, "training_set": training_set, "scorer": scorer,
            "validation": validation(self, document, node.get("validation"), scorer), "continue_from": None,
        }  # fmt: skip
        return self.typed(Learner, node.without("scorer", "validation"), wired)

    def trained(self, learner: Learner, coordinates: dict[str, str]) -> Checkpoint:
        """What a learner leaves, by the rule that it says is to be evaluated."""
        return kept(self.submit(learner, kind="learn", coordinates=coordinates), learner.keep)

    # -- what was there before ------------------------------------------------------------------------------

    def model(self, node: Node) -> ModelFolder:
        """What a node says of an existing model."""
        return self.typed(ModelFolder, node, ("backbone.tokenizer", "backbone.sha256"))

    def tokens_of(self, model: Model, store: DocumentStore) -> TokenStore | None:
        """The documents as an existing model reads them; None where it reads texts by itself."""
        return self.tokens(store, model.backbone) if isinstance(model, PretrainedModel) else None

    def pretrained(self, folder: ModelFolder) -> Model:
        """An existing model as it is."""
        if folder.xpmir is not None:
            local = LocalBackbone.C(path=folder.path).prepare(self.submit)
            limits = {"max_length": folder.max_length, "max_query_length": folder.max_query_length}
            return XpmirModel.C(scorer=folder.xpmir, path=local.path, sha256=local.sha256, **limits)
        backbone = (folder.backbone or LocalBackbone.C(path=folder.path)).prepare(self.submit)
        return PretrainedModel.C(
            backbone=backbone, max_length=folder.max_length, max_query_length=folder.max_query_length
        )

    def file_run(self, node: Node | None) -> FileRun | None:
        """A run that others wrote, published or identified by its content; None where there is no node."""
        return self.typed(FileRun, node, {"sha256": self._content(node)}) if node is not None else None

    def _content(self, node: Node) -> str | None:
        """sha256 of the file that a node names by its path; None where it is a published one."""
        path = node.get("path")
        if path is None or node.get("published") is not None:
            return None
        return self.submit.hashes.sha256(typed(Path, path))

    def external_run(self, path: Path) -> Run:
        """A run file from elsewhere, identified by its content."""
        return ExternalRun.C(path=path, sha256=self.submit.hashes.sha256(path))


def _text(node: Node | None, default: str = "(none)") -> str:
    return node.text if node is not None else default
