"""Whether a folder scores in other libraries as it does here, on the same pairs; the report of that.

Libraries are called as their users call them. This module does not know where the pairs come from, nor what the report
is for.
"""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from xpm_ce.errors import DataError
from xpm_ce.jobs import environment
from xpm_ce.scorers.loading import LoadedModel
from xpm_ce.scorers.transformer import TransformerScorer
from xpm_ce.scorers.weights import quiet_transformers

TRANSFORMERS, SENTENCE_TRANSFORMERS, RERANKERS = "transformers", "sentence-transformers", "rerankers"
BATCH = 32
"""Pairs of a batch: the default of CrossEncoder.predict"""

TOLERANCE = 1e-4
"""Largest difference, as a share of the largest score (or of 1), beyond which a folder is refused: more than rounding
of fp32 in other orders of summation"""

Pair = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class LibraryParity:
    """One library beside ours."""

    library: str
    version: str | None
    """None where it is not installed, and then nothing was compared"""

    max_difference: float | None = None
    """Largest absolute difference of a score"""

    kendall_tau: float | None = None
    """tau-b of the two orders of all pairs; 1 for the same order"""


@dataclasses.dataclass(frozen=True)
class ParityReport:
    """What a comparison found."""

    pairs: int
    """Pairs compared"""

    drawn: int
    """Those of them that are random words of the vocabulary; the others are the evaluation's own"""

    left_out: int
    """Pairs that were met and are read otherwise: too long a query is cut here alone"""

    score_range: tuple[float, float]
    """Least and largest score"""

    libraries: list[LibraryParity]
    """In the order of their names"""

    environment: dict[str, Any]
    """Versions, processor and threads"""

    def as_json(self) -> dict[str, Any]:
        """The documented form: parity.json, schema 1."""
        return {"schema": 1, **dataclasses.asdict(self)}


def compare(
    folder: Path, scorer: TransformerScorer, *, evaluated: Sequence[Pair], drawn: Sequence[Pair], count: int
) -> ParityReport:
    """Compare a folder in other libraries with a scorer here, on the first `count` pairs that all read alike.

    Pairs are taken from `evaluated`, then from `drawn`. DataError where a library's scores differ by more than
    rounding: such a folder must not leave.
    """
    with quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    own, others = read_alike(scorer, tokenizer, evaluated, count), []
    if len(own.pairs) < count:
        others = read_alike(scorer, tokenizer, drawn, count - len(own.pairs)).pairs
    pairs = [*own.pairs, *others]
    if not pairs:
        raise DataError(
            "no pair is read alike here and by transformers, whose tokenizer gives other tokens",
            where=str(folder),
            remedy="Report this with the files of the tokenizer.",
        )
    ours = LoadedModel(scorer).predict(pairs)
    if not np.isfinite(ours).all():
        raise DataError(
            f"{int((~np.isfinite(ours)).sum())} of {len(ours)} scores are not finite",
            where=str(folder),
            remedy="The model diverged: nothing was exported.",
        )
    found = [compared(name, folder, pairs, ours) for name in (TRANSFORMERS, SENTENCE_TRANSFORMERS, RERANKERS)]
    return ParityReport(
        len(pairs), len(others), own.left_out, (float(ours.min()), float(ours.max())), found, environment()
    )


@dataclasses.dataclass(frozen=True)
class ReadAlike:
    """Pairs whose tokens are the same here and by transformers, and how many were left out before them."""

    pairs: list[Pair]
    left_out: int


def read_alike(scorer: TransformerScorer, tokenizer: Any, pairs: Sequence[Pair], count: int) -> ReadAlike:
    """The first `count` pairs whose tokens are the same here and by a tokenizer that cuts the longer text first."""
    kept: list[Pair] = []
    for met, (query, document) in enumerate(pairs):
        if len(kept) == count:
            return ReadAlike(kept, met - count)
        (ours,) = scorer.encoder.encode([query], [document]).pairs()
        if tokenizer(query, document, truncation=True)["input_ids"] == ours.ids.tolist():
            kept.append((query, document))
    return ReadAlike(kept, len(pairs) - len(kept))


def compared(library: str, folder: Path, pairs: list[Pair], ours: np.ndarray) -> LibraryParity:
    """A library beside ours; DataError where its scores differ from `ours` `[pairs]` by more than rounding."""
    if not installed(library):
        return LibraryParity(library, None)
    theirs = SCORES[library](folder, pairs)
    difference = float(np.abs(theirs - ours).max())
    allowed = TOLERANCE * max(1.0, float(np.abs(ours).max()))
    if not difference <= allowed:
        place = int(np.abs(theirs - ours).argmax())
        raise DataError(
            f"{library} {metadata.version(library)} scores this model otherwise: up to {difference:.3g} apart, "
            f"{theirs[place]:.6f} instead of {ours[place]:.6f}",
            where=str(folder),
            remedy="Nothing was exported. Report this with the model's config.json and the library's version.",
        )
    return LibraryParity(library, metadata.version(library), difference, kendall_tau(ours, theirs))


def kendall_tau(one: np.ndarray, other: np.ndarray) -> float:
    """Kendall's tau-b of two lists of scores (Kendall 1945); 1 where one of them is level, as nothing is reordered."""
    above = np.triu_indices(len(one), k=1)
    ours, theirs = (np.sign(np.subtract.outer(each, each))[above] for each in (one, other))
    ordered = float(np.sqrt(np.abs(ours).sum() * np.abs(theirs).sum()))
    return float((ours * theirs).sum() / ordered) if ordered else 1.0


# -- the libraries, as their users call them ------------------------------------------------------------------------


def installed(library: str) -> bool:
    """Whether a library can be imported."""
    return find_spec(library.replace("-", "_")) is not None


def transformers_scores(folder: Path, pairs: Sequence[Pair]) -> np.ndarray:
    """Scores by AutoTokenizer and AutoModelForSequenceClassification, fp32 `[pairs]`."""
    with quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True).eval()
    parts = []
    for first in range(0, len(pairs), BATCH):
        queries, documents = zip(*pairs[first : first + BATCH], strict=True)
        inputs = tokenizer(list(queries), list(documents), padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            parts.append(model(**inputs).logits[:, 0].numpy())
    return np.concatenate(parts)


def sentence_transformers_scores(folder: Path, pairs: Sequence[Pair]) -> np.ndarray:
    """Scores by CrossEncoder.predict, fp32 `[pairs]`."""
    from sentence_transformers import CrossEncoder

    with quiet_transformers(), _warnings_only("sentence_transformers"):
        model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    return np.asarray(model.predict(list(pairs), show_progress_bar=False), np.float32)


def rerankers_scores(folder: Path, pairs: Sequence[Pair]) -> np.ndarray:
    """Scores by Reranker.rank, query by query, fp32 `[pairs]`."""
    from rerankers import Reranker

    with quiet_transformers():
        model = Reranker(str(folder), model_type="cross-encoder", device="cpu", verbose=0)
    scores = np.empty(len(pairs), np.float32)
    for query in dict.fromkeys(query for query, _ in pairs):
        places = [place for place, pair in enumerate(pairs) if pair[0] == query]
        ranked = model.rank(query, [pairs[place][1] for place in places], doc_ids=places)
        for result in ranked.results:
            scores[result.doc_id] = result.score
    return scores


SCORES = {
    TRANSFORMERS: transformers_scores,
    SENTENCE_TRANSFORMERS: sentence_transformers_scores,
    RERANKERS: rerankers_scores,
}
"""How each library scores a folder"""


@contextlib.contextmanager
def _warnings_only(name: str) -> Iterator[None]:
    library = logging.getLogger(name)
    before = library.level
    library.setLevel(logging.WARNING)
    try:
        yield
    finally:
        library.setLevel(before)
