"""Whether scores still say anything: numbers, and not the same number for all documents of a query.

This module does not know what scores, nor what a step does with an error.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from xpm_ce.errors import DataError

RELATIVE, ABSOLUTE = 1e-5, 1e-7
"""Scores of a query whose range is below 1e-5 of the largest of them, or below 1e-7, are the same: some ten times what
fp32 rounds in sums of activations. A head drawn with a standard deviation of 0.02 gives ranges of about a hundredth"""

STEPS = 10
"""Steps in a row after which it is a collapse: a single one may hold documents that are alike"""

QUERIES_NAMED = 8
"""Queries that a message names at most"""

REMEDY = "Look at these queries and at curve.csv: a lower learning_rate or more warmup_steps may help."


def check_finite(loss: float, scores: Tensor, *, query_ids: Sequence[str], mask: Tensor, step: int) -> None:
    """DataError where a score or the loss is not a number or infinite, with the step and the queries.

    `scores` fp32 `[sequences]` group by group, `mask` bool `[queries, group]`; `step` is counted from 1.
    """
    groups = torch.zeros(mask.shape).masked_scatter(mask, scores)
    wrong = ~torch.isfinite(groups)
    if wrong.any():
        queries = [query_ids[row] for row in torch.nonzero(wrong.any(1)).flatten().tolist()]
        value = groups[wrong][0].item()
        raise DataError(f"a score is {value} at step {step}, for {named(queries)}", remedy=REMEDY)
    if not math.isfinite(loss):
        raise DataError(f"the loss is {loss} at step {step}; its queries are {named(query_ids)}", remedy=REMEDY)


def check_gradient(norm: float, *, query_ids: Sequence[str], step: int) -> None:
    """DataError where the norm of a step's gradient is not finite, with the step and its queries."""
    if not math.isfinite(norm):
        raise DataError(f"the gradient is not finite at step {step}; its queries are {named(query_ids)}", remedy=REMEDY)


def level(scores: Tensor, mask: Tensor) -> bool:
    """Whether all queries of a step have the same score for all their documents; those with one document do not count.

    `scores` fp32 `[sequences]` group by group, `mask` bool `[queries, group]`.
    """
    counted = mask.sum(1) > 1
    if not counted.any():
        return False
    groups = torch.zeros(mask.shape).masked_scatter(mask, scores)[counted]
    held = mask[counted]
    highest = groups.masked_fill(~held, -torch.inf).amax(1)
    lowest = groups.masked_fill(~held, torch.inf).amin(1)
    largest = groups.abs().amax(1)
    return bool((highest - lowest <= torch.clamp(RELATIVE * largest, min=ABSOLUTE)).all())


def collapsed(scores: Tensor, *, query_ids: Sequence[str], step: int) -> DataError:
    """The error that stops a training whose scores have been the same for too long."""
    return DataError(
        f"the model collapsed: in {STEPS} steps up to step {step} all documents of a query had the same score, at last "
        f"{scores[0].item():.6g} for query {query_ids[0]}",
        remedy="Give a lower learning_rate or more warmup_steps; curve.csv shows when it began.",
    )


def named(query_ids: Sequence[str]) -> str:
    """The first of some queries, and how many more there are."""
    more = len(query_ids) - QUERIES_NAMED
    return ", ".join(query_ids[:QUERIES_NAMED]) + (f" and {more} more" if more > 0 else "")
