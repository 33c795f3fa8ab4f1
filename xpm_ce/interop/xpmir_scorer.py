"""A cross-encoder of ours as a scorer of xpmir: it ranks inside xpmir's retrievers.

    from xpm_ce.interop.xpmir_scorer import xpmir_scorer
    retriever = xpmir_scorer("path/to/checkpoint").getRetriever(bm25, batch_size=0, top_k=100)

This module does not know what retrieves.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from experimaestro import Constant, Meta, Param, field
from xpmir.letor.records import TopicRecord
from xpmir.rankers import ScoredDocument, Scorer

from xpm_ce.identity import HashCache
from xpm_ce.scorers.backbones import expect_content
from xpm_ce.scorers.folders import content_sha256


class XpmCeScorer(Scorer):
    """Scores the documents of a query with a cross-encoder folder, as `xpm_ce.load(...).predict` does."""

    __xpmid__ = "xpm_ce.interop.xpm_ce_scorer"

    version: Constant[int] = 1
    """Version of how pairs are read"""

    path: Meta[Path]
    """The transformers folder; it may move"""

    sha256: Param[str]
    """sha256 over the files that loading reads"""

    max_length: Param[Optional[int]] = field(default=None)
    """Tokens of a pair, special tokens included; by default those of training"""

    max_query_length: Param[Optional[int]] = field(default=None)
    """Tokens of a query, special tokens excluded; by default those of training"""

    precision: Param[str] = field(default="fp32")
    """Precision of the forward pass"""

    device: Meta[str] = field(default="cpu")
    """Where it runs: cpu, cuda, cuda:1"""

    tokens_per_batch: Meta[int] = field(default=8192)
    """Tokens of a batch; bounds the memory"""

    def __initialize__(self) -> None:
        from xpm_ce.scorers.loading import load

        expect_content(self.path, self.sha256)
        self._model = load(
            self.path, device=self.device, precision=self.precision, max_length=self.max_length,
            max_query_length=self.max_query_length,
        )  # fmt: skip

    def eval(self) -> "XpmCeScorer":
        """Nothing to do: it never trains. xpmir's retrievers ask their scorer for it."""
        return self

    def compute(self, topic: TopicRecord, documents: Iterable[ScoredDocument]) -> list[ScoredDocument]:
        """The documents with their scores, in the order that they came in."""
        documents, query = list(documents), topic["text_item"].text
        pairs = [(query, each.document["text_item"].text) for each in documents]
        scores = self._model.predict(pairs, tokens_per_batch=self.tokens_per_batch)
        return [ScoredDocument(each.document, float(score)) for each, score in zip(documents, scores, strict=True)]


def xpmir_scorer(folder: str | Path, **parameters: object) -> XpmCeScorer:
    """The configuration of a folder as a scorer of xpmir, identified by the files that loading reads.

    `parameters` are those of `XpmCeScorer`. DataError where the folder is incomplete.
    """
    path = Path(folder).expanduser().absolute()
    return XpmCeScorer.C(path=path, sha256=content_sha256(path, HashCache()), **parameters)
