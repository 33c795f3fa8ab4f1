"""Many comparisons shown together: p-values adjusted for their number.

An adjusted p-value is compared with alpha as a single one would be. This module does not know how p-values came to be,
nor which comparisons are shown.
"""

from collections.abc import Callable

import numpy as np


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjusted by Holm's step-down method, [comparisons]: the chance of any false mark is at most alpha.

    Never less powerful than Bonferroni's, under no further assumption. Holm (1979), A simple sequentially rejective
    multiple test procedure.
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.arange(len(order), 0, -1) * p_values[order]
    return _back(np.maximum.accumulate(steps) if len(steps) else steps, order)


def bonferroni(p_values: np.ndarray) -> np.ndarray:
    """Each times the number of comparisons, [comparisons]: the chance of any false mark is at most alpha."""
    return np.minimum(len(p_values) * p_values, 1.0)


def benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    """Adjusted by Benjamini and Hochberg, [comparisons]: the expected share of false marks is at most alpha.

    Holds for independent or positively dependent tests. Benjamini and Hochberg (1995), Controlling the false discovery
    rate.
    """
    order = np.argsort(p_values, kind="stable")
    steps = len(order) / np.arange(1, len(order) + 1) * p_values[order]
    return _back(np.minimum.accumulate(steps[::-1])[::-1] if len(steps) else steps, order)


def _back(steps: np.ndarray, order: np.ndarray) -> np.ndarray:
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


CORRECTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "holm": holm, "bonferroni": bonferroni, "bh": benjamini_hochberg,
}  # fmt: skip
"""Corrections by the names that --correction knows"""
CORRECTION_NAMES = {"holm": "Holm", "bonferroni": "Bonferroni", "bh": "Benjamini-Hochberg"}
"""The same for captions"""
