"""Dropout by keys inside a transformers model: its dropout modules are exchanged, its attention is told.

Where nothing is dropped, the model computes exactly what it did. This module does not know how masks are made.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from xpm_ce.engine.dropout import DropoutKeys, KeyedDropout, Place, site_of

ATTENTION = "xpm_ce_keyed"
"""Name of our attention function among transformers' own"""

SHARED = ("pos_dropout",)
"""Names of dropout modules whose input all sequences share (the relative positions of DeBERTa)"""


def use_keyed_dropout(model: Any) -> DropoutKeys:
    """Exchange every dropout of a model for one by keys; gives what the keys are to be given to."""
    keys = DropoutKeys()
    for name, module in list(model.named_modules()):
        module.dropout_place = Place(keys, site_of(f"{name}.attention"))
        for child_name, child in list(module.named_children()):
            if isinstance(child, nn.Dropout):
                place = Place(keys, site_of(f"{name}.{child_name}"), child_name in SHARED)
                setattr(module, child_name, KeyedDropout(child.p, place))
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(ATTENTION)
    return keys


def keyed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **named: Any,
) -> tuple[Tensor, None]:
    """Attention `[sequences, heads, tokens, width]`, dropping probabilities by the keys of their sequences."""
    if dropout == 0:
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout=0.0, scaling=scaling, **named)
    scores = query @ key.transpose(-1, -2) * (scaling or query.shape[-1] ** -0.5)
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    probabilities = module.dropout_place.drop(scores.softmax(-1), dropout)
    return (probabilities @ value).transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, keyed_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
