"""Cross-encoders that the library lightning-ir saved (monoELECTRA), as the same scorer in transformers' own class.

Such a folder holds an ELECTRA encoder and one linear layer over the first token. ELECTRA's own head is two layers with
a GELU between; since gelu(s) - gelu(-s) = s, two of its inner units carry the linear layer's score through it, and the
result is a folder that any library reads. This module does not know the tokenizer, nor loads lightning-ir.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import ElectraConfig, ElectraForSequenceClassification

from xpm_ce.errors import DataError

MODEL_TYPES = ("cross-encoder", "mono")
"""`model_type` of such folders, by the version that wrote them"""

ENCODER, HEAD = "electra", "linear"
WEIGHTS = "model.safetensors"
NEITHER = "Give a folder with one linear layer over the first token of an ELECTRA encoder, as webis/monoelectra-base."


def linear_electra(folder: Path, config: dict[str, Any]) -> ElectraForSequenceClassification:
    """The model of a folder whose config.json holds `config`; it scores as there, and its head has no dropout.

    DataError where the folder holds another architecture, other pooling or more outputs than one.
    """
    (name,) = config.get("architectures") or [""]
    pooling, strategy = config.get("pooling_strategy", "first"), config.get("scoring_strategy", "rank")
    if not name.endswith("ElectraModel") or (pooling, strategy) != ("first", "rank"):
        raise DataError(
            f"{name or 'a model without a name'} with pooling {pooling} and scoring {strategy} cannot be read",
            where=str(folder),
            remedy=NEITHER,
        )
    known = ElectraConfig().to_dict()
    kept = {key: value for key, value in config.items() if key in known and key not in ("model_type", "architectures")}
    model = ElectraForSequenceClassification(ElectraConfig(**{**kept, "classifier_dropout": 0.0, "num_labels": 1}))
    weights = {key.removeprefix(f"{ENCODER}."): value.float() for key, value in load_file(folder / WEIGHTS).items()}
    linear = {key.removeprefix(f"{HEAD}."): weights.pop(key) for key in list(weights) if key.startswith(f"{HEAD}.")}
    missing, unexpected = model.get_submodule(ENCODER).load_state_dict(weights, strict=False)
    wrong = [*missing, *unexpected, *({"weight"} - set(linear))]
    if wrong or linear["weight"].shape != (1, model.config.hidden_size):
        raise DataError(
            f"the weights are not those of an ELECTRA encoder and one linear layer: {', '.join(wrong) or 'its shape'}",
            where=str(folder),
            remedy=NEITHER,
        )
    _carry(model, linear["weight"][0], linear.get("bias", torch.zeros(1)))
    return model


def _carry(model: ElectraForSequenceClassification, weight: Tensor, bias: Tensor) -> None:
    """Let the head compute gelu(s) - gelu(-s), s being the linear layer's score; `weight` is `[hidden]`."""
    dense, out = model.classifier.dense, model.classifier.out_proj
    with torch.no_grad():
        for values in (dense.weight, dense.bias, out.weight, out.bias):
            values.zero_()
        for place, sign in enumerate((1.0, -1.0)):
            dense.weight[place], dense.bias[place] = sign * weight, sign * bias[0]
            out.weight[0, place] = sign
