"""The learner gives the weights of a plain loop over transformers and torch that shares no code with it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from experimaestro import Meta
from experimaestro.xpmutils import DirectoryContext
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup

from xpm_ce.data.parts import DocumentRecord, Queries
from xpm_ce.data.store import DocumentStore
from xpm_ce.data.stored_documents import StoredDocuments, write_store
from xpm_ce.data.supervision import LABELS, TEACHER_SCORES
from xpm_ce.data.training_set import TrainingGroup, TrainingSet, write_training_set
from xpm_ce.learn.learner import Learner
from xpm_ce.learn.loop import train
from xpm_ce.losses.bce import Bce
from xpm_ce.losses.infonce import InfoNCE
from xpm_ce.losses.margin_mse import MarginMSE
from xpm_ce.samplers.groups import GroupSampler
from xpm_ce.scorers.architecture import Architecture
from xpm_ce.scorers.cross_encoder import CrossEncoder
from xpm_ce.tokens.store import TokeniseDocuments, TokenStore
from xpm_ce.tokens.tokenising import tokenise
from xpm_ce.tokens.train_wordpiece import save_tokenizer, train_vocabulary, word_counts
from xpm_ce.tokens.wordpiece import TokenizerFolder

STEPS, WARMUP, RATE, LENGTH = 20, 5, 1e-3, 24


pytestmark = pytest.mark.usefixtures("one_thread")


class WrittenQueries(Queries):
    """Queries in a JSON file."""

    __xpmid__ = "tests.written_queries"

    file: Meta[Path]

    def read(self):
        return json.loads(Path(self.file).read_text())


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Thirty documents of up to thirty words, so that some are cut, and ten queries with a teacher."""
    folder = tmp_path_factory.mktemp("world")
    draw = np.random.default_rng(3)
    words = [f"{a}{b}" for a in "bdfgk" for b in ("am", "el", "in", "or")]
    texts = [" ".join(draw.choice(words, size=draw.integers(1, 30))) for _ in range(30)]
    queries = {f"q{i}": " ".join(draw.choice(words, size=3)) for i in range(10)}
    write_store(folder / "store", (DocumentRecord(f"d{i}", "", t) for i, t in enumerate(texts)), text="{text}")
    (folder / "queries.json").write_text(json.dumps(queries))
    groups = [
        TrainingGroup(query, np.arange(i, i + 12), [1] * 3 + [-1] * 9, draw.normal(size=12))
        for i, query in enumerate(queries)
    ]
    write_training_set(folder / "set", groups, supervision=[LABELS, TEACHER_SCORES], counts={})
    save_tokenizer(folder / "tokenizer", train_vocabulary(word_counts([*texts, *queries.values()]), size=200))
    (folder / "tokens").mkdir()
    tokens = TokeniseDocuments.C(
        store=DocumentStore.C(path=folder / "store"), tokenizer=TokenizerFolder.C(path=folder / "tokenizer")
    )
    tokenise(tokens.instance(DirectoryContext(folder / "tokens")))
    return folder


def margin_mse(scores, teacher):
    """Over all pairs of a group (arXiv 2010.02666 has groups of two)."""
    pairs = [(i, j) for i in range(scores.shape[1]) for j in range(i)]
    return torch.stack([(scores[:, i] - scores[:, j] - teacher[:, i] + teacher[:, j]) ** 2 for i, j in pairs]).mean()


def infonce(scores, teacher):
    """The first document of a group is its positive."""
    return -torch.log_softmax(scores, 1)[:, 0].mean()


def bce(scores, teacher):
    labels = torch.zeros_like(scores)
    labels[:, 0] = 1
    return torch.nn.functional.binary_cross_entropy_with_logits(scores, labels)


UNSEEN = {bce: ("key.bias",), margin_mse: ("key.bias", "classifier.bias"), infonce: ("key.bias", "classifier.bias")}
"""Weights whose gradient is 0 but for rounding, which Adam scales up: a softmax does not see what all its inputs share,
nor does a loss on differences see what all scores share"""


def plain_loop(task, initial, reference_loss):
    """Weights after the same steps, one padded batch each, by transformers and torch alone."""
    model = AutoModelForSequenceClassification.from_pretrained(initial).train()
    tokenizer = AutoTokenizer.from_pretrained(initial)
    queries, groups = task.queries.read(), task.training_set.open()
    texts = StoredDocuments(task.tokens.path.parents[1] / "store")
    steps = task.sampler.open(groups, task.seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimiser, WARMUP, STEPS)
    for step in range(STEPS):
        drawn = steps.step(step)
        pairs = [(queries[groups.query_id(g.query_index)], texts.text(row)) for g in drawn for row in g.documents]
        inputs = tokenizer(
            [query for query, _ in pairs], [document for _, document in pairs],
            truncation="only_second", max_length=LENGTH, padding=True, return_tensors="pt",
        )  # fmt: skip
        scores = model(**inputs).logits.view(len(drawn), -1)
        teacher = torch.tensor(np.array([group.teacher_scores for group in drawn]))
        reference_loss(scores, teacher).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
    return model.state_dict()


@pytest.mark.parametrize("family", ["bert", "modernbert"])
@pytest.mark.parametrize(("loss", "reference_loss"), [(MarginMSE, margin_mse), (InfoNCE, infonce), (Bce, bce)])
def test_twenty_steps_give_the_weights_of_a_plain_loop(family, loss, reference_loss, world, tmp_path):
    backbone = Architecture.C(
        family=family, hidden_size=32, num_layers=2, num_heads=4, intermediate_size=64, max_positions=LENGTH,
        dropout=0.0, initializer_range=0.125, tokenizer=TokenizerFolder.C(path=world / "tokenizer"),
    )  # fmt: skip
    task = Learner.C(
        tokens=TokenStore.C(path=world / "tokens" / "tokens"),
        queries=WrittenQueries.C(file=world / "queries.json"),
        training_set=TrainingSet.C(path=world / "set", supervision=[LABELS, TEACHER_SCORES]),
        scorer=CrossEncoder.C(backbone=backbone, max_length=LENGTH, max_query_length=8),
        loss=loss.C(), sampler=GroupSampler.C(queries=4, negatives=3),
        steps=STEPS, warmup_steps=WARMUP, learning_rate=RATE,
    ).instance(DirectoryContext(tmp_path))  # fmt: skip
    task.scorer.build().save(tmp_path / "initial")
    train(task)
    ours = load_file(task.checkpoint / "model.safetensors")
    theirs = plain_loop(task, tmp_path / "initial", reference_loss)
    assert json.loads(task.ledger.read_text())["pairs_truncated"] > 0
    initial = load_file(tmp_path / "initial" / "model.safetensors")
    assert max((ours[name] - initial[name]).abs().max() for name in ours) > RATE
    compared = [name for name in ours if not name.endswith(UNSEEN[reference_loss])]
    assert len(compared) >= len(ours) - 3
    for name in compared:
        # one fused kernel against torch's plain one: their roundings differ
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=1e-6, msg=name)
