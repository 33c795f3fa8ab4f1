"""The learner: it learns, it resumes to the bit, its gradient does not depend on batches, and its ledger is true."""

import csv
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from experimaestro import Meta
from experimaestro.xpmutils import DirectoryContext
from safetensors.torch import load_file

from xpm_ce.data.parts import DocumentRecord, Queries
from xpm_ce.data.store import DocumentStore
from xpm_ce.data.stored_documents import write_store
from xpm_ce.data.supervision import LABELS, TEACHER_SCORES
from xpm_ce.data.training_set import TrainingGroup, TrainingSet, write_training_set
from xpm_ce.engine.precision import capabilities
from xpm_ce.errors import ConfigurationError, DataError, MachineError
from xpm_ce.learn.learner import Learner
from xpm_ce.learn.loop import train
from xpm_ce.learn.schedules import SCHEDULES
from xpm_ce.losses.bce import Bce
from xpm_ce.losses.infonce import InfoNCE
from xpm_ce.losses.margin_mse import MarginMSE
from xpm_ce.samplers.groups import GroupSampler
from xpm_ce.scorers.backbones import Architecture
from xpm_ce.scorers.cross_encoder import CrossEncoder
from xpm_ce.scorers.families import FAMILIES
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
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


def tiny(world: Path, *, family: str = "bert", dropout: float = 0.0, **parameters) -> Architecture:
    return Architecture.C(
        family=family,
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        intermediate_size=64,
        max_positions=48,
        dropout=dropout,
        initializer_range=0.125,
        tokenizer=TokenizerFolder.C(path=world / "tokenizer"),
        **parameters,
    )


def learner_config(world: Path, *, family: str = "bert", dropout: float = 0.0, **parameters):
    backbone = tiny(world, family=family, dropout=dropout)
    defaults = {
        "store": DocumentStore.C(path=world / "store"),
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


def test_smoke(world, tmp_path):
    task = learner(world, tmp_path / "a", steps=100)
    train(task)
    rows = curve(task)
    print(rows[0], rows[-1])
    print(json.loads(task.ledger.read_text()))
    print(os.listdir(tmp_path / "a"), os.listdir(task.checkpoint))
