"""A query and a document as the token ids that a cross-encoder reads, in the backbone's own pair template.

The template is learnt from the tokenizer's post-processor, and texts are tokenised apart from each other, so that a
document met again costs nothing. This module knows no backbone by name and loads neither torch nor transformers.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xpm_ce.errors import ConfigurationError
from xpm_ce.tokens.sequences import Ragged, Sequences, positions, starts_of

CACHED_TOKENS = 1 << 24
"""Tokens of texts that are kept for the next time: 64 MiB of ids"""


@dataclass(frozen=True, kw_only=True)
class PairLimits:
    """How long a pair may be, in tokens."""

    max_length: int
    """Tokens of a pair, special tokens included"""

    max_query_length: int
    """Tokens of a query, special tokens excluded"""


class _Template(NamedTuple):
    """The special tokens around a query and a document, and the token type of each part."""

    before: np.ndarray
    between: np.ndarray
    after: np.ndarray
    types: tuple[np.ndarray, int, np.ndarray, int, np.ndarray]

    @property
    def specials(self) -> int:
        return len(self.before) + len(self.between) + len(self.after)


class PairEncoder:
    """Encodes pairs as the tokenizer itself would, the document being cut first.

    `tokenizer` is a transformers tokenizer backed by the tokenizers library; `usable_positions` are the tokens that
    the model has positions for; `token_types` says whether the model reads them. The ids are those of
    `tokenizer(query, document, truncation="only_second", max_length=...)` for every query within its limit; a
    longer query is cut to the limit, and counted. ConfigurationError for limits that the model or the template
    cannot meet.
    """

    def __init__(self, tokenizer: Any, limits: PairLimits, *, usable_positions: int, token_types: bool):
        self.limits = limits
        self._backend = fast_backend(tokenizer)
        self._template = _template(self._backend)
        self._token_types = token_types
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()
        self._cached_tokens = 0
        self._check(usable_positions)

    @property
    def specials(self) -> int:
        """Special tokens of a pair."""
        return self._template.specials

    def _check(self, usable_positions: int) -> None:
        longest, query = self.limits.max_length, self.limits.max_query_length
        if longest > usable_positions:
            raise ConfigurationError(
                f"max_length is {longest}, but the backbone has {usable_positions} usable positions",
                remedy=f"Give max_length: {usable_positions} or less.",
            )
        if query < 1 or longest <= query + self.specials:
            raise ConfigurationError(
                f"max_length {longest} leaves no document beside a query of {query} tokens and "
                f"{self.specials} special tokens",
                remedy="Raise max_length or lower max_query_length (1 or more).",
            )

    def encode(self, queries: Sequence[str], documents: Sequence[str]) -> Sequences:
        """Pairs `(queries[i], documents[i])`, in order."""
        texts = self._tokenised({*queries, *documents})
        return self.join(Ragged.of([texts[each] for each in queries]), Ragged.of([texts[each] for each in documents]))

    def tokens(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Ids of each text without special tokens, int32 `[tokens]` each."""
        found = self._tokenised(set(texts))
        return [found[text] for text in texts]

    def join(self, queries: Ragged, documents: Ragged) -> Sequences:
        """Pairs of texts that are tokens already, in order."""
        limits, template = self.limits, self._template
        kept_query = np.minimum(queries.lengths, limits.max_query_length)
        kept_document = np.minimum(documents.lengths, limits.max_length - self.specials - kept_query)
        lengths = kept_query + kept_document + self.specials
        starts = starts_of(lengths)
        query_at = starts + len(template.before)
        document_at = query_at + kept_query + len(template.between)
        ids = np.empty(int(lengths.sum()), np.int32)
        for at, specials in (
            (starts, template.before),
            (query_at + kept_query, template.between),
            (document_at + kept_document, template.after),
        ):
            for place, special in enumerate(specials):
                ids[at + place] = special
        for at, texts, kept in ((query_at, queries, kept_query), (document_at, documents, kept_document)):
            ids[positions(at, kept)] = texts.values[positions(texts.starts, kept)]
        types = self._types(kept_query, kept_document) if self._token_types else None
        cut = (kept_query < queries.lengths, kept_document < documents.lengths)
        return Sequences(ids, lengths, types, *cut)

    def _types(self, queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
        """Token types of pairs whose parts have these lengths, int32 `[tokens]`."""
        before, query, between, document, after = self._template.types
        values = np.array([*before, query, *between, document, *after], np.int32)
        lengths = np.ones((len(queries), len(values)), np.int64)
        lengths[:, len(before)] = queries
        lengths[:, len(before) + 1 + len(between)] = documents
        return np.repeat(np.tile(values, len(queries)), lengths.ravel())

    def _tokenised(self, texts: set[str]) -> dict[str, np.ndarray]:
        """Ids of each text without special tokens; those met lately are not tokenised again."""
        found = {text: self._cache[text] for text in texts if text in self._cache}
        for text in found:
            self._cache.move_to_end(text)
        missing = [text for text in texts if text not in found]
        if missing:
            # A tokenizer.json may ask for truncation or padding, and whoever calls the tokenizer leaves it on.
            self._backend.no_truncation()
            self._backend.no_padding()
            encodings = self._backend.encode_batch_fast(missing, add_special_tokens=False)
            for text, encoding in zip(missing, encodings, strict=True):
                found[text] = np.array(encoding.ids, np.int32)
                self._keep(text, found[text])
        return found

    def forget(self) -> None:
        """Drop the texts that are kept as tokens, as when each is met for the first time."""
        self._cache.clear()
        self._cached_tokens = 0

    def _keep(self, text: str, ids: np.ndarray) -> None:
        self._cache[text] = ids
        self._cached_tokens += len(ids)
        while self._cached_tokens > CACHED_TOKENS:
            self._cached_tokens -= len(self._cache.popitem(last=False)[1])


def special_tokens(tokenizer: Any) -> int:
    """Special tokens that a tokenizer puts around a pair."""
    return _template(fast_backend(tokenizer)).specials


def fast_backend(tokenizer: Any) -> Any:
    """The tokenizers-library object behind a transformers tokenizer; ConfigurationError where it cannot be used."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ConfigurationError(
            f"{type(tokenizer).__name__} is written in Python only",
            remedy="Save the tokenizer as a tokenizer.json (a fast tokenizer) and use that.",
        )
    if tokenizer.truncation_side != "right":
        raise ConfigurationError(
            "this tokenizer cuts the beginning of a text, not its end",
            remedy="Set truncation_side to right in its tokenizer_config.json.",
        )
    return backend


def _template(backend: Any) -> _Template:
    """What the post-processor puts around a pair, seen on a probe."""
    backend.no_truncation()
    backend.no_padding()
    probe = backend.encode("a", "a")
    ids, types = np.array(probe.ids, np.int32), np.array(probe.type_ids, np.int32)
    query = [place for place, part in enumerate(probe.sequence_ids) if part == 0]
    document = [place for place, part in enumerate(probe.sequence_ids) if part == 1]
    contiguous = all(places and places[-1] - places[0] + 1 == len(places) for places in (query, document))
    if not contiguous or query[-1] > document[0]:
        raise ConfigurationError(
            "the tokenizer's template does not put a query before a document",
            remedy="Use the tokenizer of an encoder that reads pairs of texts.",
        )
    first, second, third = slice(query[0]), slice(query[-1] + 1, document[0]), slice(document[-1] + 1, None)
    return _Template(
        ids[first],
        ids[second],
        ids[third],
        (types[first], int(types[query[0]]), types[second], int(types[document[0]]), types[third]),
    )
