"""A scorer of xpmir as a model of ours: named in a YAML, it re-ranks through `Rerank` like any other.

This module loads neither xpmir nor torch; `xpmir_scoring.py` does, in the job.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Optional

from experimaestro import Constant, Meta, Param, field

from xpm_ce.errors import ConfigurationError
from xpm_ce.scorers.cross_encoder import check_limits
from xpm_ce.scorers.models import Model

if TYPE_CHECKING:
    from xpm_ce.interop.xpmir_scoring import OpenedXpmir

HF, SENTENCE_TRANSFORMERS = "hf_cross_scorer", "st_cross_scorer"
XPMIR_SCORERS = {
    HF: "its own tokens and templates, logits as they are",
    SENTENCE_TRANSFORMERS: "sentence-transformers' CrossEncoder inside, with the activation that its folder asks for",
}
"""Scorers of xpmir by the function that makes them, and how they read and score"""


class XpmirModel(Model):
    """A cross-scorer of xpmir on a transformers folder; it reads texts in its own way, in fp32."""

    __xpmid__ = "xpm_ce.interop.xpmir_model"

    version: Constant[int] = 1
    """Version of how xpmir is called"""

    scorer: Param[str]
    """Function of xpmir that makes the scorer: hf_cross_scorer or st_cross_scorer"""

    path: Meta[Path]
    """The transformers folder; it may move"""

    sha256: Param[str]
    """sha256 over the files that loading reads"""

    max_length: Param[int]
    """Tokens of a pair, special tokens included"""

    max_query_length: Param[Optional[int]] = field(default=None)
    """Tokens of a query; by default no limit of its own"""

    def __validate__(self) -> None:
        check_limits(self.max_length, self.max_query_length)

    def open(self, *, device: str = "cpu", precision: str = "fp32") -> "OpenedXpmir":  # type: ignore[override]
        from xpm_ce.interop.xpmir_scoring import OpenedXpmir

        if precision != "fp32":
            raise ConfigurationError(
                f"precision is {precision}, but scorers of xpmir are run in fp32 here", remedy="Give fp32."
            )
        return OpenedXpmir(self, device=device)
