"""Models that can score: a learner's checkpoint, a scorer before training, an existing model.

Each is a configuration with an identity of its own. This module does not know what is scored, nor how a checkpoint was
trained.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Optional

from experimaestro import Config, Constant, Meta, Param, field

from xpm_ce.errors import ConfigurationError
from xpm_ce.scorers.backbones import Backbone
from xpm_ce.scorers.cross_encoder import check_limits
from xpm_ce.scorers.scorer import Scorer

if TYPE_CHECKING:
    from xpm_ce.scorers.loading import LoadedModel


LAST, BEST = "last", "best"
RULES = (LAST, BEST)
"""Ways to choose the step whose weights are kept"""


class Model(Config):
    """Something that scores pairs of a query and a document."""

    __xpmid__ = "xpm_ce.scorers.model"

    def open(self, *, device: str = "cpu", precision: str = "fp32") -> "LoadedModel":
        """The model in memory, ready to predict.

        DataError where its files are wrong, MachineError where the device lacks the precision.
        """
        raise NotImplementedError(f"{type(self).__name__}.open")


class InitialModel(Model):
    """A scorer as it is before training."""

    __xpmid__ = "xpm_ce.scorers.initial_model"

    scorer: Param[Scorer]
    """The scorer, with its initial weights"""

    def open(self, *, device: str = "cpu", precision: str = "fp32") -> "LoadedModel":
        from xpm_ce.scorers.loading import LoadedModel

        return LoadedModel(self.scorer.build(), device=device, precision=precision)


class Checkpoint(Model):
    """What a learner left; identified by the learner and by the rule that chose the step."""

    __xpmid__ = "xpm_ce.scorers.checkpoint"

    rule: Param[str] = field(default=LAST)
    """Which step was kept: the last one (last), or the first with the highest mean over validation sets (best)"""

    path: Meta[Path]
    """A transformers folder with its limits beside"""

    def __validate__(self) -> None:
        if self.rule not in RULES:
            raise ConfigurationError(f"rule {self.rule!r} does not exist", remedy=f"Give one of: {', '.join(RULES)}.")

    def open(self, *, device: str = "cpu", precision: str = "fp32") -> "LoadedModel":
        from xpm_ce.scorers.loading import load

        return load(self.path, device=device, precision=precision)


class PretrainedModel(Model):
    """An existing cross-encoder, evaluated without training; a folder without a head is refused."""

    __xpmid__ = "xpm_ce.scorers.pretrained_model"

    version: Constant[int] = 1
    """Version of how pairs are read"""

    backbone: Param[Backbone]
    """The model, its head included, and its tokenizer"""

    max_length: Param[int]
    """Tokens of a pair, special tokens included; the document is cut to it"""

    max_query_length: Param[Optional[int]] = field(default=None)
    """Tokens of a query, special tokens excluded; by default all that leave room for one token of a document"""

    def __validate__(self) -> None:
        check_limits(self.max_length, self.max_query_length)

    def open(self, *, device: str = "cpu", precision: str = "fp32") -> "LoadedModel":
        from xpm_ce.scorers.loading import LoadedModel, existing_scorer

        loaded = self.backbone.load(head_seed=0)
        scorer = existing_scorer(
            loaded, max_length=self.max_length, max_query_length=self.max_query_length, where=self.backbone.place
        )
        return LoadedModel(scorer, device=device, precision=precision)
