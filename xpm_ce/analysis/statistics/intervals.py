"""Intervals that hold a mean difference with a given confidence, by the bootstrap.

This module does not know what was measured.
"""

from typing import NamedTuple

import numpy as np
from scipy import special

from xpm_ce.analysis.statistics.paired import DRAWS, SAME, SEED
from xpm_ce.errors import DataError

LEVEL = 0.95
"""Confidence of an interval where none is given"""
_BATCH = 2_000_000


class Interval(NamedTuple):
    """From low to high, at a level of confidence."""

    low: float
    high: float
    level: float


def bootstrap(
    differences: np.ndarray, *, method: str = "bca", level: float = LEVEL, draws: int = DRAWS, seed: int = SEED
) -> Interval:
    """The interval of the mean of differences [queries], from resampled queries.

    `percentile` takes quantiles of the resampled means; `bca` (the default, as in scipy) corrects them for bias and
    skewness (Efron, 1987, Better bootstrap confidence intervals). Draws are those of `scipy.stats.bootstrap` with
    `numpy.random.default_rng(seed)`. Differences that are all alike have an interval of width 0. DataError without
    a query.
    """
    differences = np.asarray(differences, dtype=np.float64)
    if not len(differences):
        raise DataError("there is no query to compare on", remedy="Give results that share a set of queries.")
    mean = float(differences.mean())
    if np.ptp(differences) <= SAME:
        return Interval(mean, mean, level)
    means = _resampled_means(differences, draws, seed)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if method == "bca":
        tails = _bca_tails(differences, means, tails)
    elif method != "percentile":
        raise ValueError(f"no bootstrap {method!r}: bca or percentile")
    low, high = np.percentile(means, 100 * tails)
    return Interval(float(low), float(high), level)


def hierarchical_bootstrap(
    a: np.ndarray, b: np.ndarray, *, level: float = LEVEL, draws: int = DRAWS, seed: int = SEED
) -> Interval:
    """The interval of the mean of b - a, values [seeds, queries] each, from resampled seeds and queries.

    Each draw takes the queries anew, the same for both, and the seeds of each system anew: the interval holds for
    other queries and for other seeds. Quantiles of the drawn means (percentile). With one seed each it is the
    percentile bootstrap over queries. Davison and Hinkley (1997), section 3.8.
    """
    if not a.shape[1] or a.shape[1] != b.shape[1]:
        raise DataError("there is no query to compare on", remedy="Give results that share a set of queries.")
    rng = np.random.default_rng(seed)
    queries, means = a.shape[1], np.empty(draws)
    rows = max(1, _BATCH // queries)
    for start in range(0, draws, rows):
        count = min(rows, draws - start)
        drawn = _counts(rng.integers(0, queries, (count, queries)), queries)
        sides = []
        for values in (a, b):
            seeds = _counts(rng.integers(0, len(values), (count, len(values))), len(values))
            sides.append((drawn @ values.T * seeds).sum(axis=1) / (queries * len(values)))
        means[start : start + count] = sides[1] - sides[0]
    low, high = np.percentile(means, [50 * (1 - level), 50 * (1 + level)])
    return Interval(float(low), float(high), level)


def _resampled_means(differences: np.ndarray, draws: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    queries, means = len(differences), np.empty(draws)
    rows = max(1, _BATCH // queries)
    for start in range(0, draws, rows):
        count = min(rows, draws - start)
        means[start : start + count] = differences[rng.integers(0, queries, (count, queries))].mean(axis=1)
    return means


def _counts(places: np.ndarray, size: int) -> np.ndarray:
    """How often each of `size` places was drawn in each row; float64 [draws, size]."""
    rows = np.arange(len(places))[:, None] * size
    return np.bincount((places + rows).ravel(), minlength=len(places) * size).reshape(-1, size).astype(np.float64)


def _bca_tails(differences: np.ndarray, means: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """The quantiles of the resampled means that correct for bias and skewness (Efron and Tibshirani, 1993, 14.10)."""
    mean, centred = differences.mean(), differences - differences.mean()
    below = ((means < mean).mean() + (means <= mean).mean()) / 2
    bias = special.ndtri(below)
    # the jackknife of a mean leaves exactly the centred values
    skewness = (centred**3).sum() / (6 * (centred**2).sum() ** 1.5)
    shifted = bias + special.ndtri(tails)
    return special.ndtr(bias + shifted / (1 - skewness * shifted))
