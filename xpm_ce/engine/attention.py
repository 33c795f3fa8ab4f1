"""Attention among the tokens of a pack: each sequence by itself, without padding.

Back ends: flash attention over the whole pack on a GPU, in 16 bits and without dropout (untested: no GPU has run it
yet); products and a softmax where gradients are wanted on a processor, or dropout anywhere, with a backward pass of
their own; scaled dot-product attention for each length otherwise. This module knows no model.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from xpm_ce.engine.dropout import PackDropout, without
from xpm_ce.engine.padding import Pack, Span


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
    pack: Pack,
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
    how = _How(pack.spans, scale, first_only, window, 0.0 if dropout is None else dropout.probability)
    if dropout is not None:
        asked = pack.starts if first_only else slice(None)
        rows = dropout.rows_of_heads(query.shape[1], pack.sequences[asked], pack.positions[asked])
        return _Products.apply(query, key, value, rows, how)
    if query.device.type == "cpu" and torch.is_grad_enabled() and query.requires_grad:
        return _Products.apply(query, key, value, None, how)
    flash = _flash() if query.device.type == "cuda" and query.dtype != torch.float32 and not first_only else None
    if flash is not None:
        return flash(query, key, value, pack, scale, window).flatten(1)
    taken = []
    for span, parts in zip(pack.spans, how.parts(query, key, value), strict=True):
        q, k, v = (each.unflatten(0, (span.count, -1)).transpose(1, 2) for each in parts)
        hidden = how.hidden(span, query.device)
        part = scaled_dot_product_attention(q, k, v, attn_mask=None if hidden is None else ~hidden, scale=scale)
        taken.append(part.transpose(1, 2).flatten(0, 1))
    return torch.cat(taken).flatten(1)


class _How(NamedTuple):
    """Which tokens see which, and how many of those are dropped."""

    spans: tuple[Span, ...]
    scale: float
    first_only: bool
    window: Window | None
    probability: float

    def parts(self, query: Tensor, key: Tensor, value: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """The queries, keys and values of each span."""
        tokens = [span.count * span.length for span in self.spans]
        return zip(self.queries(query), key.split(tokens), value.split(tokens), strict=True)

    def queries(self, values: Tensor) -> Sequence[Tensor]:
        """The part of each span in `values` `[queries, ...]`."""
        return values.split([span.count if self.first_only else span.count * span.length for span in self.spans])

    def rows(self, keys: Tensor | None) -> Sequence[Tensor | None]:
        """The keys of the queries of each span."""
        return [None] * len(self.spans) if keys is None else self.queries(keys)

    def hidden(self, span: Span, device: torch.device) -> Tensor | None:
        """What queries of a span do not see, bool `[queries, keys]`; None where they see everything."""
        if self.window is None or span.length <= self.window.reach + 1:
            return None
        return self.window.hides(1 if self.first_only else span.length, span.length, device)


class _Products(torch.autograd.Function):
    """Attention as products and a softmax, of which only the probabilities are kept for the backward pass.

    `rows` are the keys of queries by which probabilities are dropped, int32 `[queries, heads]`.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, rows: Tensor | None, how: _How) -> Tensor:
        taken, kept, factor = query.new_empty(query.shape), [], 1 / (1 - how.probability)
        for span, parts, spot, keys in zip(
            how.spans, how.parts(query, key, value), how.queries(taken), how.rows(rows), strict=True
        ):
            q, k, v = (_by_head(each, span) for each in parts)
            hidden = how.hidden(span, q.device)
            bias = None if hidden is None else q.new_zeros(hidden.shape).masked_fill_(hidden, -torch.inf)
            probabilities = weights = _product(q, k.transpose(1, 2), how.scale, bias).softmax(-1)
            if keys is not None:
                weights = without(probabilities, _by_head(keys, span), how.probability)
            _put(spot, _product(weights, v, factor), span)
            kept.append(probabilities)
        ctx.how = how
        ctx.save_for_backward(query, key, value, rows, *kept)
        return taken.flatten(1)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:  # type: ignore[override]
        query, key, value, rows, *kept = ctx.saved_tensors
        how, factor = ctx.how, 1 / (1 - ctx.how.probability)
        slopes = slopes.view(query.shape)
        given = [each.new_empty(each.shape) for each in (query, key, value)]
        for span, parts, spots, slope, probabilities, keys in zip(
            how.spans,
            how.parts(query, key, value),
            how.parts(*given),
            how.queries(slopes),
            kept,
            how.rows(rows),
            strict=True,
        ):
            q, k, v, g = (_by_head(each, span) for each in (*parts, slope))
            weights, of_weights = probabilities, _product(g, v.transpose(1, 2), factor)
            if keys is not None:
                by_head = _by_head(keys, span)
                weights, of_weights = (without(each, by_head, how.probability) for each in (weights, of_weights))
            of_scores = torch.ops.aten._softmax_backward_data(of_weights, probabilities, -1, probabilities.dtype)
            of_query, of_key, of_value = spots
            _put(of_query, _product(of_scores, k, how.scale), span)
            _put(of_key, _product(of_scores.transpose(1, 2), q, how.scale), span)
            _put(of_value, _product(weights.transpose(1, 2), g, factor), span)
        return (*given, None, None)


def _product(left: Tensor, right: Tensor, factor: float, bias: Tensor | None = None) -> Tensor:
    """`factor * left @ right + bias`, batch by batch, in one pass."""
    if bias is None:
        return torch.baddbmm(left.new_empty(()), left, right, beta=0, alpha=factor)
    return torch.baddbmm(bias, left, right, alpha=factor)


def _by_head(values: Tensor, span: Span) -> Tensor:
    """`[tokens, heads, ...]` of a span as `[sequences * heads, tokens, ...]`."""
    return values.unflatten(0, (span.count, -1)).transpose(1, 2).flatten(0, 1)


def _put(spot: Tensor, values: Tensor, span: Span) -> None:
    """Write `[sequences * heads, tokens, width]` to where the tokens of a span are, `[tokens, heads, width]`."""
    spot.unflatten(0, (span.count, -1)).copy_(values.unflatten(0, (span.count, -1)).transpose(1, 2))


@functools.cache
def _flash() -> Callable[..., Any] | None:
    """Flash attention over sequences of different lengths, by whichever package has it; None where none has."""
    try:
        from flash_attn import flash_attn_varlen_func
    except ImportError:
        try:
            from torch.nn.attention.varlen import varlen_attn
        except ImportError:
            return None
        return lambda query, key, value, pack, scale, window: varlen_attn(
            query, key, value, *_ends(pack), scale=scale, window_size=_sides(window)
        )
    return lambda query, key, value, pack, scale, window: flash_attn_varlen_func(
        query, key, value, *_ends(pack), softmax_scale=scale, window_size=_sides(window)
    )


def _ends(pack: Pack) -> tuple[Tensor, Tensor, int, int]:
    """Where sequences begin and the last one ends, and the longest: of queries and of keys."""
    edges, longest = pad(pack.starts, (0, 1), value=len(pack.ids)).int(), max(span.length for span in pack.spans)
    return edges, edges, longest, longest


def _sides(window: Window | None) -> tuple[int, int]:
    return (-1, -1) if window is None else (window.reach, window.reach)
