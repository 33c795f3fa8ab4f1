"""A scorer of xpmir in memory, called as its own TwoStageRetriever calls it.

This module does not know what is re-ranked.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from experimaestro import ObjectStore
from xpmir.letor.records import PointwiseItems
from xpmir.neural.huggingface import hf_cross_scorer
from xpmir.neural.sentence_transformers import st_cross_scorer

from xpm_ce.engine.compute import opened_device
from xpm_ce.interop.xpmir_model import HF, SENTENCE_TRANSFORMERS
from xpm_ce.scorers.backbones import expect_content
from xpm_ce.scorers.loading import PredictionCounts
from xpm_ce.scorers.weights import quiet_transformers

if TYPE_CHECKING:
    from xpm_ce.interop.xpmir_model import XpmirModel

BATCH = 32
"""Pairs of a batch, as xpmir has no budget of tokens"""


class OpenedXpmir:
    """A scorer of xpmir on a device; it predicts as a `LoadedModel` does."""

    def __init__(self, model: "XpmirModel", *, device: str):
        expect_content(model.path, model.sha256)
        self.device = opened_device(device)
        limits = {"max_length": model.max_length}
        if model.max_query_length is not None:
            limits |= {"max_query_length": model.max_query_length, "max_doc_length": model.max_length}
        with quiet_transformers():
            self._scorer = MAKERS[model.scorer](str(model.path), limits).to(self.device)
        self._scorer.eval()
        self.last_counts = PredictionCounts()

    @torch.no_grad()
    def predict(
        self,
        pairs: Iterable[tuple[str, str]],
        *,
        tokens_per_batch: int = 8192,
        progress: Callable[[int], object] | None = None,
    ) -> np.ndarray:
        """Scores of (query, document) pairs, fp32 `[pairs]`; xpmir does not say what it cut."""
        pairs, parts = list(pairs), []
        for first in range(0, len(pairs), BATCH):
            queries, documents = zip(*pairs[first : first + BATCH], strict=True)
            items = PointwiseItems.from_texts(list(queries), list(documents))
            parts.append(self._scorer(items, tokenized=None).cpu().float().numpy().reshape(-1))
            if progress is not None:
                progress(len(queries))
        self.last_counts = PredictionCounts(len(pairs))
        return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _hf(folder: str, limits: dict[str, Any]) -> Any:
    config, tasks = hf_cross_scorer(folder, pref_attn_implementation="sdpa", **limits)
    return _made(config, tasks)


def _sentence_transformers(folder: str, limits: dict[str, Any]) -> Any:
    return _made(st_cross_scorer(folder, pref_attn_implementation="sdpa", **limits), [])


MAKERS: dict[str, Callable[[str, dict[str, Any]], Any]] = {HF: _hf, SENTENCE_TRANSFORMERS: _sentence_transformers}
"""How each scorer is made"""


def _made(config: Any, tasks: Iterable[Any]) -> Any:
    objects = ObjectStore()
    scorer = config.instance(objects=objects)
    for task in tasks:
        task.instance(objects=objects).execute()
    scorer.initialize()
    return scorer
