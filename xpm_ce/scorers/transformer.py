"""A transformers sequence classifier as a scorer of pairs: encoding, forward, saving.

Families that have a packed forward are computed without padding, all others by the unmodified transformers model. This
module does not know how batches are made, nor what the scores are for.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xpm_ce import atomic
from xpm_ce.engine.compute import TYPES, training_forward
from xpm_ce.engine.dropout import DropoutKeys
from xpm_ce.engine.linears import laid_out, live
from xpm_ce.engine.padding import Batch, Pack, packed, padded
from xpm_ce.engine.precision import BF16, FP32, INT8
from xpm_ce.errors import MachineError
from xpm_ce.scorers.dropout import use_keyed_dropout
from xpm_ce.scorers.folders import CONFIG
from xpm_ce.scorers.packed.forward import packed_class
from xpm_ce.scorers.weights import Loaded, quiet_transformers
from xpm_ce.tokens.pairs import PairEncoder, PairLimits
from xpm_ce.tokens.sequences import Sequences

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
        self._autocast = FP32
        self._packed_class = packed_class(self.model)
        self._packed: Any = None
        self.computed: torch.dtype | None = None
        """Type in which the last forward pass computed its first linear layer"""
        first = next(module for module in self.model.modules() if isinstance(module, nn.Linear))
        first.register_forward_hook(self._see)
        self._compute_with(live, FP32)

    @property
    def pads(self) -> bool:
        """Whether sequences are filled up to the longest that is computed with them."""
        return self._packed is None

    def without_packing(self) -> "TransformerScorer":
        """Compute by the unmodified transformers model from now on: the reference."""
        self._packed_class = self._packed = None
        return self

    @property
    def padding_id(self) -> int:
        """The token that fills up a batch."""
        return self.tokenizer.pad_token_id

    @property
    def limits(self) -> PairLimits:
        """How long a pair may be."""
        return self.encoder.limits

    def prepare_scoring(self, precision: str) -> "TransformerScorer":
        """Lay weights out for scoring in a precision, where they are; there is no way back to training.

        In bf16, all weights but the head's are turned into bfloat16. MachineError for int8 where the family has no
        packed forward.
        """
        self.eval()
        if precision == BF16:
            self.model.to(torch.bfloat16)
            for name in self.family.head:
                self.model.get_submodule(name).float()
        elif precision == INT8 and self._packed_class is None:
            raise MachineError(
                f"int8 is there for families that are computed without padding only, not for {self.family.model_type}",
                remedy="Use fp32 or bf16.",
            )
        self._compute_with(functools.partial(laid_out, precision=precision), precision)
        return self

    def prepare_training(self, precision: str = FP32) -> "TransformerScorer":
        """Let dropout be active from now on, by the keys that each forward pass is given."""
        self._dropout = self._dropout or use_keyed_dropout(self.model)
        self._autocast = precision
        self._compute_with(live, precision)
        return self.train()

    def _compute_with(self, make: Callable[..., Any], precision: str) -> None:
        if self._packed_class is not None:
            self._packed = self._packed_class(self.model, make, compute=TYPES[precision])

    def forward(self, sequences: Sequences, dropout_keys: Tensor | None = None) -> Tensor:
        """Scores fp32 `[sequences]`; in training, `dropout_keys` int32 `[sequences]` say what is dropped."""
        if dropout_keys is not None and len(dropout_keys) != sequences.count:
            raise ValueError(f"{len(dropout_keys)} keys for {sequences.count} sequences")
        if self._dropout is not None:
            self._dropout.begin(dropout_keys)
        return self.scores_of(self.inputs_of(sequences))

    def inputs_of(self, sequences: Sequences) -> Pack | Batch:
        """What the model takes in for sequences, as tensors where the model is."""
        device = next(self.model.parameters()).device
        if self._packed is not None:
            return packed(sequences).to(device)
        return padded(sequences, padding_id=self.padding_id).to(device)

    def scores_of(self, batch: Pack | Batch) -> Tensor:
        """Scores fp32 `[sequences]` of what `inputs_of` made."""
        if isinstance(batch, Pack):
            scores, self.computed = self._packed(batch)
            return scores
        types = {} if batch.token_types is None else {TOKEN_TYPES: batch.token_types}
        with training_forward(self._autocast, batch.ids.device):
            output = self.model(input_ids=batch.ids, attention_mask=batch.mask, **types)
        return output.logits[:, 0].float()

    def _see(self, module: nn.Module, inputs: object, output: Tensor) -> None:
        self.computed = output.dtype

    def save(self, folder: Path, *, description: dict[str, Any] | None = None) -> None:
        """Write a transformers folder, complete or absent, that scores the same in any library.

        `AutoModelForSequenceClassification` and sentence-transformers' `CrossEncoder` load it by its path. The
        limits, and what `description` adds, are in xpm_ce.json.
        """
        with atomic.writing_folder(folder) as temporary:
            with quiet_transformers():
                # The names of its weights are the class's own, not those of the folder that it was loaded from
                # (bert-base-uncased has TensorFlow's), which not every library knows.
                self.model.save_pretrained(temporary, save_original_format=False)
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
