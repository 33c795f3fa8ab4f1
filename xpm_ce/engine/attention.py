"""Attention among the tokens of a pack: each sequence by itself, without padding.

Back ends: scaled dot-product attention for each length, or products and a softmax where gradients or dropout are
wanted on a processor, whose own backward pass is slow (in bf16 half of a training step). This module knows no model.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from xpm_ce.engine.dropout import PackDropout
from xpm_ce.engine.padding import Span


class Window(NamedTuple):
    """How far a token sees, to each side."""

    reach: int
    """Tokens; a token sees those at most so far away"""

    def hides(self, queries: int, keys: int, device: torch.device) -> Tensor:
        """Which keys a query does not see, bool `[queries, keys]`; queries stand at the first positions."""
        distance = torch.arange(queries, device=device).unsqueeze(1) - torch.arange(keys, device=device)
        return distance.abs() > self.reach


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    spans: tuple[Span, ...],
    *,
    scale: float,
    first_only: bool = False,
    window: Window | None = None,
    dropout: PackDropout | None = None,
) -> Tensor:
    """What each token takes from its sequence, `[tokens, heads * width]`.

    `query`, `key` and `value` are `[tokens, heads, width]`; with `first_only`, `query` has only the first token of
    each sequence, `[sequences, heads, width]`, and so has the result.
    """
    asked = [span.count if first_only else span.count * span.length for span in spans]
    tokens = [span.count * span.length for span in spans]
    plain = dropout is not None or (query.requires_grad and query.device.type == "cpu")
    parts, done = [], 0
    for span, q, k, v in zip(spans, query.split(asked), key.split(tokens), value.split(tokens), strict=True):
        rows = 1 if first_only else span.length
        q, k, v = (each.view(span.count, -1, *each.shape[1:]).transpose(1, 2) for each in (q, k, v))
        hidden = None
        if window is not None and span.length > window.reach + 1:
            hidden = window.hides(rows, span.length, q.device)
        if plain:
            drops = dropout.of(slice(done, done + span.count)) if dropout is not None else None
            taken = _products(q, k, v, scale=scale, hidden=hidden, dropout=drops)
        else:
            mask = None if hidden is None else ~hidden
            taken = scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
        parts.append(taken.transpose(1, 2).reshape(span.count * rows, -1))
        done += span.count
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _products(
    query: Tensor, key: Tensor, value: Tensor, *, scale: float, hidden: Tensor | None, dropout: PackDropout | None
) -> Tensor:
    """Attention as two products and a softmax, all `[sequences, heads, tokens, width]`."""
    scores = (query * scale) @ key.transpose(-1, -2)
    if hidden is not None:
        scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
    probabilities = scores.softmax(-1)
    if dropout is not None:
        probabilities = dropout.drop_probabilities(probabilities)
    return probabilities.to(value.dtype) @ value
