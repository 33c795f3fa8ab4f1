"""A saved cross-encoder in memory: `predict` scores pairs, `rank` orders the documents of a query.

This module does not know how the model was trained.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xpm_ce.engine.compute import computing, opened_device
from xpm_ce.engine.precision import BF16, check_name, require
from xpm_ce.engine.scoring import score
from xpm_ce.errors import DataError
from xpm_ce.scorers.transformer import LIMITS, TransformerScorer
from xpm_ce.scorers.weights import Loaded, load_folder
from xpm_ce.tokens.pairs import PairLimits, special_tokens

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
    """Tokens, with padding"""


class LoadedModel:
    """A scorer on a device, in a precision, that is not trained any more."""

    def __init__(self, scorer: TransformerScorer, *, device: str = "cpu", precision: str = "fp32"):
        require(precision, device)
        self.scorer, self.precision, self.device = scorer.eval(), precision, opened_device(device)
        self.last_counts = PredictionCounts()
        if precision == BF16:
            scorer.to_bf16()
        scorer.to(self.device)

    def predict(
        self,
        pairs: Iterable[tuple[str, str]],
        *,
        tokens_per_batch: int = 8192,
        progress: Callable[[int], object] | None = None,
    ) -> np.ndarray:
        """Scores of (query, document) pairs, fp32 `[pairs]` in their order.

        `tokens_per_batch` bounds the padded tokens of a batch, and with them the memory; `progress` is called
        with the number of pairs after each batch. `last_counts` says what was read.
        """
        pairs = list(pairs)
        scores = np.empty(len(pairs), np.float32)
        counts = PredictionCounts()
        with computing(self.precision, self.device):
            for first in range(0, len(pairs), PAIRS_AT_ONCE):
                window = slice(first, first + PAIRS_AT_ONCE)
                queries, documents = zip(*pairs[window], strict=True)
                encoded = self.scorer.encoder.encode(queries, documents)
                scored = score(
                    encoded,
                    self.scorer,
                    padding_id=self.scorer.padding_id,
                    tokens_per_batch=tokens_per_batch,
                    device=self.device,
                    progress=progress,
                )
                scores[window] = scored.scores
                read = PredictionCounts(
                    len(encoded),
                    sum(pair.query_truncated or pair.document_truncated for pair in encoded),
                    sum(pair.query_truncated for pair in encoded),
                    scored.tokens,
                    scored.padded_tokens,
                )
                counts = PredictionCounts(*(before + now for before, now in zip(counts, read, strict=True)))
        self.last_counts = counts
        return scores

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
    folder = Path(folder)
    known = _limits(folder)
    scorer = existing_scorer(
        load_folder(folder, head_seed=0),
        max_length=max_length or known.get("max_length"),
        max_query_length=max_query_length or known.get("max_query_length"),
        where=str(folder),
    )
    return LoadedModel(scorer, device=device, precision=precision)


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
