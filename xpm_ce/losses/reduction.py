"""How the terms of a loss become one number: the mean within each query, then over queries.

This module does not know what a term is; it loads torch only through the tensors it is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def mean_over_queries(terms: Tensor, counted: Tensor) -> Tensor:
    """The mean over queries of the mean of their counted terms, a scalar.

    terms `[queries, ...]`, finite; counted, bool of the same shape: which of them are documents or pairs of
    the loss. Queries without any are counted out; where no query has any, the result is 0, connected to the
    graph. No value is read back from the device.
    """
    return sum_over_queries(terms, counted) / counted_queries(counted).clamp(min=1)


def sum_over_queries(terms: Tensor, counted: Tensor) -> Tensor:
    """The sum over queries of the mean of their counted terms, a scalar."""
    terms, counted = terms.flatten(1), counted.flatten(1)
    means = terms.masked_fill(~counted, 0.0).sum(1) / counted.sum(1).clamp(min=1)
    return means.sum()


def counted_queries(counted: Tensor) -> Tensor:
    """How many queries have a counted term, a scalar."""
    return counted.flatten(1).any(1).sum()
