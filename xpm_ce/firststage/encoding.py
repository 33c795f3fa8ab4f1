"""The computation of `SpladeEncoder`: from texts to weights over the vocabulary, by a masked language model.

This module does not know what an index is.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from transformers import AutoModelForMaskedLM

from xpm_ce.engine.compute import computing, opened_device, training_forward
from xpm_ce.errors import DataError
from xpm_ce.tokens.casing import tokenizer_of

if TYPE_CHECKING:
    from xpm_ce.firststage.splade import SpladeEncoder

TEXTS_AT_ONCE = 16
"""Texts of a batch: with 256 tokens and 30 522 entries their logits take half a gigabyte. Not a setting, since rounding
depends on it"""


class Weighed(NamedTuple):
    """A text as SPLADE sees it."""

    entries: np.ndarray
    """Numbers of vocabulary entries, increasing, uint64 [entries]"""
    weights: np.ndarray
    """Their weights, above 0, float32 [entries]"""
    cut: bool
    """Whether the text was longer than the limit"""


class Splade:
    """An encoder in memory."""

    def __init__(self, encoder: "SpladeEncoder", *, device: str = "cpu"):
        folder = encoder.resolve()
        self.device, self.precision, self.max_length = opened_device(device), encoder.precision, encoder.max_length
        self.tokenizer = tokenizer_of(folder, lower_case=getattr(encoder.backbone, "lower_case", None))
        self.model, report = AutoModelForMaskedLM.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
        )
        if report["missing_keys"]:
            raise DataError(
                f"the folder has no head of a masked language model: {', '.join(sorted(report['missing_keys'])[:3])}",
                where=str(folder),
                remedy="Give the folder of a SPLADE model, or another masked language model with its head.",
            )
        positions = getattr(self.model.config, "max_position_embeddings", self.max_length)
        if self.max_length > positions:
            raise DataError(
                f"max_length is {self.max_length}, but the model has {positions} positions",
                where=str(folder),
                remedy="Lower max_length.",
            )
        self.model.eval().to(self.device)

    def weigh(self, texts: Sequence[str]) -> list[Weighed]:
        """Weights of each text; texts of like length are computed together."""
        found: list[Weighed | None] = [None] * len(texts)
        ids = self.tokenizer(list(texts), truncation=True, max_length=self.max_length + 1)["input_ids"]
        by_length = sorted(range(len(texts)), key=lambda place: len(ids[place]))
        for first in range(0, len(texts), TEXTS_AT_ONCE):
            places = by_length[first : first + TEXTS_AT_ONCE]
            for place, row in zip(places, self._rows([texts[place] for place in places]), strict=True):
                entries = np.flatnonzero(row)
                cut = len(ids[place]) > self.max_length
                found[place] = Weighed(entries.astype(np.uint64), row[entries], cut)
        return [each for each in found if each is not None]

    def _rows(self, texts: list[str]) -> Iterator[np.ndarray]:
        """Weights of a batch, float32 [vocabulary] for each text."""
        batch = self.tokenizer(texts, truncation=True, max_length=self.max_length, padding=True, return_tensors="pt")
        batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
        precision, device = self.precision, self.device
        padding = batch["attention_mask"][:, :, None] == 0
        with torch.inference_mode(), computing(precision, device), training_forward(precision, device):
            logits = self.model(**batch).logits.float()  # [texts, tokens, vocabulary]
            # log and max(0, .) do not decrease: they may be taken of the maximum
            highest = logits.masked_fill_(padding, -torch.inf).amax(dim=1)
            weights = torch.log1p(torch.relu(highest))
        yield from weights.cpu().numpy()
