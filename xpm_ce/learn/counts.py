"""What a training has seen so far.

This module loads nothing.
"""

from typing import Any, NamedTuple


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

    padded_tokens: int = 0
    """Tokens, with padding"""

    pairs_truncated: int = 0
    """Pairs of which anything was cut, the query or the document"""

    queries_truncated: int = 0
    """Pairs whose query was cut"""

    seconds: float = 0.0
    """Wall seconds of these steps, start-up apart"""

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        sums: dict[str, Any] = {name: getattr(self, name) + getattr(other, name) for name in self._fields}
        return Counts(**sums)
