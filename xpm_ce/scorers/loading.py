"""A saved cross-encoder in memory: `predict` scores pairs, `rank` orders the documents of a query.

This module does not know how the model was trained.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xpm_ce.engine.compute import check_computed, computing, opened_device
from xpm_ce.engine.precision import check_name, require
from xpm_ce.engine.scoring import score
from xpm_ce.errors import DataError
from xpm_ce.scorers.transformer import LIMITS, TransformerScorer
from xpm_ce.scorers.weights import Loaded, load_folder
from xpm_ce.tokens.pairs import PairLimits, special_tokens
from xpm_ce.tokens.sequences import Sequences

PAIRS_AT_ONCE = 1 << 14
"""Pairs whose tokens are in memory together, and are sorted by length together"""


@dataclass(frozen=True)
class RankedDocument:
    """A document of a ranking, best first."""

    index: int
    """Its place in the list that was given"""

    score: float
    """Its score"""

    text: str
    """The document"""


class PredictionCounts(NamedTuple):
    """What a prediction read."""

    pairs: int = 0
    """Pairs scored"""

    pairs_truncated: int = 0
    """Pairs of which anything was cut, the query or the document"""

    queries_truncated: int = 0
    """Pairs whose query was cut"""

    tokens: int = 0
    """Tokens, without padding"""

    padded_tokens: int = 0
    """Tokens computed, with padding where there is any"""

    def plus(self, other: "PredictionCounts") -> "PredictionCounts":
        """Both together."""
        return PredictionCounts(*(ours + theirs for ours, theirs in zip(self, other, strict=True)))


class LoadedModel:
    """A scorer on a device, in a precision, that is not trained any more."""

    def __init__(self, scorer: TransformerScorer, *, device: str = "cpu", precision: str = "fp32"):
        require(precision, device)
        self.precision, self.device = precision, opened_device(device)
        self.scorer = scorer.to(self.device).prepare_scoring(precision)
        self.last_counts = PredictionCounts()

    def predict(
        self,
        pairs: Iterable[tuple[str, str]],
        *,
        tokens_per_batch: int = 8192,
        progress: Callable[[int], object] | None = None,
    ) -> np.ndarray:
        """Scores of (query, document) pairs, fp32 `[pairs]` in their order.

        `tokens_per_batch` bounds the tokens of a batch, and with them the memory; `progress` is called
        with the number of pairs after each batch. `last_counts` says what was read.
        """
        pairs = list(pairs)
        scores = np.empty(len(pairs), np.float32)
        counts = PredictionCounts()
        for first in range(0, len(pairs), PAIRS_AT_ONCE):
            window = slice(first, first + PAIRS_AT_ONCE)
            queries, documents = zip(*pairs[window], strict=True)
            sequences = self.scorer.encoder.encode(queries, documents)
            scores[window] = self.score(sequences, tokens_per_batch=tokens_per_batch, progress=progress)
            counts = counts.plus(self.last_counts)
        self.last_counts = counts
        return scores

    def score(
        self,
        sequences: Sequences,
        *,
        tokens_per_batch: int = 8192,
        progress: Callable[[int], object] | None = None,
    ) -> np.ndarray:
        """Scores of pairs that are tokens already, fp32 `[sequences]`; otherwise as `predict`."""
        with computing(self.precision, self.device):
            scored = score(sequences, self.scorer, tokens_per_batch=tokens_per_batch, progress=progress)
        check_computed(self.scorer.computed, self.precision)
        self.last_counts = PredictionCounts(
            sequences.count,
            int(sequences.truncated.sum()),
            int(sequences.query_truncated.sum()),
            scored.tokens,
            scored.padded_tokens,
        )
        return scored.scores

    def rank(self, query: str, documents: Sequence[str], top_k: int | None = None) -> list[RankedDocument]:
        """The documents from best to worst, ties in their order; the first `top_k` where that is given."""
        scores = self.predict([(query, document) for document in documents])
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [RankedDocument(int(place), float(scores[place]), documents[place]) for place in order]


def load(
    folder: str | Path,
    *,
    device: str = "cpu",
    precision: str = "fp32",
    max_length: int | None = None,
    max_query_length: int | None = None,
) -> LoadedModel:
    """The cross-encoder of a transformers folder, ours or from elsewhere.

    Limits that are not given are those of training, which our folders hold; a folder from elsewhere is read up to
    its tokenizer's length, as far as the model has positions. DataError where the folder has no head with one output.
    """
    check_name(precision)
    scorer = saved_scorer(Path(folder), max_length=max_length, max_query_length=max_query_length)
    return LoadedModel(scorer, device=device, precision=precision)


def saved_scorer(
    folder: Path, *, max_length: int | None = None, max_query_length: int | None = None
) -> TransformerScorer:
    """The scorer of a transformers folder, which can be trained further; limits and errors as in `load`."""
    known = _limits(folder)
    return existing_scorer(
        load_folder(folder, head_seed=0),
        max_length=max_length or known.get("max_length"),
        max_query_length=max_query_length or known.get("max_query_length"),
        where=str(folder),
    )


def existing_scorer(
    loaded: Loaded, *, max_length: int | None, max_query_length: int | None, where: str
) -> TransformerScorer:
    """A scorer whose weights all come from its folder; DataError where it has no head."""
    if loaded.new_weights:
        raise DataError(
            f"this model has no head that scores: {', '.join(loaded.new_weights)} are missing",
            where=where,
            remedy="Give a cross-encoder, or train this encoder with a learner.",
        )
    usable = loaded.family.usable_positions(loaded.model.config)
    longest = max_length or min(usable, loaded.tokenizer.model_max_length)
    query = max_query_length or longest - special_tokens(loaded.tokenizer) - 1
    return TransformerScorer(loaded, PairLimits(max_length=longest, max_query_length=query))


def _limits(folder: Path) -> dict[str, int]:
    """What xpm_ce.json says; nothing where there is none."""
    try:
        return json.loads((folder / LIMITS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise DataError(f"{LIMITS} is not JSON", where=str(folder), remedy="Save the model again.") from error
