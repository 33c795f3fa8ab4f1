"""Every row of the published encoders, against the real classes of transformers at a small width.

Each row is published again in the test: a tokenizer of its class on a vocabulary trained here, an encoder of its family
with random weights and the row's own positions, in a repository of the hub's cache at the row's commit.
"""

import dataclasses
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.scorers.backbones import HubBackbone, PublishedBackbone
from xpm_ce.scorers.cross_encoder import CrossEncoder
from xpm_ce.scorers.loading import LoadedModel
from xpm_ce.scorers.published import PUBLISHED, Published
from xpm_ce.scorers.transformer import TransformerScorer
from xpm_ce.scorers.weights import load_folder
from xpm_ce.tokens.casing import lowers_case
from xpm_ce.tokens.pairs import special_tokens
from xpm_ce.tokens.wordpiece import SPECIAL_TOKENS

COMMIT = "c" * 40
"""Where the row has no commit on record"""

TEXTS = [
    "What is the capital of France? Paris is the capital, and the largest city.",
    "Crème brûlée, naïve façade: ACCENTS and Capitals matter to a tokenizer.",
    "In 1969 Apollo 11 landed on the Moon; Neil Armstrong walked there.",
    "re-ranking with cross-encoders (BERT, ELECTRA) costs O(n) forward passes...",
    "E = mc^2 — or so they say! “Quotes” and dashes – everywhere.",
    "The quick brown fox jumps over the lazy dog, again and again and again.",
] * 3  # fmt: skip

UNSEEN = [
    ("paris", "PARIS Is A City"),
    ("who walked on the moon?", "Armstrong did, in 1969 — not 1970 …"),
    ("naïve Façade", "x" * 60),
    ("emoji 🙂 here", "日本 and 中国, tab\tand\nnewline   and spaces"),
    ("[SEP] </s> as text", "a document with [CLS] in it"),
    ("?", "!"),
]

pytestmark = pytest.mark.usefixtures("one_thread")


def untrained_modernbert():
    """The Ettin suite's kind of tokenizer: bytes, no class of its own, the template in its file."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.add_special_tokens(list(SPECIAL_TOKENS))
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL_TOKENS, strict=True))
    inputs = ["input_ids", "attention_mask"]
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, model_input_names=inputs, **names)


def small_tokenizer(row):
    """A tokenizer of the row's class, trained here."""
    kind = getattr(transformers, row.tokenizer)
    untrained = untrained_modernbert() if row.template_in_files else kind()
    trained = untrained.train_new_from_iterator(TEXTS, 400, show_progress=False)
    if not row.row.reserved_positions:
        return trained
    # Positions count from the padding id: the special tokens get the places that they have in the published vocabulary.
    model = json.loads(trained.backend_tokenizer.to_str())["model"]
    first = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [*first, *(piece for piece in model["vocab"] if piece not in (*first, "<mask>")), "<mask>"]
    merges = [tuple(merge) for merge in model["merges"]]
    return kind(vocab={piece: place for place, piece in enumerate(pieces)}, merges=merges)


def shape(row, **sizes):
    """Keys of config.json for the row's family."""
    keys = {"vocab_size": row.vocabulary, "pad_token_id": row.padding_id}
    for name, value in sizes.items():
        keys |= dict.fromkeys(row.row.settings[name], value)
    types = {"type_vocab_size": row.token_types} if row.token_types > 1 else {}
    pooling = {"classifier_pooling": "mean"} if "mean of all" in row.head else {}
    rotary = {"global_rope_theta": 160000.0, "local_rope_theta": 160000.0} if row.family == "modernbert" else {}
    positions = {"max_position_embeddings": row.max_position_embeddings}
    return {**keys, **types, **row.row.fixed, **pooling, **rotary, **positions}


@dataclasses.dataclass(frozen=True)
class Republished:
    """A row's repository as it was written here, and the scorer that its short name gives."""

    row: Published
    folder: Path
    scorer: TransformerScorer
    model: Any
    """What scores in transformers, with the weights of the scorer"""
    encoder: dict[str, torch.Tensor]
    """The encoder's weights as they were published, by the names that they have in it"""

    @property
    def reference(self):
        """The tokenizer by transformers alone, lower-casing where the row says that the vocabulary is uncased."""
        return AutoTokenizer.from_pretrained(self.folder, **({"do_lower_case": True} if self.row.lower_case else {}))

    def scores(self, pairs):
        """Scores of single pairs by the library's own tokenizer and model."""
        tokenizer, scores = self.reference, []
        for query, document in pairs:
            inputs = tokenizer(
                [query], [document], truncation="only_second", max_length=self.row.usable_positions,
                return_token_type_ids=self.row.token_types > 1, return_tensors="pt",
            )  # fmt: skip
            with torch.no_grad():
                scores.append(self.model(**inputs).logits.item())
        return np.array(scores, np.float32)


PRE_TRAINED_AS = {
    "bert-base": transformers.BertForPreTraining,
    "minilm-l12": transformers.BertModel,
    "electra-base": transformers.ElectraForPreTraining,
    "roberta-base": transformers.RobertaForMaskedLM,
    "deberta-v3-base": transformers.DebertaV2ForMaskedLM,
}
"""Class whose weights a repository holds, by its row; the Ettin suite is a ModernBertForMaskedLM"""
SAFE = ("bert-base", "roberta-base")
"""Rows whose repository holds safetensors; the others hold pickles"""


def write_weights(row, config, folder):
    """Save a model of the class that the repository holds, as the repository holds it; gives the encoder's weights."""
    name = next(each for each, other in PUBLISHED.items() if other is row)
    model = PRE_TRAINED_AS.get(name, transformers.ModernBertForMaskedLM)(config)
    model.save_pretrained(folder)
    weights = model.state_dict()
    if name == "bert-base":  # its LayerNorm weights have the names of TensorFlow
        renamed = {
            key.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): value.clone()
            for key, value in weights.items()
        }
        save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    if name == "deberta-v3-base":
        weights = {key: value.half() for key, value in weights.items()}
        model.load_state_dict(weights)
    if name not in SAFE:
        (folder / "model.safetensors").unlink()
        torch.save(weights, folder / "pytorch_model.bin")
    return {key: value.clone() for key, value in model.base_model.state_dict().items()}


@pytest.fixture(scope="module", params=[name for name, row in PUBLISHED.items() if row.new_head])
def published(request, tmp_path_factory):
    name, row = request.param, PUBLISHED[request.param]
    cache = tmp_path_factory.mktemp("hub")
    folder = cache / f"models--{row.id.replace('/', '--')}" / "snapshots" / (row.revision or COMMIT)
    tokenizer = small_tokenizer(row)
    keys = shape(row, hidden_size=16, num_layers=2, num_heads=2, intermediate_size=16, initializer_range=0.3)
    special = {"pad_token_id": tokenizer.pad_token_id, "cls_token_id": tokenizer.cls_token_id}
    special |= {"sep_token_id": tokenizer.sep_token_id, "bos_token_id": tokenizer.cls_token_id}
    special |= {"eos_token_id": tokenizer.sep_token_id}
    config = AutoConfig.for_model(row.family, **{**keys, **special, "vocab_size": len(tokenizer)})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = write_weights(row, config, folder)
    tokenizer.save_pretrained(folder)
    if not row.says_lower_case:  # a vocabulary, and settings that keep capitals
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "do_lower_case": False}))
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.txt").write_text("\n".join(sorted(tokenizer.vocab, key=tokenizer.vocab.get)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
        backbone = PublishedBackbone.C(name=name, revision=None if row.revision else COMMIT)
        limits = {"max_length": row.usable_positions, "max_query_length": 100}
        wanted = CrossEncoder.C(backbone=backbone, **limits).prepare(None, store=None, queries=None)
        scorer = wanted.instance().build().eval()
    scorer.save(folder.parent / "saved")
    model = AutoModelForSequenceClassification.from_pretrained(folder.parent / "saved").eval()
    yield Republished(row, folder, scorer, model, encoder)
    shutil.rmtree(cache)


def test_every_weight_of_the_encoder_is_the_published_one_and_in_fp32(published):
    loaded = published.scorer.model.base_model.state_dict()
    for name, weights in published.encoder.items():
        if name.startswith("pooler") and name not in loaded:
            continue  # of a class whose head has none
        assert torch.equal(loaded[name], weights.float())
        assert loaded[name].dtype == torch.float32
    assert loaded.keys() - published.encoder.keys() <= {name.partition(".")[2] for name in published.scorer.new_weights}


def filler(tokenizer, tokens):
    """A text of exactly so many tokens."""
    for unit in (" a", "!", "?"):
        for count in (tokens, tokens - 1):
            if len(tokenizer(unit * count, add_special_tokens=False)["input_ids"]) == tokens:
                return unit * count
    raise AssertionError(f"no text of {tokens} tokens")


def test_ids_and_token_types_are_those_of_the_tokenizer_itself(published):
    tokenizer = published.reference
    for query, document in [*UNSEEN, *itertools.pairwise(TEXTS[:7])]:
        expected = tokenizer(query, document)
        encoded = published.scorer.encoder.encode([query], [document])
        assert encoded.ids.tolist() == expected["input_ids"]
        if published.row.token_types > 1:
            assert encoded.token_types.tolist() == expected["token_type_ids"]
        else:
            assert encoded.token_types is None


def test_the_longest_legal_pair_is_scored_as_transformers_does_and_one_more_token_is_cut_and_counted(published):
    row, scorer, tokenizer = published.row, published.scorer, published.reference
    query, room = filler(tokenizer, 2), row.usable_positions - row.specials - 2
    fits, longer = filler(tokenizer, room), filler(tokenizer, room + 1)
    assert len(tokenizer(query, fits)["input_ids"]) == row.usable_positions
    encoded = scorer.encoder.encode([query, query], [fits, longer])
    assert encoded.lengths.tolist() == [row.usable_positions] * 2
    assert encoded.document_truncated.tolist() == [False, True]
    expected = published.scores([(query, fits)])
    np.testing.assert_allclose(LoadedModel(scorer).predict([(query, fits)]), expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(ConfigurationError, match=f"the backbone has {row.usable_positions} usable positions"):
        type(scorer.encoder)(
            scorer.tokenizer,
            dataclasses.replace(scorer.limits, max_length=row.usable_positions + 1),
            usable_positions=row.row.usable_positions(scorer.model.config),
            token_types=False,
        )


def test_scores_are_those_of_transformers(published):
    pairs = [*UNSEEN, *itertools.pairwise(TEXTS[:7])]
    expected = published.scores(pairs)
    assert expected.std() > 0.01
    np.testing.assert_allclose(LoadedModel(published.scorer).predict(pairs), expected, rtol=1e-5, atol=1e-5)


def test_the_row_says_what_its_tokenizer_and_its_model_do(published):
    row, scorer = published.row, published.scorer
    assert isinstance(scorer.tokenizer, getattr(transformers, row.tokenizer))
    assert special_tokens(scorer.tokenizer) == row.specials
    assert lowers_case(scorer.tokenizer) == row.lower_case
    assert scorer.reads_token_types == (row.token_types > 1)
    assert row.row.usable_positions(scorer.model.config) == row.usable_positions
    assert all(name.startswith(row.row.head) for name in scorer.new_weights)
    assert ("mean of all" in row.head) == (getattr(scorer.model.config, "classifier_pooling", "cls") == "mean")


@pytest.mark.parametrize("published", ["minilm-l12"], indirect=True)
def test_the_files_of_minilm_do_not_decide_about_capitals(published):
    as_published = AutoTokenizer.from_pretrained(published.folder)
    assert as_published.tokenize("Paris") != published.scorer.tokenizer.tokenize("Paris") == ["paris"]
    saved = AutoTokenizer.from_pretrained(published.folder.parent / "saved")
    assert saved.tokenize("Paris") == ["paris"]


@pytest.mark.parametrize("published", ["ettin-17m"], indirect=True)
def test_an_ettin_folder_whose_embeddings_are_only_in_the_decoder_is_refused(published, tmp_path):
    folder = shutil.copytree(published.folder, tmp_path / "converted")
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    del weights["model.embeddings.tok_embeddings.weight"]
    (folder / "pytorch_model.bin").unlink()
    save_file({key: value.clone() for key, value in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        DataError, match=r"outside of the head are missing, the first is model\.embeddings\.tok_embeddings"
    ):
        load_folder(folder, head_seed=0)


# -- rows without files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_architecture_of_a_row_has_as_many_parameters_as_its_authors_count(name):
    row = PUBLISHED[name]
    sizes = {
        "hidden_size": row.hidden_size, "num_layers": row.layers, "num_heads": row.heads,
        "intermediate_size": row.intermediate_size,
    }  # fmt: skip
    with torch.device("meta"):
        model = AutoModel.from_config(AutoConfig.for_model(row.family, **shape(row, **sizes)))
    counted = sum(weights.numel() for weights in model.parameters()) / 1e6
    assert counted == pytest.approx(row.millions, rel=0.03)


def prepared(name, **keys):
    return PublishedBackbone.C(name=name, **keys).prepare(None)


def test_a_short_name_is_the_hub_s_repository_at_the_commit_on_record_and_has_its_identity():
    row = PUBLISHED["bert-base"]
    by_name, by_id = prepared("bert-base"), HubBackbone.C(id=row.id, revision=row.revision)
    assert by_name.__xpm__.identifier.all == by_id.__xpm__.identifier.all
    assert prepared("bert-base", revision=COMMIT).revision == COMMIT
    assert prepared("minilm-l12").lower_case is True
    assert by_name.lower_case is None


def test_a_row_without_a_commit_says_what_to_add():
    backbone = prepared("electra-base")
    assert isinstance(backbone, PublishedBackbone)
    assert "Add revision: to this backbone" in backbone.obstacle
    assert prepared("electra-base", revision=COMMIT).obstacle is None
    with pytest.raises(ConfigurationError, match="is not a commit"):
        PublishedBackbone.__validate__(PublishedBackbone.C(name="bert-base", revision="main"))
    with pytest.raises(ConfigurationError, match="Did you mean bert-base"):
        PublishedBackbone.__validate__(PublishedBackbone.C(name="bert-basee"))


def test_rows_are_complete_and_distinct():
    assert len({row.id for row in PUBLISHED.values()}) == len(PUBLISHED) == 10
    for row in PUBLISHED.values():
        assert row.citation.startswith("@")
        assert row.citation.count("{") == row.citation.count("}")
        assert row.licence in ("MIT", "Apache-2.0")
        assert row.revision is None or len(row.revision) == 40
