"""Learners that are small enough for a test: a world of texts, a tiny model, and a task as its job sees it."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from experimaestro import Meta
from experimaestro.xpmutils import DirectoryContext
from safetensors.torch import load_file

from xpm_ce.data.parts import DocumentRecord, Qrels, Queries
from xpm_ce.data.runs import Ranking, Run, write_run
from xpm_ce.data.store import DocumentStore
from xpm_ce.data.stored_documents import write_store
from xpm_ce.data.supervision import LABELS, TEACHER_SCORES
from xpm_ce.data.training_set import TrainingGroup, TrainingSet, write_training_set
from xpm_ce.learn.learner import Learner
from xpm_ce.learn.validation import Validation, ValidationSet
from xpm_ce.losses.margin_mse import MarginMSE
from xpm_ce.samplers.groups import GroupSampler
from xpm_ce.scorers.architecture import Architecture
from xpm_ce.scorers.cross_encoder import CrossEncoder
from xpm_ce.tokens.store import TokeniseDocuments, TokenStore
from xpm_ce.tokens.tokenising import tokenise
from xpm_ce.tokens.train_wordpiece import save_tokenizer, train_vocabulary, word_counts
from xpm_ce.tokens.wordpiece import TokenizerFolder

QUERIES, DOCUMENTS = 12, 40


class ToyQueries(Queries):
    """Queries in a JSON file."""

    __xpmid__ = "tests.toy_queries"

    file: Meta[Path]

    def read(self):
        return json.loads(Path(self.file).read_text())


def make_world(folder: Path) -> Path:
    """Documents that say good or bad among other words: the good ones are relevant to every query."""
    draw = np.random.default_rng(0)
    fillers = [f"{a}{b}" for a in ("ka", "lo", "mi", "nu") for b in ("ra", "se", "ti")]
    texts = []
    for row in range(DOCUMENTS):
        words = list(draw.choice(fillers, size=int(draw.integers(2, 12))))
        words.insert(int(draw.integers(len(words))), "bad" if row % 2 else "good")
        texts.append(" ".join(words))
    queries = {f"q{i}": " ".join(draw.choice(fillers, size=2)) for i in range(QUERIES)}
    records = (DocumentRecord(f"d{row}", "", text) for row, text in enumerate(texts))
    write_store(folder / "store", records, text="{title} {text}")
    (folder / "queries.json").write_text(json.dumps(queries))
    groups = []
    for query in queries:
        rows = np.sort(draw.choice(DOCUMENTS, size=16, replace=False))
        good = rows % 2 == 0
        groups.append(TrainingGroup(query, rows, np.where(good, 1, -1), good + draw.normal(0, 0.1, len(rows))))
    write_training_set(folder / "training_set", groups, supervision=[LABELS, TEACHER_SCORES], counts={})
    save_tokenizer(folder / "tokenizer", train_vocabulary(word_counts([*texts, *queries.values()]), size=200))
    store_tokens(folder)
    return folder


def store_tokens(folder: Path) -> None:
    """Tokenise the store of a world by its tokenizer."""
    (folder / "tokens").mkdir()
    tokenizer = TokenizerFolder.C(path=folder / "tokenizer")
    task = TokeniseDocuments.C(store=DocumentStore.C(path=folder / "store"), tokenizer=tokenizer)
    tokenise(task.instance(DirectoryContext(folder / "tokens")))


def tiny(world: Path, *, family: str = "bert", dropout: float = 0.0, **parameters) -> Architecture:
    """A backbone of a family, from scratch."""
    defaults = {
        "hidden_size": 32, "num_layers": 2, "num_heads": 4, "intermediate_size": 64, "max_positions": 48,
        "initializer_range": 0.125, "tokenizer": TokenizerFolder.C(path=world / "tokenizer"),
    }  # fmt: skip
    return Architecture.C(family=family, dropout=dropout, **{**defaults, **parameters})


def learner_config(world: Path, *, family: str = "bert", dropout: float = 0.0, **parameters):
    backbone = tiny(world, family=family, dropout=dropout)
    defaults = {
        "tokens": TokenStore.C(path=world / "tokens" / "tokens"),
        "queries": ToyQueries.C(file=world / "queries.json"),
        "training_set": TrainingSet.C(path=world / "training_set", supervision=[LABELS, TEACHER_SCORES]),
        "scorer": CrossEncoder.C(backbone=backbone, max_length=32, max_query_length=8),
        "loss": MarginMSE.C(),
        "sampler": GroupSampler.C(queries=4, negatives=1),
        "steps": 8,
        "learning_rate": 2e-3,
        "warmup_steps": 2,
    }
    return Learner.C(**{**defaults, **parameters})


def learner(world: Path, folder: Path, **parameters) -> Learner:
    """A learner as its job sees it, with its outputs in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return learner_config(world, **parameters).instance(DirectoryContext(folder))


def weights(task: Learner) -> dict[str, torch.Tensor]:
    return load_file(task.checkpoint / "model.safetensors")


def assert_same_weights(one: Learner, other: Learner) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    different = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert not different


def curve(task: Learner) -> list[dict[str, str]]:
    with open(task.curve, newline="") as stream:
        return list(csv.DictReader(stream))


class Interrupted(Exception):
    """What stops a training from outside."""


def interrupt_at(step: int) -> Callable[[int], None]:
    """What stops a training after a step."""

    def after_step(done):
        if done == step:
            raise Interrupted

    return after_step


class ToyQrels(Qrels):
    """Judgements in a JSON file."""

    __xpmid__ = "tests.toy_qrels"

    file: Meta[Path]

    def read(self):
        return json.loads(Path(self.file).read_text())


VALIDATED = 10
"""Documents per query of a validation set's first stage"""


def validation_set(world: Path, name: str, *, seed: int):
    """Queries of the world with a first stage of random order; what says good is relevant."""
    draw, folder = np.random.default_rng(seed), world / name
    queries = json.loads((world / "queries.json").read_text())
    if not folder.exists():
        folder.mkdir()
        rows = {query: draw.choice(DOCUMENTS, size=VALIDATED, replace=False) for query in queries}
        run = {
            query: Ranking([f"d{row}" for row in its], np.arange(VALIDATED, 0, -1, dtype=np.float32))
            for query, its in rows.items()
        }
        write_run(folder / "run.gz", run, tag="random")
        qrels = {query: {f"d{row}": int(row % 2 == 0) for row in its} for query, its in rows.items()}
        (folder / "qrels.json").write_text(json.dumps(qrels))
    return ValidationSet.C(
        name=name, queries=ToyQueries.C(file=world / "queries.json"), qrels=ToyQrels.C(file=folder / "qrels.json"),
        run=Run.C(path=folder / "run.gz"), store=DocumentStore.C(path=world / "store"),
        tokens=TokenStore.C(path=world / "tokens" / "tokens"),
    )  # fmt: skip


def validation(world: Path, *, sets: int = 2, **parameters):
    """A validation on random first stages."""
    defaults = {"interval": 2, "depth": 8}
    found = [validation_set(world, f"validation-{number}", seed=number) for number in range(sets)]
    return Validation.C(sets=found, **{**defaults, **parameters})
