"""One training step: the groups drawn for it as tokens and tensors, and the gradient of their loss.

Groups are scored in batches under a budget of tokens, the loss is over the whole step: however it is cut, the gradient
is that of one padded batch. This module does not know how weights are updated.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from xpm_ce.data.stored_documents import StoredDocuments
from xpm_ce.data.supervision import Supervision
from xpm_ce.data.training_set import StoredGroups
from xpm_ce.engine.batches import token_sorted_batches
from xpm_ce.engine.compute import training_forward
from xpm_ce.engine.padding import padded
from xpm_ce.errors import DataError
from xpm_ce.losses.loss import Loss
from xpm_ce.samplers.padded import pad
from xpm_ce.samplers.steps import DrawnGroup
from xpm_ce.scorers.transformer import TransformerScorer
from xpm_ce.tokens.pairs import EncodedPair, PairEncoder


class TrainingStep(NamedTuple):
    """The groups of a step, as a model and a loss read them."""

    query_ids: list[str]
    """Query of each group"""

    pairs: list[EncodedPair]
    """The sequences, group by group, without padding"""

    mask: Tensor
    """True where there is a document, bool `[queries, group]`"""

    supervision: Supervision
    """What is known about the documents, each tensor `[queries, group]`"""

    @property
    def tokens(self) -> int:
        return sum(len(pair.ids) for pair in self.pairs)

    @property
    def pairs_truncated(self) -> int:
        return sum(pair.query_truncated or pair.document_truncated for pair in self.pairs)

    @property
    def queries_truncated(self) -> int:
        return sum(pair.query_truncated for pair in self.pairs)


class TrainingTexts:
    """Turns drawn groups into sequences; DataError where a training query has no text."""

    def __init__(
        self, groups: StoredGroups, *, queries: dict[str, str], documents: StoredDocuments, encoder: PairEncoder
    ):
        self._groups, self._queries, self._documents, self._encoder = groups, queries, documents, encoder
        missing = [each for each in map(groups.query_id, range(len(groups))) if each not in queries]
        if missing:
            raise DataError(
                f"{len(missing)} queries of the training set have no text, the first is {missing[0]}",
                where=str(groups.path),
                remedy="Give the queries of the split from which the training set was made.",
            )

    def read(self, drawn: Sequence[DrawnGroup]) -> TrainingStep:
        """The groups of a step."""
        query_ids = [self._groups.query_id(group.query_index) for group in drawn]
        queries = [
            self._queries[query_id]
            for query_id, group in zip(query_ids, drawn, strict=True)
            for _ in range(len(group.documents))
        ]
        documents = [self._documents.text(int(row)) for group in drawn for row in group.documents]
        arrays = pad(drawn, self._groups.supervision)
        return TrainingStep(
            query_ids,
            self._encoder.encode(queries, documents),
            torch.from_numpy(arrays.mask),
            arrays.supervision(torch.from_numpy),
        )


class StepResult(NamedTuple):
    """What a step gave, besides the gradient in the weights."""

    loss: float
    """The loss over the whole step"""

    padded_tokens: int
    """Tokens computed, with padding"""


def gradient(
    step: TrainingStep,
    scorer: TransformerScorer,
    loss: Loss,
    *,
    dropout_keys: Tensor,
    tokens_per_batch: int,
    precision: str,
    device: torch.device,
) -> StepResult:
    """Add the gradient of a step's loss to the weights' gradients; `dropout_keys` int32 `[sequences]`.

    A loss that is not finite adds nothing: whoever looks at it decides.
    """
    scores, padded_tokens = _scores(
        step,
        scorer,
        dropout_keys=dropout_keys,
        tokens_per_batch=tokens_per_batch,
        precision=precision,
        device=device,
    )
    mask = step.mask.to(device)
    groups = scores.new_zeros(mask.shape).masked_scatter(mask, scores)
    known = Supervision(*(each if each is None else each.to(device) for each in step.supervision))
    value = loss(groups, known, mask)
    number = float(value.detach())
    if number - number == 0:  # neither infinite nor nan
        value.backward()
    return StepResult(number, padded_tokens)


def _scores(
    step: TrainingStep,
    scorer: TransformerScorer,
    *,
    dropout_keys: Tensor,
    tokens_per_batch: int,
    precision: str,
    device: torch.device,
) -> tuple[Tensor, int]:
    """Scores fp32 `[sequences]` in the order of the step, and the padded tokens that they took."""
    lengths = [len(pair.ids) for pair in step.pairs]
    batches = token_sorted_batches(lengths, tokens_per_batch=tokens_per_batch)
    parts, padded_tokens = [], 0
    for batch in batches:
        inputs = padded([step.pairs[place] for place in batch], padding_id=scorer.padding_id)
        padded_tokens += inputs.ids.numel()
        keys = dropout_keys[torch.from_numpy(batch)].to(device)
        with training_forward(precision, device):
            parts.append(scorer(inputs.to(device), keys))
    order = torch.cat([torch.from_numpy(batch) for batch in batches])
    return torch.cat(parts)[torch.argsort(order).to(device)], padded_tokens
