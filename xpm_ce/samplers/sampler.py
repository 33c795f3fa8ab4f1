"""What every sampler is: a rule that turns a training set and a seed into the groups of any training step.

This module knows no particular rule, no loss and no model.
"""

import logging
from typing import TYPE_CHECKING, ClassVar

from experimaestro import Config, Param

from xpm_ce.data.training_set import StoredGroups
from xpm_ce.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    import numpy as np

    from xpm_ce.samplers.steps import DrawnGroup, Steps

logger = logging.getLogger(__name__)


class Sampler(Config):
    """Who meets whom: which queries make up a step, and which of their documents.

    A step is a function of (training set, seed, number of the step) and of nothing else. Queries are passed
    without replacement, in another order in each epoch; a step may straddle epochs, so that no query is left
    out. Documents are drawn without replacement, from those that carry all that the training set declares.
    """

    __xpmid__ = "xpm_ce.samplers.sampler"

    NAME: ClassVar[str]
    """Name in YAML files"""

    NEEDS: ClassVar[frozenset[str]]
    """Kinds of supervision without which it cannot choose"""

    USABLE: ClassVar[str]
    """What a query needs to give a group, for messages"""

    queries: Param[int]
    """Groups in a step, each of one query"""

    def documents_per_step(self) -> int:
        """The most documents of a step; fewer where a query has fewer."""
        raise NotImplementedError(f"{type(self).__name__}.documents_per_step")

    def usable(self, groups: StoredGroups) -> "np.ndarray":
        """Which queries can give a group, bool `[queries]`."""
        raise NotImplementedError(f"{type(self).__name__}.usable")

    def draw(self, groups: StoredGroups, query: int, *key: object) -> "DrawnGroup":
        """A group of a usable query, a function of the key."""
        raise NotImplementedError(f"{type(self).__name__}.draw")

    def open(self, groups: StoredGroups, seed: int) -> "Steps":
        """The steps of a training; DataError where the training set cannot give any.

        Reads the labels and teacher scores of the whole training set once, in blocks.
        """
        from xpm_ce.samplers.steps import Steps

        missing = sorted(self.NEEDS - groups.supervision)
        if missing:
            raise DataError(
                f"sampler {self.NAME} needs {', '.join(missing)}, but the training set has none",
                where=str(groups.path),
                remedy="Use a training set that carries them, or another sampler.",
            )
        usable = self.usable(groups)
        if not usable.any():
            raise DataError(
                f"sampler {self.NAME} can use none of the {len(groups)} queries of this training set",
                where=str(groups.path),
                remedy=f"A query needs {self.USABLE}.",
            )
        steps = Steps(groups, usable, seed=seed, queries=self.queries, draw=self.draw)
        logger.info("%d queries give groups, %d do not", steps.usable, steps.skipped)
        if steps.incomplete:
            logger.warning("%d of %d documents have no teacher score: never drawn", steps.incomplete, groups.rows)
        return steps

    def at_least(self, least: int, *parameters: str) -> None:
        """Raise a ConfigurationError for a parameter that is below `least`."""
        for parameter in parameters:
            if getattr(self, parameter) < least:
                raise ConfigurationError(
                    f"{parameter} is {getattr(self, parameter)}, with which sampler {self.NAME} cannot draw",
                    remedy=f"Give at least {least}.",
                )
