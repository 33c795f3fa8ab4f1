"""One training step: the groups drawn for it as tokens and tensors, and the gradient of their loss.

Memory is bounded by a budget of tokens, whatever the length of a list; the loss is over the whole step: however it is
cut, the gradient is that of one padded batch. This module does not know how weights are updated.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from xpm_ce.data.supervision import Supervision
from xpm_ce.data.training_set import StoredGroups
from xpm_ce.engine.batches import computed_tokens, token_sorted_batches
from xpm_ce.errors import DataError
from xpm_ce.losses.loss import Loss
from xpm_ce.losses.reduction import counted_queries, sum_over_queries
from xpm_ce.samplers.padded import pad
from xpm_ce.samplers.steps import DrawnGroup
from xpm_ce.scorers.transformer import TransformerScorer
from xpm_ce.tokens.pairs import PairEncoder
from xpm_ce.tokens.sequences import Ragged, Sequences
from xpm_ce.tokens.stored_tokens import StoredTokens


class TrainingStep(NamedTuple):
    """The groups of a step, as a model and a loss read them."""

    query_ids: list[str]
    """Query of each group"""

    sequences: Sequences
    """The pairs, group by group"""

    mask: Tensor
    """True where there is a document, bool `[queries, group]`"""

    supervision: Supervision
    """What is known about the documents, each tensor `[queries, group]`"""

    def of_groups(self, groups: np.ndarray) -> "TrainingStep":
        """Some of the groups, as wide as the longest of the step."""
        places = torch.from_numpy(groups)
        known = Supervision(*(each if each is None else each[places] for each in self.supervision))
        query_ids = [self.query_ids[group] for group in groups]
        return TrainingStep(query_ids, self.sequences.take(self.places(groups)), self.mask[places], known)

    def places(self, groups: np.ndarray) -> np.ndarray:
        """The sequences of some groups, int64 `[sequences]`."""
        return np.flatnonzero(np.isin(self.group_of_sequence, groups))

    @property
    def group_of_sequence(self) -> np.ndarray:
        """Group of each sequence, int64 `[sequences]`."""
        return np.nonzero(self.mask.numpy())[0]


class TrainingTexts:
    """Turns drawn groups into sequences; DataError where a training query has no text."""

    def __init__(self, groups: StoredGroups, *, queries: Mapping[str, str], tokens: StoredTokens, encoder: PairEncoder):
        self._groups, self._queries, self._tokens, self._encoder = groups, queries, tokens, encoder
        missing = [each for each in groups.query_ids() if each not in queries]
        if missing:
            raise DataError(
                f"{len(missing)} queries of the training set have no text, the first is {missing[0]}",
                where=str(groups.path),
                remedy="Give the queries of the split from which the training set was made.",
            )

    def read(self, drawn: Sequence[DrawnGroup]) -> TrainingStep:
        """The groups of a step."""
        query_ids = [self._groups.query_id(group.query_index) for group in drawn]
        queries = Ragged.of(self._encoder.tokens([self._queries[query_id] for query_id in query_ids]))
        sizes = [len(group.documents) for group in drawn]
        documents = self._tokens.rows(np.concatenate([group.documents for group in drawn]))
        arrays = pad(drawn, self._groups.supervision)
        return TrainingStep(
            query_ids,
            self._encoder.join(queries.take(np.repeat(np.arange(len(drawn)), sizes)), documents),
            torch.from_numpy(arrays.mask),
            arrays.supervision(torch.from_numpy),
        )


class StepResult(NamedTuple):
    """What a step gave, besides the gradient in the weights: of one rank, where there are several."""

    loss: float
    """Its part of the loss of the step"""

    scores: Tensor
    """Scores fp32 `[sequences]` on the CPU, nan where another rank computed them"""

    padded_tokens: int
    """Tokens that the gradient took, with padding where there is any"""

    computed_tokens: int
    """The same with those of a forward pass before it, which bounds the memory"""


def gradient(
    step: TrainingStep,
    scorer: TransformerScorer,
    loss: Loss,
    *,
    dropout_keys: Tensor,
    tokens_per_batch: int,
    rank: int = 0,
    world: int = 1,
) -> StepResult:
    """Add the gradient of a step's loss to the weights' gradients; `dropout_keys` int32 `[sequences]`.

    Groups are computed together up to `tokens_per_batch` tokens. A group that has more, or a step whose loss is not
    a mean over queries, is scored first without a graph; the gradient of its scores is then taken through a second
    forward pass, batch by batch, with the same dropout. Summed over the ranks of a world, gradients and losses are
    those of the step. A loss that is not finite adds nothing: whoever looks at it decides.
    """
    work = _Work(step, scorer, loss, dropout_keys=dropout_keys, tokens_per_batch=tokens_per_batch)
    lengths, groups = step.sequences.lengths, step.group_of_sequence
    if loss.separable:
        most = min(tokens_per_batch, -(-step.sequences.tokens // world))
        units = units_of_groups(lengths, groups, most=most, padded=scorer.pads)
        for unit in balanced([int(lengths[np.isin(groups, unit)].sum()) for unit in units], world)[rank]:
            work.add(units[unit])
    else:
        work.add(np.arange(len(step.query_ids)), rank=rank, world=world)
    return StepResult(work.loss, work.scores, work.padded_tokens, work.padded_tokens + work.recomputed_tokens)


def units_of_groups(lengths: np.ndarray, groups: np.ndarray, *, most: int, padded: bool) -> list[np.ndarray]:
    """Groups that are computed together, in order: at most `most` tokens each, but at least one group.

    `lengths` and `groups` are of the sequences, `[sequences]` each.
    """
    units: list[list[int]] = []
    held = np.empty(0, np.int64)
    for group in range(int(groups[-1]) + 1):
        its = lengths[groups == group]
        together = np.concatenate([held, its])
        if units and computed_tokens(together, padded=padded) <= most:
            units[-1].append(group)
            held = together
        else:
            units.append([group])
            held = its
    return [np.array(unit) for unit in units]


def balanced(tokens: Sequence[int], world: int) -> list[list[int]]:
    """Which units each rank computes: the largest first, each to the rank that has least; the same on every rank."""
    shares: list[list[int]] = [[] for _ in range(world)]
    loads = [0] * world
    for unit in sorted(range(len(tokens)), key=lambda unit: (-tokens[unit], unit)):
        rank = loads.index(min(loads))
        shares[rank].append(unit)
        loads[rank] += tokens[unit]
    return [sorted(share) for share in shares]


class _Work:
    """The gradient of a step as it adds up."""

    def __init__(
        self, step: TrainingStep, scorer: TransformerScorer, loss: Loss, *, dropout_keys: Tensor, tokens_per_batch: int
    ):
        self._step, self._scorer, self._loss = step, scorer, loss
        self._keys, self._budget = dropout_keys, tokens_per_batch
        self._device = next(scorer.parameters()).device
        self._counted = self._counted_queries() if loss.separable else None
        self.loss, self.padded_tokens, self.recomputed_tokens = 0.0, 0, 0
        self.scores = torch.full((step.sequences.count,), torch.nan)

    def add(self, groups: np.ndarray, *, rank: int = 0, world: int = 1) -> None:
        """Some groups; where several ranks take the same ones, each takes the gradient through its batches."""
        places, part = self._step.places(groups), self._step.of_groups(groups)
        batches = token_sorted_batches(part.sequences.lengths, tokens_per_batch=self._budget, padded=self._scorer.pads)
        keys = self._keys[torch.from_numpy(places)]
        if len(batches) == 1 and world == 1:
            scores = self._forward(part, batches[0], keys)
            self._keep(places, batches[0], scores)
            value = self._value(part, scores[torch.from_numpy(np.argsort(batches[0])).to(self._device)])
            if self._counts(value):
                value.backward()
            return
        first = torch.empty(part.sequences.count, device=self._device)
        with torch.no_grad():
            for batch in batches:
                first[torch.from_numpy(batch)] = self._forward(part, batch, keys)
                self.recomputed_tokens += computed_tokens(part.sequences.lengths[batch], padded=self._scorer.pads)
        self._keep(places, np.arange(len(places)), first)
        value = self._value(part, first.requires_grad_())
        if not self._counts(value, share=1.0 if rank == 0 else 0.0):
            return
        (slopes,) = torch.autograd.grad(value, first)
        for batch in batches[rank::world]:
            self._forward(part, batch, keys).backward(slopes[torch.from_numpy(batch)])

    def _forward(self, part: TrainingStep, batch: np.ndarray, keys: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            self.padded_tokens += computed_tokens(part.sequences.lengths[batch], padded=self._scorer.pads)
        return self._scorer(part.sequences.take(batch), keys[torch.from_numpy(batch)].to(self._device))

    def _keep(self, places: np.ndarray, batch: np.ndarray, scores: Tensor) -> None:
        self.scores[torch.from_numpy(places[batch])] = scores.detach().cpu()

    def _counts(self, value: Tensor, *, share: float = 1.0) -> bool:
        """Add to the loss; whether there is a gradient to be taken."""
        number = float(value.detach())
        self.loss += share * number
        return number - number == 0  # neither infinite nor nan

    def _value(self, part: TrainingStep, scores: Tensor) -> Tensor:
        """What some groups add to the loss of the step; `scores` in their order."""
        arguments = self._arguments(part, scores)
        if self._counted is None:
            return self._loss(*arguments)
        return sum_over_queries(*self._loss.terms(*arguments)) / self._counted

    def _counted_queries(self) -> Tensor:
        zeros = torch.zeros(self._step.sequences.count, device=self._device)
        _, counted = self._loss.terms(*self._arguments(self._step, zeros))
        return counted_queries(counted).clamp(min=1)

    def _arguments(self, part: TrainingStep, scores: Tensor) -> tuple[Tensor, Supervision, Tensor]:
        mask = part.mask.to(self._device)
        known = Supervision(*(each if each is None else each.to(self._device) for each in part.supervision))
        return scores.new_zeros(mask.shape).masked_scatter(mask, scores), known, mask
