"""What every sampler is: a rule that turns a training set and a seed into the groups of any training step.

This module knows no particular rule, no loss and no model.
"""

import logging
from typing import TYPE_CHECKING, ClassVar, Optional

from experimaestro import Config, Param, field

from xpm_ce.data.training_set import GROUPS, StoredGroups, TrainingSet
from xpm_ce.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    import numpy as np

    from xpm_ce.samplers.steps import DrawnGroup, Order, Steps

logger = logging.getLogger(__name__)


class Sampler(Config):
    """Who meets whom: which queries make up a step, and which of their documents.

    A step is a function of (training set, seed, number of the step) and of nothing else. Queries are passed
    without replacement, in another order in each epoch; a step may straddle epochs, so that no query is left
    out. Documents are drawn without replacement, from those that carry all that the training set declares.

    How many queries make up a step is given as `queries`, or follows from a budget of documents that other samplers
    may share, so that a comparison of losses holds it fixed.
    """

    __xpmid__ = "xpm_ce.samplers.sampler"

    NAME: ClassVar[str]
    """Name in YAML files"""

    NEEDS: ClassVar[frozenset[str]]
    """Kinds of supervision without which it cannot choose"""

    USABLE: ClassVar[str]
    """What a query needs to give a group, for messages"""

    HOLDS: ClassVar[str] = GROUPS
    """What the training set must hold"""

    queries: Param[Optional[int]] = field(default=None, ignore_default=True)
    """Groups in a step, each of one query; or give documents_per_step"""

    documents_per_step: Param[Optional[int]] = field(default=None, ignore_default=True)
    """Documents in a step, a multiple of those of a group, fewer where a query has fewer; or give queries"""

    def documents_per_group(self) -> int:
        """The most documents of a group; fewer where a query has fewer."""
        raise NotImplementedError(f"{type(self).__name__}.documents_per_group")

    def groups_per_step(self) -> int:
        """Groups in a step; ConfigurationError where it is not given, or does not follow."""
        if (self.queries is None) == (self.documents_per_step is None):
            given = "neither is given" if self.queries is None else "both are given"
            raise ConfigurationError(
                f"a step has a number of queries or of documents, and {given}",
                remedy="Give queries, or documents_per_step.",
            )
        if self.queries is not None:
            return self.queries
        assert self.documents_per_step is not None
        each = self.documents_per_group()
        groups, rest = divmod(self.documents_per_step, each)
        if rest or not groups:
            fitting = [number * each for number in (groups, groups + 1) if number]
            raise ConfigurationError(
                f"documents_per_step is {self.documents_per_step}, but a group of sampler {self.NAME} has {each}",
                remedy=f"Give {' or '.join(map(str, fitting))}.",
            )
        return groups

    def usable(self, groups: StoredGroups) -> "np.ndarray":
        """Which queries can give a group, bool `[queries]`."""
        raise NotImplementedError(f"{type(self).__name__}.usable")

    def draw(self, groups: StoredGroups, query: int, *key: object) -> "DrawnGroup":
        """A group of a usable query, a function of the key."""
        raise NotImplementedError(f"{type(self).__name__}.draw")

    def arranged(self, groups: StoredGroups, seed: int) -> "Order":
        """The order in which usable queries are passed."""
        from xpm_ce.samplers.steps import ShuffledOrder

        return ShuffledOrder(self.usable(groups), seed)

    def incomplete(self, groups: StoredGroups) -> int:
        """How many documents are never drawn, because they lack what the training set declares."""
        return groups.rows - int(groups.count(lambda labels, scores: groups.complete(scores)).sum())

    def check(self, training_set: TrainingSet) -> None:
        """ConfigurationError where a planned training set holds something else than this sampler draws from."""
        if training_set.holds != self.HOLDS:
            raise ConfigurationError(
                f"sampler {self.NAME} draws from {self.HOLDS}, but the training set holds {training_set.holds}",
                remedy="Use another training set or another sampler.",
            )

    def open(self, groups: StoredGroups, seed: int) -> "Steps":
        """The steps of a training; DataError where the training set cannot give any.

        Reads the labels and teacher scores of a whole training set of groups once, in blocks.
        """
        from xpm_ce.samplers.steps import Steps

        missing = sorted(self.NEEDS - groups.supervision)
        if missing:
            raise DataError(
                f"sampler {self.NAME} needs {', '.join(missing)}, but the training set has none",
                where=str(groups.path),
                remedy="Use a training set that carries them, or another sampler.",
            )
        if groups.HOLDS != self.HOLDS:
            raise DataError(
                f"sampler {self.NAME} draws from {self.HOLDS}, but the training set holds {groups.HOLDS}",
                where=str(groups.path),
                remedy="Use another training set or another sampler.",
            )
        order = self.arranged(groups, seed)
        if not len(order):
            raise DataError(
                f"sampler {self.NAME} can use none of the {len(groups)} queries of this training set",
                where=str(groups.path),
                remedy=f"A query needs {self.USABLE}.",
            )
        steps = Steps(
            groups,
            order,
            seed=seed,
            groups_per_step=self.groups_per_step(),
            incomplete=self.incomplete(groups),
            draw=self.draw,
        )
        logger.info("%d %s can be drawn, %d cannot", steps.usable, self.HOLDS, steps.skipped)
        if steps.incomplete:
            logger.warning("%d of %d documents have no teacher score: never drawn", steps.incomplete, groups.rows)
        return steps

    def check_step(self) -> None:
        """ConfigurationError unless the size of a step is given, once, and fits."""
        if self.queries is not None:
            self.at_least(1, "queries")
        self.groups_per_step()

    def at_least(self, least: int, *parameters: str) -> None:
        """Raise a ConfigurationError for a parameter that is below `least`."""
        for parameter in parameters:
            if getattr(self, parameter) < least:
                raise ConfigurationError(
                    f"{parameter} is {getattr(self, parameter)}, with which sampler {self.NAME} cannot draw",
                    remedy=f"Give at least {least}.",
                )
