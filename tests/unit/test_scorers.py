"""Scorers: where weights come from, what identifies them, how they are saved, loaded and run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from xpm_ce.data.store import DocumentStore
from xpm_ce.engine import precision
from xpm_ce.engine.batches import computed_tokens, token_sorted_batches
from xpm_ce.engine.compute import computing
from xpm_ce.errors import ConfigurationError, DataError, MachineError
from xpm_ce.identity import HashCache
from xpm_ce.scorers.architecture import Architecture
from xpm_ce.scorers.backbones import HubBackbone, LocalBackbone
from xpm_ce.scorers.cross_encoder import CrossEncoder
from xpm_ce.scorers.families import FAMILIES
from xpm_ce.scorers.folders import content_sha256, loaded_files
from xpm_ce.scorers.loading import LoadedModel, RankedDocument, load
from xpm_ce.scorers.models import InitialModel, PretrainedModel
from xpm_ce.scorers.table import BACKBONES, SCORERS, backbone_class, scorer_class
from xpm_ce.scorers.weights import load_folder
from xpm_ce.tokens.train_wordpiece import save_tokenizer, train_vocabulary, word_counts
from xpm_ce.tokens.wordpiece import TokenizerFolder, TrainWordPiece

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
PAIRS = [(f"{WORDS[i % 10]} {WORDS[i % 7]}", " ".join(WORDS[j % 10] for j in range(i % 17))) for i in range(40)]
SUBMIT = SimpleNamespace(hashes=HashCache())


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer") / "t"
    save_tokenizer(folder, train_vocabulary(word_counts([" ".join(WORDS)] * 3), size=200))
    return folder


def architecture(tokenizer, **parameters):
    defaults = {
        "family": "bert", "hidden_size": 16, "num_layers": 2, "num_heads": 4, "intermediate_size": 32,
        "max_positions": 32, "dropout": 0.0, "initializer_range": 0.3,
    }  # fmt: skip
    return Architecture.C(**{**defaults, **parameters}, tokenizer=TokenizerFolder.C(path=tokenizer))


def cross_encoder(tokenizer, *, head_seed=0, max_length=32, max_query_length=8, **parameters):
    backbone = architecture(tokenizer, **parameters)
    return CrossEncoder.C(
        backbone=backbone, max_length=max_length, max_query_length=max_query_length, head_seed=head_seed
    )


@pytest.fixture(scope="module")
def saved(tokenizer, tmp_path_factory):
    """A cross-encoder's folder."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    cross_encoder(tokenizer).instance().build().save(folder)
    return folder


@pytest.fixture
def encoder_only(saved, tokenizer, tmp_path):
    """A folder with an encoder and a tokenizer, without a head."""
    AutoModel.from_pretrained(saved).save_pretrained(tmp_path / "encoder")
    AutoTokenizer.from_pretrained(saved).save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


def reference_scores(folder, pairs, **named):
    """Pair by pair through transformers alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        inputs = (tokenizer([query], [document], return_tensors="pt", **named) for query, document in pairs)
        return np.array([model(**each).logits.item() for each in inputs], np.float32)


# -- architectures ------------------------------------------------------------------------------------------


def test_the_same_seeds_give_the_same_weights_whatever_was_drawn_before(tokenizer):
    first = cross_encoder(tokenizer).instance().build().state_dict()
    torch.manual_seed(99)
    before = torch.get_rng_state()
    second = cross_encoder(tokenizer).instance().build().state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_has_a_seed_of_its_own(family, tokenizer):
    heads = [cross_encoder(tokenizer, family=family, head_seed=seed).instance().build().model for seed in (0, 1)]
    encoders = cross_encoder(tokenizer, family=family, seed=1).instance().build().model
    one, other, third = (model.state_dict() for model in (*heads, encoders))
    row = FAMILIES[family]
    assert all(torch.equal(one[name], other[name]) != name.startswith(row.head) for name in drawn(one))
    assert all(torch.equal(one[name], third[name]) == name.startswith(row.head) for name in drawn(one))


def drawn(weights):
    """Names of weights that are drawn: what starts as a constant is equal under every seed."""
    names = [name for name, each in weights.items() if each.is_floating_point() and each.unique().numel() > 2]
    assert len(names) > 10
    return names


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (
            {"family": "bert", "intermediate_size": 128},
            {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "type_vocab_size": 2, "num_labels": 1},
        ),
        (
            {"family": "modernbert", "intermediate_size": 96, "pooling": "mean"},
            {"classifier_pooling": "mean", "attention_dropout": 0.0, "mlp_dropout": 0.0, "classifier_dropout": 0.0},
        ),
    ],
)
def test_small_models_that_learn_from_scratch_can_be_declared(parameters, expected, tokenizer):
    shape = {"hidden_size": 64, "num_layers": 2, "num_heads": 4, "max_positions": 64, "initializer_range": 0.125}
    scorer = cross_encoder(tokenizer, max_length=64, max_query_length=32, **shape, **parameters).instance().build()
    config = scorer.model.config
    wanted = {
        **expected, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "max_position_embeddings": 64, "initializer_range": 0.125, "vocab_size": len(scorer.tokenizer),
        "intermediate_size": parameters["intermediate_size"],
    }  # fmt: skip
    assert {name: getattr(config, name) for name in wanted} == wanted
    assert scorer.reads_token_types == (parameters["family"] == "bert")
    assert scorer.head_is_new


def test_positions_that_roberta_reserves_are_added_to_those_asked_for(tokenizer):
    scorer = cross_encoder(tokenizer, family="roberta").instance().build()
    assert scorer.model.config.max_position_embeddings == 32 + scorer.padding_id + 1
    assert FAMILIES["roberta"].usable_positions(scorer.model.config) == 32


def test_the_vocabulary_of_an_architecture_is_trained_on_the_collection(tokenizer, tmp_path):
    backbone = Architecture.C(
        family="bert", hidden_size=16, num_layers=1, num_heads=2, intermediate_size=16, max_positions=32,
        vocab_size=300,
    )  # fmt: skip
    asked = []
    submit = lambda task, *, kind: asked.append((task, kind)) or TokenizerFolder.C(path=tokenizer)  # noqa: E731
    store = DocumentStore.C(path=tmp_path)
    assert backbone.prepare(submit, store=store) is backbone
    ((task, kind),) = asked
    assert isinstance(task, TrainWordPiece.C)
    assert (task.vocab_size, task.store, kind) == (300, store, "tokenizer")
    assert backbone.tokenizer.path == tokenizer
    with pytest.raises(ConfigurationError, match="needs a collection"):
        backbone.prepare(submit)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"family": "gpt2"}, "models of type 'gpt2' are not among the families"),
        ({"pooling": "mean"}, "pooling 'mean' does not exist in family bert"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"num_heads": 3}, "num_heads is 3, which does not divide hidden_size 16"),
    ],
)
def test_an_architecture_that_cannot_be_built_is_refused(parameters, message, tokenizer):
    with pytest.raises(ConfigurationError, match=message):
        Architecture.__validate__(architecture(tokenizer, **parameters))


@pytest.mark.parametrize(("max_length", "max_query_length"), [(32, 32), (0, 1), (16, 0)])
def test_limits_that_no_backbone_can_meet_are_refused(max_length, max_query_length, tokenizer):
    config = cross_encoder(tokenizer, max_length=max_length, max_query_length=max_query_length)
    with pytest.raises(ConfigurationError, match="max_length"):
        CrossEncoder.__validate__(config)


# -- folders and the hub ------------------------------------------------------------------------------------


def local(folder):
    return LocalBackbone.C(path=folder).prepare(SUBMIT)


def test_a_folder_is_identified_by_what_loading_reads_wherever_it_is(saved, tmp_path):
    moved = shutil.copytree(saved, tmp_path / "moved")
    before = local(saved).__identifier__().all
    (moved / "README.md").write_text("other words")
    (moved / "optimizer.pt").write_text("not read")
    assert local(moved).__identifier__().all == before
    for file in loaded_files(moved):
        content = file.read_bytes()
        file.write_bytes(content + b" ")
        assert local(moved).__identifier__().all != before, file.name
        file.write_bytes(content)
    assert local(moved).__identifier__().all == before


def test_nothing_but_the_files_that_are_hashed_is_needed_to_load(saved, tmp_path):
    names = {file.name for file in loaded_files(saved)}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    for name in names:
        shutil.copy(saved / name, tmp_path / name)
    before = load(saved, max_length=32, max_query_length=8).predict(PAIRS)
    after = load(tmp_path, max_length=32, max_query_length=8).predict(PAIRS)
    assert np.array_equal(before, after)


def test_a_vocabulary_beside_tokenizer_json_is_neither_hashed_nor_read(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "model")
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nalpha\n")
    assert content_sha256(folder, HashCache()) == content_sha256(saved, HashCache())
    assert np.array_equal(load(folder).predict(PAIRS), load(saved).predict(PAIRS))


def test_the_shards_of_an_index_are_all_hashed(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "model")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model-1.safetensors").write_bytes(weights)
    with pytest.raises(DataError, match=r"lacks model-2\.safetensors"):
        loaded_files(folder)
    (folder / "model-2.safetensors").write_bytes(weights)
    assert {"model-1.safetensors", "model-2.safetensors"} < {file.name for file in loaded_files(folder)}


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_an_incomplete_folder_is_refused_while_planning(name, saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "model")
    (folder / name).unlink()
    with pytest.raises(ConfigurationError, match="no complete transformers folder"):
        local(folder)


def test_a_folder_that_changes_after_planning_is_refused_by_the_job(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "model")
    backbone = local(folder).instance()
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    with pytest.raises(DataError, match="changed since the study was planned"):
        backbone.load(head_seed=0)


def test_a_missing_head_is_drawn_under_its_seed_and_said_to_be_new(encoder_only):
    backbone = local(encoder_only).instance()
    first, again, other = (backbone.load(head_seed=seed) for seed in (1, 1, 2))
    assert first.head_is_new
    assert first.new_weights == ["classifier.bias", "classifier.weight"]
    one, same, third = (each.model.state_dict() for each in (first, again, other))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert [name for name in one if not torch.equal(one[name], third[name])] == ["classifier.weight"]


def test_a_folder_with_a_head_is_loaded_whole(saved):
    loaded = load_folder(saved, head_seed=1)
    assert (loaded.head_is_new, loaded.new_weights) == (False, [])


def test_a_folder_that_lacks_a_layer_is_refused(saved, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(saved, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    kept = {name: each for name, each in weights.items() if ".layer.1." not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"16 weights outside of the head are missing, the first is bert\.encoder"):
        load_folder(folder, head_seed=0)


def test_a_model_with_two_outputs_is_refused(saved, tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(saved, num_labels=2, ignore_mismatched_sizes=True)
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(saved).save_pretrained(tmp_path)
    with pytest.raises(DataError, match="another shape than a model with one output"):
        load_folder(tmp_path, head_seed=0)


def test_a_folder_of_a_family_without_a_row_is_refused(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "gpt2"}))
    with pytest.raises(ConfigurationError, match="Families: bert, electra, roberta"):
        load_folder(folder, head_seed=0)


@pytest.mark.parametrize("revision", ["main", "v1.0", "0123abc"])
def test_a_revision_that_may_move_is_refused(revision):
    with pytest.raises(ConfigurationError, match="is not a commit"):
        HubBackbone.__validate__(HubBackbone.C(id="someone/model", revision=revision))


HUB = """
import sys, torch
torch.set_num_threads(1)
from xpm_ce.errors import DataError
from xpm_ce.scorers.backbones import HubBackbone
from xpm_ce.scorers.models import PretrainedModel
revision = "a" * 40
backbone = HubBackbone.C(id="someone/model", revision=revision).instance()
print(backbone.resolve())
model = PretrainedModel.C(backbone=HubBackbone.C(id="someone/model", revision=revision), max_length=32)
print(*model.instance().open().predict([("alpha beta", "gamma"), ("delta", "eta zeta")]).tolist())
try:
    HubBackbone.C(id="someone/model", revision="b" * 40).instance().resolve()
except DataError as error:
    print(error.remedy)
"""


def test_a_hub_model_loads_offline_from_the_hub_s_own_cache(saved, tmp_path):
    repository = tmp_path / "hub" / "models--someone--model"
    snapshot = repository / "snapshots" / ("a" * 40)
    (repository / "blobs").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    snapshot.mkdir(parents=True)
    for number, file in enumerate(loaded_files(saved)):
        shutil.copy(file, repository / "blobs" / str(number))
        (snapshot / file.name).symlink_to(os.path.join("..", "..", "blobs", str(number)))
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", HUB], capture_output=True, text=True, env=environment, timeout=180, check=True
    )
    folder, scores, remedy = done.stdout.splitlines()
    assert Path(folder) == snapshot
    expected = load(saved, max_length=32).predict([("alpha beta", "gamma"), ("delta", "eta zeta")])
    assert np.array_equal(np.array(scores.split(), np.float32), expected)
    assert remedy == f"Where there is a network: hf download someone/model --revision {'b' * 40}"


# -- saving and loading -------------------------------------------------------------------------------------


def test_a_saved_folder_is_complete_and_says_how_pairs_were_read(saved):
    assert {file.name for file in saved.iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "xpm_ce.json",
    }  # fmt: skip
    assert json.loads((saved / "xpm_ce.json").read_text()) == {"schema": 1, "max_length": 32, "max_query_length": 8}
    config = json.loads((saved / "config.json").read_text())
    assert config["sentence_transformers"]["activation_fn"] == "torch.nn.modules.linear.Identity"
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert len(config["id2label"]) == 1
    assert AutoTokenizer.from_pretrained(saved).model_max_length == 32


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_a_saved_folder_scores_the_same_in_sentence_transformers(family, tokenizer, tmp_path):
    from sentence_transformers import CrossEncoder as Theirs

    cross_encoder(tokenizer, family=family).instance().build().save(tmp_path / "model")
    ours = load(tmp_path / "model").predict(PAIRS)
    theirs = Theirs(str(tmp_path / "model"), device="cpu").predict(PAIRS)
    # fp32 sums in another order, batches being padded differently
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    assert np.array_equal(np.argsort(ours), np.argsort(theirs))


def test_predict_keeps_the_order_of_its_input_and_counts_what_it_read(saved):
    model = load(saved)
    pairs = [*PAIRS, ("alpha " * 12, "beta " * 40)]
    done = []
    scores = model.predict(pairs, tokens_per_batch=64, progress=done.append)
    alone = np.concatenate([model.predict([pair]) for pair in pairs])
    np.testing.assert_allclose(scores, alone, rtol=1e-5, atol=1e-6)  # fp32, other batches
    assert scores.dtype == np.float32
    model.predict(pairs, tokens_per_batch=64)
    lengths = model.scorer.encoder.encode(*zip(*pairs, strict=True)).lengths.tolist()
    counts = model.last_counts
    assert (counts.pairs, counts.pairs_truncated, counts.queries_truncated) == (41, 1, 1)
    assert counts.tokens == sum(lengths) <= counts.padded_tokens
    assert sum(done) == 41
    assert max(done) <= 64 // min(lengths)


def test_predicting_nothing_gives_nothing(saved):
    assert load(saved).predict([]).shape == (0,)


def test_rank_gives_documents_from_best_to_worst(saved):
    model = load(saved)
    documents = [document for _, document in PAIRS[:9]]
    scores = model.predict([("alpha", document) for document in documents])
    ranked = model.rank("alpha", documents)
    assert [each.index for each in ranked] == np.argsort(-scores, kind="stable").tolist()
    assert model.rank("alpha", documents, top_k=2) == ranked[:2]
    assert ranked[0] == RankedDocument(int(scores.argmax()), float(scores.max()), documents[scores.argmax()])


def test_a_folder_from_elsewhere_is_read_up_to_its_tokenizer_s_length(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "model")
    (folder / "xpm_ce.json").unlink()
    assert load(folder).scorer.limits.max_length == 32
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "model_max_length": int(1e30)}))
    limits = load(folder).scorer.limits
    assert (limits.max_length, limits.max_query_length) == (32, 28)
    assert load(folder, max_length=20).scorer.limits.max_length == 20


def test_a_folder_without_a_head_is_not_evaluated(encoder_only):
    model = PretrainedModel.C(backbone=local(encoder_only), max_length=32).instance()
    with pytest.raises(DataError, match=r"no head that scores: classifier\.bias, classifier\.weight are missing"):
        model.open()
    with pytest.raises(DataError, match="no head that scores"):
        load(encoder_only)


def test_an_existing_model_scores_as_transformers_does(saved):
    model = PretrainedModel.C(backbone=local(saved), max_length=32).instance().open()
    expected = reference_scores(saved, PAIRS, truncation="only_second", max_length=32)
    np.testing.assert_allclose(model.predict(PAIRS), expected, rtol=1e-5, atol=1e-5)  # fp32, other batches


def test_an_untrained_scorer_can_be_evaluated(tokenizer, saved):
    scorer = cross_encoder(tokenizer)
    scores = InitialModel.C(scorer=scorer).instance().open().predict(PAIRS)
    assert np.array_equal(scores, load(saved).predict(PAIRS))


def test_every_name_of_the_tables_is_a_class_of_that_name():
    assert {name: backbone_class(name).NAME for name in BACKBONES} == {name: name for name in BACKBONES}
    assert {name: scorer_class(name).NAME for name in SCORERS} == {name: name for name in SCORERS}


def test_configurations_of_scorers_load_no_torch():
    code = (
        "import sys; import xpm_ce.scorers.table as t, xpm_ce.scorers.models, xpm_ce.learn.learner, "
        "xpm_ce.engine.precision as p\n"
        "[t.backbone_class(name) for name in t.BACKBONES], [t.scorer_class(name) for name in t.SCORERS]\n"
        "p.capabilities()\n"
        "print(sorted({'torch', 'transformers', 'tokenizers', 'numpy', 'huggingface_hub'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


# -- precisions ---------------------------------------------------------------------------------------------


def test_capabilities_are_sorted_and_hold_fp32():
    assert list(precision.capabilities()) == sorted(precision.capabilities())
    assert "fp32" in precision.capabilities()


@pytest.mark.parametrize(
    ("name", "device", "available", "expected"),
    [
        ("bf16", "cpu", ("avx512_bf16", "fp32"), True),
        ("bf16", "cpu", ("amx_bf16", "fp32"), True),
        ("bf16", "cpu", ("avx512_vnni", "fp32", "cuda_ampere"), False),
        ("bf16", "cuda:1", ("cuda", "fp32"), False),
        ("bf16", "cuda:1", ("cuda", "cuda_ampere", "fp32"), True),
        ("tf32", "cpu", ("avx512_bf16", "amx_bf16", "fp32"), False),
        ("fp32", "cuda", ("fp32",), False),
    ],
)
def test_a_precision_is_supported_by_hardware_only(name, device, available, expected):
    assert precision.supported(name, device, available) is expected


def test_a_precision_without_hardware_is_refused_with_a_sentence():
    with pytest.raises(MachineError, match="no cpu computes in tf32"):
        precision.require("tf32", "cpu")
    with pytest.raises(ConfigurationError, match="There is no auto"):
        precision.require("auto", "cpu")


def test_fp32_is_real_whatever_the_switches_said_and_they_are_put_back():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with computing("fp32", torch.device("cpu")):
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.skipif("bf16" not in precision.capabilities(), reason="this processor has no bf16 instructions")
@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_scores_are_fp32_close_and_hardly_ever_tied(family, tokenizer, tmp_path):
    cross_encoder(tokenizer, family=family).instance().build().save(tmp_path / "model")
    pairs = [(" ".join(WORDS[i % 3 :][:3]), " ".join(WORDS[j % 10] for j in range(i))) for i in range(25)]
    exact, fast = (load(tmp_path / "model", precision=each).predict(pairs) for each in ("fp32", "bf16"))
    # 8 bits of mantissa: some percent of the spread of the scores after two layers
    assert np.abs(exact - fast).max() < 0.1 * exact.std()
    assert not np.array_equal(exact, fast)
    assert len(set(fast.tolist())) == len(set(exact.tolist()))


@pytest.mark.skipif("bf16" in precision.capabilities(), reason="this processor has bf16 instructions")
def test_bf16_is_refused_where_it_would_be_emulated(saved):
    with pytest.raises(MachineError, match="bf16 on cpu needs amx_bf16 or avx512_bf16"):
        load(saved, precision="bf16")


def test_a_gpu_that_is_not_there_is_refused(saved):
    if "cuda" in precision.capabilities():
        pytest.skip("this machine has a GPU")
    with pytest.raises(MachineError, match="this machine shows no NVIDIA GPU"):
        load(saved, device="cuda")


# -- batches ------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 50), max_size=200), st.integers(50, 300), st.booleans())
def test_batches_hold_every_sequence_once_and_stay_within_the_budget(lengths, budget, padded):
    batches = token_sorted_batches(lengths, tokens_per_batch=budget, padded=padded)
    assert sorted(place for batch in batches for place in batch.tolist()) == list(range(len(lengths)))
    longest = [max(lengths[place] for place in batch) for batch in batches]
    computed = [computed_tokens(np.array(lengths)[batch], padded=padded) for batch in batches]
    assert max(computed, default=0) <= budget
    if not padded:  # the next sequence would not have fitted
        next_ones = [lengths[batch[0]] for batch in batches[1:]]
        assert all(now + after > budget for now, after in zip(computed, next_ones, strict=False))
    assert longest == sorted(longest, reverse=True)
    shortest = [min(lengths[place] for place in batch) for batch in batches]
    assert all(before >= after for before, after in zip(shortest, longest[1:], strict=False))


def test_equal_lengths_stand_together_in_their_order():
    (batch,) = token_sorted_batches([3, 9, 1, 3], tokens_per_batch=36, padded=True)
    assert batch.tolist() == [1, 0, 3, 2]


def test_a_sequence_longer_than_the_budget_is_refused():
    with pytest.raises(ConfigurationError, match="tokens_per_batch is 8, but a sequence has 9 tokens"):
        token_sorted_batches([3, 9], tokens_per_batch=8, padded=False)


def test_a_loaded_model_is_of_the_precision_that_was_asked_for(saved):
    assert isinstance(load(saved), LoadedModel)
    assert load(saved).scorer.model.dtype == torch.float32
