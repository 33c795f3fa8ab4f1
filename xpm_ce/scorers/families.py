"""The families of encoders that can be cross-encoders: one row of facts each, checked by one conformance test.

A row says how the family differs from the others; what transformers says about a folder itself (token types,
vocabulary, layers) is read from the folder. This module loads neither torch nor transformers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xpm_ce.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Family:
    """What one family of encoders needs."""

    model_type: str
    """`model_type` in config.json"""

    template: str
    """How the family's own tokenizers join a query and a document"""

    specials: int
    """Special tokens of that template"""

    token_types: int = 1
    """Rows of the token type table in a new model of this family; 1 where types are not used"""

    reserved_positions: bool = False
    """Whether the first positions, up to the padding id, are never used by tokens"""

    head: tuple[str, ...]
    """Modules that turn hidden states into the score: computed in fp32, and the only ones that may be missing"""

    settings: Mapping[str, tuple[str, ...]]
    """Fields of `Architecture` and the keys of config.json that they set"""

    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Keys of config.json that every new model of this family gets"""

    poolings: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"cls": {}})
    """Poolings that the family's head knows, and the keys of config.json that choose them"""

    traps: tuple[str, ...] = ()
    """What goes wrong where one is not careful"""

    def usable_positions(self, config: Any) -> int:
        """Tokens that a model with this config has positions for."""
        reserved = config.pad_token_id + 1 if self.reserved_positions else 0
        return config.max_position_embeddings - reserved


_BERT_SETTINGS = {
    "hidden_size": ("hidden_size",),
    "num_layers": ("num_hidden_layers",),
    "num_heads": ("num_attention_heads",),
    "intermediate_size": ("intermediate_size",),
    "dropout": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
    "initializer_range": ("initializer_range",),
}

_MODERNBERT_SETTINGS = {
    **_BERT_SETTINGS,
    "dropout": ("attention_dropout", "embedding_dropout", "mlp_dropout", "classifier_dropout"),
}

_ROBERTA_TRAPS = (
    "the first usable position is the padding id + 1, so that 514 positions hold 512 tokens",
    "four special tokens: a template written for BERT is one short",
    "its token type table has one row: type 1 is an index error",
)

FAMILIES = {
    "bert": Family(
        model_type="bert",
        template="[CLS] query [SEP] document [SEP]",
        specials=3,
        token_types=2,
        head=("bert.pooler", "classifier"),
        settings=_BERT_SETTINGS,
        traps=("a folder without a pooler (MiniLM has one, some exports have none) gets a new one, under head_seed",),
    ),
    "electra": Family(
        model_type="electra",
        template="[CLS] query [SEP] document [SEP]",
        specials=3,
        token_types=2,
        head=("classifier",),
        settings={**_BERT_SETTINGS, "hidden_size": ("hidden_size", "embedding_size")},
        traps=("the head is two layers, both new where only the discriminator is given",),
    ),
    "roberta": Family(
        model_type="roberta",
        template="<s> query </s></s> document </s>",
        specials=4,
        reserved_positions=True,
        head=("classifier",),
        settings=_BERT_SETTINGS,
        fixed={"type_vocab_size": 1},
        traps=_ROBERTA_TRAPS,
    ),
    "xlm-roberta": Family(
        model_type="xlm-roberta",
        template="<s> query </s></s> document </s>",
        specials=4,
        reserved_positions=True,
        head=("classifier",),
        settings=_BERT_SETTINGS,
        fixed={"type_vocab_size": 1},
        traps=_ROBERTA_TRAPS,
    ),
    "deberta-v2": Family(
        model_type="deberta-v2",
        template="[CLS] query [SEP] document [SEP]",
        specials=3,
        head=("pooler", "classifier"),
        settings={**_BERT_SETTINGS, "hidden_size": ("hidden_size", "pooler_hidden_size")},
        fixed={
            "type_vocab_size": 0,
            "relative_attention": True,
            "position_buckets": 256,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
        },
        traps=(
            "the tokenizer returns token types that the model does not read (type_vocab_size 0)",
            "published folders may store fp16 weights: they are loaded as fp32, whatever the folder says",
        ),
    ),
    "modernbert": Family(
        model_type="modernbert",
        template="[CLS] query [SEP] document [SEP]",
        specials=3,
        head=("head", "classifier"),
        settings=_MODERNBERT_SETTINGS,
        poolings={"cls": {"classifier_pooling": "cls"}, "mean": {"classifier_pooling": "mean"}},
        traps=(
            "it takes no token types at all: a tokenizer that returns them makes it fail",
            "positions go up to 8192: a max_length taken from the model would compare it with nothing",
        ),
    ),
    "distilbert": Family(
        model_type="distilbert",
        template="[CLS] query [SEP] document [SEP]",
        specials=3,
        head=("pre_classifier", "classifier"),
        settings={
            "hidden_size": ("dim",),
            "num_layers": ("n_layers",),
            "num_heads": ("n_heads",),
            "intermediate_size": ("hidden_dim",),
            "dropout": ("dropout", "attention_dropout", "seq_classif_dropout"),
            "initializer_range": ("initializer_range",),
        },
        traps=("it has no token types, although its tokenizer is BERT's",),
    ),
}
"""Families by `model_type`; a family is one row"""


def family(model_type: str, *, where: str) -> Family:
    """The row of a model type; ConfigurationError for one that has none."""
    if model_type not in FAMILIES:
        raise ConfigurationError(
            f"models of type {model_type!r} are not among the families of cross-encoders",
            where=where,
            remedy=f"Families: {', '.join(FAMILIES)}. A new one is a row of xpm_ce/scorers/families.py.",
        )
    return FAMILIES[model_type]
