"""Weights of SPLADE against those of sentence-transformers' sparse encoder, on tiny models of several families."""

import numpy as np
import pytest
import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.sparse_encoder.models import MLMTransformer, SpladePooling
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, DistilBertConfig, DistilBertForMaskedLM

from xpm_ce.firststage.encoding import Splade
from xpm_ce.firststage.splade import SpladeEncoder
from xpm_ce.identity import HashCache
from xpm_ce.scorers.backbones import LocalBackbone
from xpm_ce.scorers.folders import content_sha256
from xpm_ce.tokens.train_wordpiece import save_tokenizer, train_vocabulary, word_counts

pytestmark = pytest.mark.usefixtures("one_thread")

LETTERS, MAX_LENGTH = "abcdefgh", 16
MODELS = {
    "bert": lambda: BertForMaskedLM(
        BertConfig(vocab_size=90, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
                   max_position_embeddings=32, initializer_range=0.4)
    ),
    "distilbert": lambda: DistilBertForMaskedLM(  # the family of naver/splade-v3-distilbert
        DistilBertConfig(vocab_size=90, dim=16, n_layers=2, n_heads=2, hidden_dim=32, max_position_embeddings=32,
                         initializer_range=0.4)
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", MODELS)
def test_weights_are_those_of_sentence_transformers(family, tmp_path):
    drawn = np.random.default_rng(0)
    words = ["".join(drawn.choice(list(LETTERS), 4)) for _ in range(40)]
    texts = [" ".join(drawn.choice(words, drawn.integers(0, 25))) for _ in range(70)]
    save_tokenizer(tmp_path, train_vocabulary(word_counts([" ".join(words)] * 3), size=90))
    torch.manual_seed(0)
    MODELS[family]().save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tmp_path, model_max_length=32).save_pretrained(tmp_path)
    theirs = SparseEncoder(
        modules=[MLMTransformer(str(tmp_path), max_seq_length=MAX_LENGTH), SpladePooling(pooling_strategy="max")],
        device="cpu",
    )
    expected = theirs.encode(texts, convert_to_sparse_tensor=False).numpy()
    backbone = LocalBackbone.C(path=tmp_path, sha256=content_sha256(tmp_path, HashCache()))
    encoder = SpladeEncoder.C(backbone=backbone, max_length=MAX_LENGTH).instance()
    found = np.zeros_like(expected)
    for row, each in enumerate(Splade(encoder).weigh(texts)):
        found[row, each.entries.astype(int)] = each.weights
    assert 0.1 < (expected > 0).mean() < 0.9
    np.testing.assert_allclose(found, expected, atol=1e-5)
