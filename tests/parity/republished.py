"""The published encoders as repositories of the hub's cache: real classes of transformers at a small width.

Each row is published again: a tokenizer of its class on a vocabulary trained here, an encoder of its family with random
weights and the row's own positions, in a repository at the row's commit.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from xpm_ce.scorers.backbones import PublishedBackbone
from xpm_ce.scorers.cross_encoder import CrossEncoder
from xpm_ce.scorers.published import PUBLISHED, Published
from xpm_ce.scorers.transformer import TransformerScorer
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


def republish(name: str, cache: Path) -> Republished:
    """Write the repository of a row into a cache of the hub, and load it by its short name."""
    row = PUBLISHED[name]
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
    return Republished(row, folder, scorer, model, encoder)
