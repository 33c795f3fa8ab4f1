"""Every family of backbones, with a tokenizer of its own kind, scores as transformers does.

The folders are written by transformers alone, from a configuration and a seed.
"""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertTokenizer,
    DebertaV2Tokenizer,
    DistilBertTokenizer,
    ElectraTokenizer,
    PreTrainedTokenizerFast,
    RobertaTokenizer,
    XLMRobertaTokenizer,
)

from xpm_ce.errors import ConfigurationError
from xpm_ce.scorers.families import FAMILIES
from xpm_ce.scorers.loading import load
from xpm_ce.tokens.pairs import special_tokens
from xpm_ce.tokens.wordpiece import SPECIAL_TOKENS

LETTERS = "abcdefghij"
USABLE = 48
"""Tokens that the models have positions for"""


def word_pieces(kind):
    pieces = [*SPECIAL_TOKENS, *LETTERS, *(f"##{letter}" for letter in LETTERS), "ab", "##cd", "face"]
    return kind(vocab={piece: entry for entry, piece in enumerate(pieces)})


def sentence_pieces(kind, specials):
    rest = [("▁", -2.0), *((letter, -3.0) for letter in LETTERS), ("▁ab", -2.5), ("cd", -2.5)]
    return kind(vocab=[*((special, 0.0) for special in specials), *rest])


def byte_pairs():
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "ab", "cd", "<mask>"]
    return RobertaTokenizer(vocab={p: i for i, p in enumerate(pieces)}, merges=[("a", "b"), ("c", "d")])


def modernbert():
    pieces = [*SPECIAL_TOKENS, *sorted(pre_tokenizers.ByteLevel.alphabet()), "ab"]
    backend = Tokenizer(models.BPE({p: i for i, p in enumerate(pieces)}, [("a", "b")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL_TOKENS, strict=True))
    inputs = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_input_names=inputs, **names)


TOKENIZERS = {
    "bert": lambda: word_pieces(BertTokenizer),
    "electra": lambda: word_pieces(ElectraTokenizer),
    "distilbert": lambda: word_pieces(DistilBertTokenizer),
    "roberta": byte_pairs,
    "xlm-roberta": lambda: sentence_pieces(XLMRobertaTokenizer, ["<s>", "<pad>", "</s>", "<unk>"]),
    "deberta-v2": lambda: sentence_pieces(DebertaV2Tokenizer, ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]),
    "modernbert": modernbert,
}

SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
SHAPES = {
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48},
    "electra": {**SHAPE, "embedding_size": 16},
    "roberta": {**SHAPE, "type_vocab_size": 1},
    "xlm-roberta": {**SHAPE, "type_vocab_size": 1},
    "deberta-v2": {
        **SHAPE, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8,
        "norm_rel_ebd": "layer_norm", "share_att_key": True, "position_biased_input": False,
    },
    "modernbert": {**SHAPE, "local_attention": 8, "classifier_pooling": "mean"},
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request, tmp_path_factory):
    """A small random model of one family, as its own authors would publish it; the folder is named for the family."""
    family = request.param
    tokenizer = TOKENIZERS[family]()
    reserved = tokenizer.pad_token_id + 1 if family in ("roberta", "xlm-roberta") else 0
    config = AutoConfig.for_model(
        family, vocab_size=len(tokenizer), num_labels=1, max_position_embeddings=USABLE + reserved,
        pad_token_id=tokenizer.pad_token_id, cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id, bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id, initializer_range=0.2, **SHAPES.get(family, SHAPE),
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForSequenceClassification.from_config(config)
    path = tmp_path_factory.mktemp("models") / family
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def reference(path, pairs, max_length):
    """Scores of single pairs by transformers: its tokenizer's own template, no padding."""
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForSequenceClassification.from_pretrained(path).eval()
    takes_types = FAMILIES[path.name].token_types > 1
    scores = []
    with torch.no_grad():
        for query, document in pairs:
            inputs = tokenizer(
                [query], [document], truncation="only_second", max_length=max_length, return_tensors="pt",
                return_token_type_ids=takes_types,
            )  # fmt: skip
            assert inputs["input_ids"].shape[1] <= max_length
            scores.append(model(**inputs).logits.item())
    return np.array(scores, np.float32)


def texts(draw, count, longest):
    return [
        " ".join("".join(draw.choice(list(LETTERS), draw.integers(1, 4))) for _ in range(draw.integers(1, longest + 1)))
        for _ in range(count)
    ]


def test_scores_of_random_lengths_are_those_of_transformers_in_any_batches(folder):
    draw = np.random.default_rng(1)
    pairs = list(zip(texts(draw, 60, 3), texts(draw, 60, 20), strict=True))
    model = load(folder, max_length=USABLE, max_query_length=20)
    expected = reference(folder, pairs, USABLE)
    assert expected.std() > 0.05
    for tokens_per_batch in (USABLE, 256, 8192):
        # fp32 sums in another order, padding and batches being different
        np.testing.assert_allclose(
            model.predict(pairs, tokens_per_batch=tokens_per_batch), expected, rtol=1e-5, atol=1e-5
        )
    alone = np.concatenate([model.predict([pair]) for pair in pairs[:10]])
    np.testing.assert_allclose(alone, expected[:10], rtol=1e-5, atol=1e-5)


def test_the_longest_legal_pair_is_scored_and_a_longer_one_is_cut_as_transformers_cuts_it(folder):
    model = load(folder, max_length=USABLE, max_query_length=20)
    pairs = [("a b c", "d e f g " * 40), ("face", "ab cd " * 60), ("a", "b")]
    np.testing.assert_allclose(model.predict(pairs), reference(folder, pairs, USABLE), rtol=1e-5, atol=1e-5)
    assert model.last_counts.pairs_truncated == 2
    (longest,) = model.scorer.encoder.encode(["a b c"], ["d e f g " * 40]).pairs()
    assert len(longest.ids) == USABLE


def test_one_token_more_than_the_model_has_positions_for_is_refused(folder):
    with pytest.raises(ConfigurationError, match=f"the backbone has {USABLE} usable positions"):
        load(folder, max_length=USABLE + 1)


def test_the_row_of_the_family_says_what_its_tokenizer_and_model_do(folder):
    row = FAMILIES[folder.name]
    model = load(folder, max_length=USABLE).scorer
    assert special_tokens(model.tokenizer) == row.specials
    (pair,) = model.encoder.encode(["a"], ["b"]).pairs()
    shown = model.tokenizer.convert_ids_to_tokens(pair.ids.tolist())
    specials = [token for token in shown if token in model.tokenizer.all_special_tokens]
    wanted = [part for part in row.template.replace("</s></s>", "</s> </s>").split() if part[0] in "[<"]
    assert specials == wanted
    assert (pair.token_types is not None) == (row.token_types > 1) == model.reads_token_types
    head = [name for name, _ in model.model.named_parameters() if name.startswith(row.head)]
    encoder = [name for name, _ in model.model.named_parameters() if name not in head]
    assert all(name.startswith(model.model.base_model_prefix + ".") for name in encoder)
    assert any(name.startswith("classifier") for name in head)
