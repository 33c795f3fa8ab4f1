"""How comparisons are tested: which paired test, which correction over the family shown, at which alpha.

This module does not know what is compared.
"""

import math
from typing import NamedTuple

import numpy as np

from xpm_ce.analysis.statistics.families import CORRECTION_NAMES, CORRECTIONS
from xpm_ce.analysis.statistics.paired import DRAWS, randomisation, t_test
from xpm_ce.errors import ConfigurationError

T_TEST, RANDOMISATION = "t", "randomisation"
"""Paired tests by the names that --test knows"""
NEVER_FALSE = ("holm", "bonferroni")
"""Corrections that keep the chance of any false mark"""


class Procedure(NamedTuple):
    """A test, a correction, the alpha that adjusted p-values are held to, and the draws of a randomisation."""

    test: str = T_TEST
    correction: str = "holm"
    alpha: float = 0.05
    draws: int = DRAWS

    def checked(self) -> "Procedure":
        """The same; ConfigurationError where alpha is no probability."""
        if not 0 < self.alpha < 1:
            raise ConfigurationError(
                f"alpha is a probability, not {self.alpha}", remedy="Give, for example, --alpha 0.05."
            )
        return self

    def p_values(self, differences: np.ndarray) -> np.ndarray:
        """Two-sided p-values, [comparisons], for differences [queries, comparisons]."""
        return t_test(differences) if self.test == T_TEST else randomisation(differences, draws=self.draws)

    def adjusted(self, p_values: np.ndarray) -> np.ndarray:
        """p-values, [comparisons], adjusted for their number."""
        return CORRECTIONS[self.correction](p_values)

    @property
    def test_name(self) -> str:
        """The test, for captions."""
        return "paired t-test" if self.test == T_TEST else f"paired randomisation test ({self.draws} draws)"

    @property
    def correction_name(self) -> str:
        """The correction, for captions."""
        return CORRECTION_NAMES[self.correction]

    def warning(self, family: int) -> str:
        """That so many draws cannot give a p-value that survives the correction over a family; else empty."""
        needed = math.ceil(family / self.alpha)
        if self.test == T_TEST or self.correction not in NEVER_FALSE or needed <= self.draws + 1:
            return ""
        return (
            f"{self.draws} draws give no p below {1 / (self.draws + 1):.1g}, too few for any mark over {family} "
            f"comparisons (exact tests of few queries apart): give more than --draws {needed}."
        )


DEFAULT = Procedure()
"""Paired t-test, Holm, 0.05"""
