"""What a training has seen so far.

This module loads nothing.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from xpm_ce.learn.step import StepResult, TrainingStep


class Counts(NamedTuple):
    """Sums over the steps that count: a step that is computed again after an interruption counts once."""

    steps: int = 0
    """Updates"""

    queries: int = 0
    """Groups"""

    documents: int = 0
    """Sequences scored: pairs of a query and a document"""

    tokens: int = 0
    """Tokens, special tokens included, without padding"""

    squared_tokens: int = 0
    """Sum of the squares of the sequences' lengths in tokens, which attention grows with"""

    rectangle_tokens: int = 0
    """Tokens of one padded batch per step: sequences times the longest of them"""

    padded_tokens: int = 0
    """Tokens computed, with padding, each sequence once"""

    recomputed_tokens: int = 0
    """Tokens of second forward passes, of steps that exceed the budget"""

    pairs_truncated: int = 0
    """Pairs of which anything was cut, the query or the document"""

    queries_truncated: int = 0
    """Pairs whose query was cut"""

    documents_truncated: int = 0
    """Pairs whose document was cut"""

    seconds: float = 0.0
    """Wall seconds of these steps, start-up apart"""

    @classmethod
    def of(cls, inputs: "TrainingStep", result: "StepResult", *, seconds: float) -> "Counts":
        """One step; `result` is over all processes."""
        sequences = inputs.sequences
        lengths, query, document = sequences.lengths, sequences.query_truncated, sequences.document_truncated
        return cls(
            steps=1,
            queries=len(inputs.query_ids),
            documents=len(lengths),
            tokens=int(lengths.sum()),
            squared_tokens=int((lengths * lengths).sum()),
            rectangle_tokens=len(lengths) * int(lengths.max()),
            padded_tokens=result.padded_tokens,
            recomputed_tokens=result.computed_tokens - result.padded_tokens,
            pairs_truncated=int((query | document).sum()),
            queries_truncated=int(query.sum()),
            documents_truncated=int(document.sum()),
            seconds=seconds,
        )

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "Counts":
        """Counts from plain data; ValueError where other things were counted, by another version of this class."""
        if set(record) != set(cls._fields):
            raise ValueError(f"it counts {', '.join(sorted(record))}, not {', '.join(sorted(cls._fields))}")
        return cls(**record)

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        sums: dict[str, Any] = {name: getattr(self, name) + getattr(other, name) for name in self._fields}
        return Counts(**sums)
