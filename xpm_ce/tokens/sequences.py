"""Many sequences of token ids, one after the other, without padding.

This module does not know where the ids come from, nor what reads them; it loads neither torch nor transformers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Ragged(NamedTuple):
    """Runs of one long array, in any order: texts as a token store or a list of arrays holds them."""

    values: np.ndarray
    """Token ids, of any integer type `[values]`; it may be memory-mapped"""

    starts: np.ndarray
    """Where each text begins, int64 `[texts]`"""

    lengths: np.ndarray
    """Tokens of each text, int64 `[texts]`"""

    @classmethod
    def of(cls, texts: Sequence[np.ndarray]) -> "Ragged":
        """Texts that are apart, put together."""
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        values = np.concatenate(texts) if texts else np.empty(0, np.int32)
        return cls(values, starts_of(lengths), lengths)

    def take(self, places: np.ndarray) -> "Ragged":
        """Some of the texts, each as often as it is named; nothing is copied but numbers."""
        return Ragged(self.values, self.starts[places], self.lengths[places])


class EncodedPair(NamedTuple):
    """One sequence of a cross-encoder."""

    ids: np.ndarray
    """Token ids, specials included, int32 `[tokens]`"""

    token_types: np.ndarray | None
    """0 for the query's part and 1 for the document's, say, int32 `[tokens]`; None where the model has none"""

    query_truncated: bool
    """Whether the query was longer than its limit"""

    document_truncated: bool
    """Whether the document was cut to fit"""


@dataclass(frozen=True)
class Sequences:
    """What a cross-encoder reads: pairs, one after the other."""

    ids: np.ndarray
    """Token ids, specials included, int32 `[tokens]`"""

    lengths: np.ndarray
    """Tokens of each pair, int64 `[sequences]`"""

    token_types: np.ndarray | None
    """Token types, int32 `[tokens]`; None where the model has none"""

    query_truncated: np.ndarray
    """Whether the query was longer than its limit, bool `[sequences]`"""

    document_truncated: np.ndarray
    """Whether the document was cut to fit, bool `[sequences]`"""

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self.lengths)

    @property
    def tokens(self) -> int:
        """Tokens of all together."""
        return len(self.ids)

    @property
    def truncated(self) -> np.ndarray:
        """Whether anything was cut, bool `[sequences]`."""
        return self.query_truncated | self.document_truncated

    def take(self, places: np.ndarray) -> "Sequences":
        """Some of the sequences, in the order of `places`."""
        lengths = self.lengths[places]
        tokens = positions(starts_of(self.lengths)[places], lengths)
        types = None if self.token_types is None else self.token_types[tokens]
        cut = (self.query_truncated[places], self.document_truncated[places])
        return Sequences(self.ids[tokens], lengths, types, *cut)

    def split(self, counts: Sequence[int]) -> Iterator["Sequences"]:
        """Consecutive parts of so many sequences each, as views."""
        first = token = 0
        for count in counts:
            part = slice(first, first + count)
            lengths = self.lengths[part]
            tokens = slice(token, token + int(lengths.sum()))
            types = None if self.token_types is None else self.token_types[tokens]
            yield Sequences(self.ids[tokens], lengths, types, self.query_truncated[part], self.document_truncated[part])
            first, token = part.stop, tokens.stop

    def pairs(self) -> Iterator[EncodedPair]:
        """Each sequence by itself."""
        for place, (start, length) in enumerate(zip(starts_of(self.lengths), self.lengths, strict=True)):
            part = slice(start, start + length)
            types = None if self.token_types is None else self.token_types[part]
            cut = bool(self.query_truncated[place]), bool(self.document_truncated[place])
            yield EncodedPair(self.ids[part], types, *cut)


def starts_of(lengths: np.ndarray) -> np.ndarray:
    """Where each run begins when they stand one after the other, int64 `[runs]`."""
    starts = np.zeros(len(lengths), np.int64)
    np.cumsum(lengths[:-1], out=starts[1:])
    return starts


def positions(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The numbers `starts[i], starts[i] + 1, ...` of every run, one run after the other, int64 `[tokens]`."""
    total = int(lengths.sum())
    return np.repeat(starts - starts_of(lengths), lengths) + np.arange(total)
