"""A transformers sequence classifier as a scorer of pairs: encoding, forward, saving.

It is the unmodified transformers model. This module does not know how batches are made, nor what the scores are for.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xpm_ce import atomic
from xpm_ce.engine.dropout import DropoutKeys
from xpm_ce.engine.padding import Batch
from xpm_ce.scorers.dropout import use_keyed_dropout
from xpm_ce.scorers.folders import CONFIG
from xpm_ce.scorers.weights import Loaded, quiet_transformers
from xpm_ce.tokens.pairs import PairEncoder, PairLimits

LIMITS = "xpm_ce.json"
"""File beside config.json that says how pairs were read in training"""

TOKEN_TYPES = "token_type_ids"
SENTENCE_TRANSFORMERS = {"activation_fn": "torch.nn.modules.linear.Identity", "version": "5.0.0"}
"""What sentence-transformers is to apply to the score: nothing, where its own choice for one output is a sigmoid"""


class TransformerScorer(nn.Module):
    """A sequence classifier with one output, and the encoder of pairs that goes with it.

    The head computes in fp32 whatever the precision of the rest, so that close scores stay apart.
    """

    def __init__(self, loaded: Loaded, limits: PairLimits):
        super().__init__()
        self.model, self.tokenizer, self.family = loaded.model, loaded.tokenizer, loaded.family
        self.head_is_new, self.new_weights = loaded.head_is_new, loaded.new_weights
        config = self.model.config
        type_rows = getattr(config, "type_vocab_size", None) or 0
        self.reads_token_types = type_rows > 1 and TOKEN_TYPES in self.tokenizer.model_input_names
        self.encoder = PairEncoder(
            self.tokenizer,
            limits,
            usable_positions=self.family.usable_positions(config),
            token_types=self.reads_token_types,
        )
        for name in self.family.head:
            _compute_in_fp32(self.model.get_submodule(name))
        self._dropout: DropoutKeys | None = None

    @property
    def padding_id(self) -> int:
        """The token that fills up a batch."""
        return self.tokenizer.pad_token_id

    @property
    def limits(self) -> PairLimits:
        """How long a pair may be."""
        return self.encoder.limits

    def to_bf16(self) -> "TransformerScorer":
        """Turn all weights but the head's into bfloat16, for scoring; there is no way back."""
        self.model.to(torch.bfloat16)
        for name in self.family.head:
            self.model.get_submodule(name).float()
        return self

    def prepare_training(self) -> "TransformerScorer":
        """Let dropout be active from now on, by the keys that each forward pass is given."""
        self._dropout = use_keyed_dropout(self.model)
        return self.train()

    def forward(self, batch: Batch, dropout_keys: Tensor | None = None) -> Tensor:
        """Scores fp32 `[sequences]`; in training, `dropout_keys` int32 `[sequences]` say what is dropped."""
        if self._dropout is not None:
            self._dropout.begin(dropout_keys)
        types = {} if batch.token_types is None else {TOKEN_TYPES: batch.token_types}
        output = self.model(input_ids=batch.ids, attention_mask=batch.mask, **types)
        return output.logits[:, 0].float()

    def save(self, folder: Path, *, description: dict[str, Any] | None = None) -> None:
        """Write a transformers folder, complete or absent, that scores the same in any library.

        `AutoModelForSequenceClassification` and sentence-transformers' `CrossEncoder` load it by its path. The
        limits, and what `description` adds, are in xpm_ce.json.
        """
        with atomic.writing_folder(folder) as temporary:
            with quiet_transformers():
                self.model.save_pretrained(temporary)
            self._save_tokenizer(temporary)
            _amend(temporary / CONFIG, sentence_transformers=SENTENCE_TRANSFORMERS)
            limits = {
                "max_length": self.limits.max_length,
                "max_query_length": self.limits.max_query_length,
            }
            atomic.write_json(temporary / LIMITS, {"schema": 1, **limits, **(description or {})})

    def _save_tokenizer(self, folder: Path) -> None:
        """Whoever loads the folder gets the inputs that the model takes, and its length."""
        names = [name for name in self.tokenizer.model_input_names if name != TOKEN_TYPES]
        if self.reads_token_types:
            names.insert(1, TOKEN_TYPES)
        backend = self.tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        self.tokenizer.save_pretrained(folder)
        _amend(
            folder / "tokenizer_config.json",
            model_input_names=names,
            model_max_length=self.limits.max_length,
        )


def _amend(file: Path, **values: Any) -> None:
    """Set keys of a JSON file."""
    content = json.loads(file.read_text(encoding="utf-8"))
    atomic.write_json(file, {**content, **values})


def _compute_in_fp32(module: nn.Module) -> None:
    """Let a module compute in fp32 inside of anything else."""
    forward = module.forward

    def in_fp32(*arguments: Any, **named: Any) -> Any:
        arguments = tuple(_fp32(each) for each in arguments)
        named = {name: _fp32(each) for name, each in named.items()}
        with torch.autocast(next(module.parameters()).device.type, enabled=False):
            return forward(*arguments, **named)

    module.forward = in_fp32  # type: ignore[method-assign]


def _fp32(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
