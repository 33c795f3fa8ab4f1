"""SPLADE as a first stage, on a tiny random masked language model: weights, index, retrieval, identity."""

import functools
import json

import numpy as np
import pytest
import torch
from experimaestro import DirectoryContext
from fixtures.in_process import InProcess, identity
from studies import plan_of, study
from transformers import AutoModelForMaskedLM, AutoTokenizer, BertConfig, BertForMaskedLM, BertModel

from xpm_ce.data.folder import Folder
from xpm_ce.data.store import StoreDocuments
from xpm_ce.errors import ConfigurationError, DataError, UnknownKeyError
from xpm_ce.firststage import splade_jobs
from xpm_ce.firststage.encoding import Splade
from xpm_ce.firststage.splade import SpladeEncoder, SpladeIndex, SpladeRetrieve
from xpm_ce.graph.planner import State, Why
from xpm_ce.identity import HashCache
from xpm_ce.scorers.architecture import Architecture
from xpm_ce.scorers.backbones import HubBackbone, LocalBackbone
from xpm_ce.scorers.folders import content_sha256
from xpm_ce.tokens.train_wordpiece import save_tokenizer, train_vocabulary, word_counts

pytestmark = pytest.mark.usefixtures("one_thread")

WORDS = [f"{first}{second}" for first in ("al", "be", "ga", "del", "ep") for second in ("pha", "ta", "mma", "to")]
MAX_LENGTH = 12
SAME = ("d05", "d17", "d30")
"""Documents of one text"""


def some_texts():
    drawn = np.random.default_rng(0)
    texts = {f"d{n:02}": " ".join(drawn.choice(WORDS, drawn.integers(1, 20))) for n in range(40)}
    return {**texts, **dict.fromkeys(SAME, texts[SAME[0]])}


TEXTS = some_texts()
QUERIES = {f"q{n}": " ".join(WORDS[n : n + 3]) for n in range(12)} | {"d03": "epto alpha"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A masked language model with random weights, of which about a third of the logits are above 0."""
    path = tmp_path_factory.mktemp("splade") / "model"
    save_tokenizer(path, train_vocabulary(word_counts([" ".join(WORDS)] * 3), size=120))
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=120, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=32, initializer_range=0.5,
    )  # fmt: skip
    model = BertForMaskedLM(shape)
    model.cls.predictions.bias.data -= 1.0
    model.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def encoder(folder):
    backbone = LocalBackbone.C(path=folder, sha256=content_sha256(folder, HashCache()))
    return SpladeEncoder.C(backbone=backbone, max_length=MAX_LENGTH)


@pytest.fixture
def prepared(tmp_path):
    """(submitter, document store, queries) of a little collection."""
    path = tmp_path / "collection"
    (path / "qrels").mkdir(parents=True)
    (path / "corpus.jsonl").write_text("".join(json.dumps({"_id": i, "text": t}) + "\n" for i, t in TEXTS.items()))
    (path / "queries.jsonl").write_text("".join(json.dumps({"_id": i, "text": t}) + "\n" for i, t in QUERIES.items()))
    (path / "qrels" / "test.tsv").write_text("".join(f"{query} 0 d01 1\n" for query in QUERIES))
    submit = InProcess(tmp_path / "workspace")
    parts = Folder.C(path=path).prepare(submit)
    return submit, submit(StoreDocuments.C(documents=parts.documents)), parts.queries("test")


@functools.cache
def loaded(folder):
    return AutoTokenizer.from_pretrained(folder), AutoModelForMaskedLM.from_pretrained(folder).eval().double()


def matrix(folder, texts):
    """The definition, for one text alone: max over tokens of log(1 + relu(logit)), float64 [texts, vocabulary]."""
    tokenizer, model = loaded(folder)
    rows = []
    for text in texts:
        tokens = tokenizer(text, truncation=True, max_length=MAX_LENGTH, return_tensors="pt")
        with torch.no_grad():
            logits = model(**tokens).logits[0]
        rows.append(torch.log(1 + torch.relu(logits)).max(dim=0).values.numpy())
    return np.array(rows)


def test_weights_are_those_of_the_definition_whatever_the_batch(folder, encoder):
    texts = list(TEXTS.values())
    found = Splade(encoder.instance()).weigh(texts)
    expected = matrix(folder, texts)
    dense = np.zeros_like(expected)
    for row, each in enumerate(found):
        dense[row, each.entries.astype(int)] = each.weights
        assert (np.diff(each.entries.astype(int)) > 0).all()
        assert (each.weights > 0).all()
    np.testing.assert_allclose(dense, expected, atol=1e-5)  # rounding of fp32 in a network with large weights
    assert 0.05 < (dense > 0).mean() < 0.9  # else this shows nothing
    lengths = [len(AutoTokenizer.from_pretrained(folder)(text)["input_ids"]) for text in texts]
    assert [each.cut for each in found] == [length > MAX_LENGTH for length in lengths]
    assert len({each.cut for each in found}) == 2


def retrieved(prepared, encoder, **settings):
    submit, store, queries = prepared
    index = submit(SpladeIndex.C(store=store, encoder=encoder))
    run = submit(SpladeRetrieve.C(index=index, queries=queries, **settings)).instance()
    return run.read(), json.loads((run.path.parent / "counts.json").read_text())


@pytest.mark.parametrize("depth", [1, 7, 40])
def test_retrieval_is_the_dot_product_of_all_pairs(folder, encoder, prepared, depth):
    run, counts = retrieved(prepared, encoder, depth=depth)
    scores = matrix(folder, QUERIES.values()) @ matrix(folder, TEXTS.values()).T
    ids = np.array(list(TEXTS))
    assert list(run) == list(QUERIES)
    for row, ranking in zip(scores, run.values(), strict=True):
        hits = row > 0
        assert len(ranking.documents) == min(depth, hits.sum())
        of_ours = row[[list(TEXTS).index(document) for document in ranking.documents]]
        np.testing.assert_allclose(ranking.scores, of_ours, rtol=1e-4)
        best = np.sort(row)[::-1][: len(of_ours)]
        np.testing.assert_allclose(of_ours, best, rtol=1e-5)  # nothing better is left out, and the order is that of it
        assert set(ranking.documents) <= set(ids[hits])
    assert counts["documents"] == sum(len(ranking.documents) for ranking in run.values())


def test_equal_documents_stand_by_id_and_a_tie_at_the_cut_is_counted(encoder, prepared):
    whole, _ = retrieved(prepared, encoder, depth=40)
    for ranking in whole.values():
        places = [ranking.documents.index(each) for each in SAME]
        assert places == list(range(places[0], places[0] + 3))
    depth = places[1]  # of the last query: between the first and the second of the three
    _, counts = retrieved(prepared, encoder, depth=depth)
    assert counts["queries_tied_at_cut"] >= 1


def test_a_document_with_the_id_of_the_query_can_be_left_out(encoder, prepared):
    kept, _ = retrieved(prepared, encoder)
    left_out, _ = retrieved(prepared, encoder, ignore_identical_ids=True)
    assert "d03" in kept["d03"].documents
    assert left_out["d03"].documents == [each for each in kept["d03"].documents if each != "d03"]


class Stopped(Exception):
    pass


@pytest.mark.parametrize("blocks_before", [1, 2, 4])
def test_an_interrupted_index_goes_on_and_ends_the_same(encoder, prepared, monkeypatch, tmp_path, blocks_before):
    monkeypatch.setattr(splade_jobs, "DOCUMENTS_AT_ONCE", 8)
    submit, store, _ = prepared
    whole = submit(SpladeIndex.C(store=store, encoder=encoder))
    folder = tmp_path / "interrupted"
    folder.mkdir()
    task = SpladeIndex.C(store=store, encoder=encoder).instance(DirectoryContext(folder))

    seen, encoded = [], []

    def stop(share, words):
        seen.append(share)
        if len(seen) == blocks_before:
            raise Stopped

    with pytest.raises(Stopped):
        splade_jobs.index(task, progress=stop)
    assert not task.index.exists()
    splade_jobs.index(task, progress=lambda share, words: encoded.append(share))
    assert len(encoded) <= 5 - (blocks_before - 1)  # 40 documents are 5 blocks; the one in hand is encoded again
    assert (folder / "counts.json").read_bytes() == (whole.path.parent / "counts.json").read_bytes()
    for name in ("postings.dat", "information.bin"):
        assert (task.index / name).read_bytes() == (whole.path / name).read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["counts.json", "index"]


def test_a_folder_without_the_head_is_refused(folder, tmp_path):
    headless = tmp_path / "headless"
    BertModel.from_pretrained(folder).save_pretrained(headless)
    AutoTokenizer.from_pretrained(folder).save_pretrained(headless)
    backbone = LocalBackbone.C(path=headless, sha256=content_sha256(headless, HashCache()))
    with pytest.raises(DataError, match="no head of a masked language model"):
        Splade(SpladeEncoder.C(backbone=backbone).instance())


def test_more_tokens_than_the_model_has_positions_are_refused(folder):
    backbone = LocalBackbone.C(path=folder, sha256=content_sha256(folder, HashCache()))
    with pytest.raises(DataError, match="max_length is 33, but the model has 32 positions"):
        Splade(SpladeEncoder.C(backbone=backbone, max_length=33).instance())


def test_the_encoder_is_in_the_identity_and_the_device_is_not(encoder, prepared):
    _, store, _ = prepared
    shorter = SpladeEncoder.C(backbone=encoder.backbone, max_length=MAX_LENGTH - 1)
    index = SpladeIndex.C(store=store, encoder=encoder)
    assert identity(index) == identity(SpladeIndex.C(store=store, encoder=encoder, device="cuda"))
    assert identity(index) != identity(SpladeIndex.C(store=store, encoder=shorter))


@pytest.mark.parametrize(
    "settings", [{"max_length": 2}, {"precision": "fp8"}, {"backbone": Architecture.C(family="bert", hidden_size=16)}]
)
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(ConfigurationError):
        SpladeEncoder.__validate__(SpladeEncoder.C(**settings))


# -- in a study ---------------------------------------------------------------------------------------------


def kinds(plan, state):
    return {job.kind for job in plan.jobs if job.state is state}


def test_a_study_re_ranks_splade(folder, tmp_path):
    section = {"type": "splade", "backbone": {"type": "local", "path": str(folder)}, "max_length": 12, "depth": 20}
    plan = plan_of(tmp_path / "ws", file=study(tmp_path, first_stage=section))
    assert not kinds(plan, State.BLOCKED)
    (index,) = [job for job in plan.jobs if job.kind == "index"]
    assert index.config.encoder.max_length == 12
    retrievals = [job for job in plan.jobs if job.kind == "retrieve"]
    assert {job.config.depth for job in retrievals} == {20}
    assert len(retrievals) == 2  # training and test queries, over one index
    assert "SPLADE" in {result.coordinates.get("first stage") for result in plan.results}


def test_without_a_commit_of_the_published_weights_the_index_is_blocked_and_says_what_to_give(tmp_path):
    plan = plan_of(tmp_path / "ws", file=study(tmp_path, first_stage={"type": "splade"}))
    (index,) = [job for job in plan.jobs if job.kind == "index"]
    assert index.reason.why is Why.UNAVAILABLE
    assert "no commit of naver/splade-v3-distilbert is on record. Give backbone: {type: hub" in index.reason.values[0]
    given = {"type": "hub", "id": "naver/splade-v3-distilbert", "revision": "d" * 40}
    plan = plan_of(tmp_path / "ws", file=study(tmp_path, first_stage={"type": "splade", "backbone": given}))
    assert not kinds(plan, State.BLOCKED)
    assert isinstance(next(job for job in plan.jobs if job.kind == "index").config.encoder.backbone, HubBackbone)


def test_an_unknown_key_of_splade_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(UnknownKeyError, match="max_length"):
        plan_of(tmp_path / "ws", file=study(tmp_path, first_stage={"type": "splade", "max_lenght": 12}))
