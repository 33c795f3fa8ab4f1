"""Two systems on the same queries: is their mean difference more than chance, how large is it, who wins how often.

All functions take differences, one row a query and one column a comparison. This module does not know what was
measured, nor how many comparisons are shown together (`families.py` does).
"""

from typing import NamedTuple

import numpy as np
from scipy import special

from xpm_ce.errors import DataError

DRAWS = 10_000
"""Draws of the randomisation test and of the bootstrap; up to so many assignments of signs are all looked at"""
SEED = 0
"""Seed of draws where none is given, so that a table printed twice is the same"""
SAME = 1e-12
"""Values closer than this differ by rounding only, such as the order in which seeds were averaged"""
_BATCH = 2_000_000
"""Signs that are held in memory at a time"""


class Outcomes(NamedTuple):
    """On how many queries the difference is positive, none, and negative; [comparisons] each."""

    wins: np.ndarray
    ties: np.ndarray
    losses: np.ndarray


def t_test(differences: np.ndarray) -> np.ndarray:
    """Two-sided p-values of the paired t-test, [comparisons], for differences [queries, comparisons].

    Null hypothesis: the mean difference is 0, and means of so many queries are normally distributed. Differences that
    are all 0, or a single query, have p = 1; differences that are all alike, but not 0, have p = 0 as in scipy.
    DataError without a query. Student (1908), The probable error of a mean.
    """
    differences = _checked(differences)
    queries = len(differences)
    if queries == 1:
        return np.ones(differences.shape[1])
    mean, spread = differences.mean(axis=0), differences.std(axis=0, ddof=1)
    none, alike = _all_zero(differences), spread <= SAME * np.abs(mean)
    statistic = np.divide(mean, spread / np.sqrt(queries), out=np.full_like(mean, np.inf), where=~alike)
    return np.where(none, 1.0, 2 * special.stdtr(queries - 1, -np.abs(statistic)))


def randomisation(differences: np.ndarray, *, draws: int = DRAWS, seed: int = SEED) -> np.ndarray:
    """Two-sided p-values of the paired randomisation test, [comparisons], for differences [queries, comparisons].

    Null hypothesis: which of the two systems a value belongs to is exchangeable within each query, so that every
    assignment of signs to the differences is as likely as the one seen. p is the share of assignments whose mean
    difference is at least as far from 0. Where at most `draws` assignments differ, all are looked at and p is exact;
    else so many are drawn, and the one seen counts as one more (Phipson and Smyth, 2010), so that p is never 0. All
    comparisons see the same draws: p does not depend on which others are shown. Fisher (1935), The design of
    experiments; Smucker, Allan and Carterette (2007) for retrieval.
    """
    differences = _checked(differences)
    found = np.empty(differences.shape[1])
    changing = (np.abs(differences) > SAME).sum(axis=0)
    few = changing < draws.bit_length()  # 2^changing <= draws
    for column in np.flatnonzero(few):
        own = differences[:, column]
        found[column] = _exact(own[np.abs(own) > SAME])
    if not few.all():
        found[~few] = _drawn(differences[:, ~few], draws=draws, seed=seed)
    return found


def effect_size(differences: np.ndarray) -> np.ndarray:
    """Cohen's d of paired differences, [comparisons]: the mean in standard deviations of the differences.

    0 where all differences are 0; not a number where they are all alike otherwise, or where there is one query only.
    Cohen (1988), Statistical power analysis, equation 2.3.5 (d_z).
    """
    differences = _checked(differences)
    mean = differences.mean(axis=0)
    spread = differences.std(axis=0, ddof=1) if len(differences) > 1 else np.zeros_like(mean)
    size = np.divide(mean, spread, out=np.full_like(mean, np.nan), where=spread > SAME * np.abs(mean))
    return np.where(_all_zero(differences), 0.0, size)


def outcomes(differences: np.ndarray) -> Outcomes:
    """Wins, ties and losses, [comparisons] each, for differences [queries, comparisons]."""
    differences = _checked(differences)
    wins, losses = (differences > SAME).sum(axis=0), (differences < -SAME).sum(axis=0)
    return Outcomes(wins, len(differences) - wins - losses, losses)


def _checked(differences: np.ndarray) -> np.ndarray:
    """As float64 [queries, comparisons]; DataError without a query and where a difference is not finite."""
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"differences are [queries, comparisons], not {values.shape}")
    if not len(values):
        raise DataError("there is no query to compare on", remedy="Give results that share a set of queries.")
    if not np.isfinite(values).all():
        raise DataError("a difference is not a finite number", remedy="Measure again: a measure is finite.")
    return values


def _all_zero(differences: np.ndarray) -> np.ndarray:
    return (np.abs(differences) <= SAME).all(axis=0)


def _exact(changing: np.ndarray) -> float:
    """The share of all assignments of signs whose sum is as far from 0 as the one seen; [queries] without zeros."""
    sums = np.zeros(1)
    for difference in changing:
        sums = np.concatenate([sums + difference, sums - difference])
    return float(np.mean(_as_extreme(sums[:, None], changing[:, None])))


def _drawn(differences: np.ndarray, *, draws: int, seed: int) -> np.ndarray:
    queries = len(differences)
    total = differences.sum(axis=0)
    words = -(-queries // 64)
    bits = np.random.PCG64(seed)
    extreme = np.zeros(differences.shape[1], dtype=np.int64)
    rows = max(1, _BATCH // queries)
    for start in range(0, draws, rows):
        count = min(rows, draws - start)
        raw = bits.random_raw(count * words).reshape(count, words).astype("<u8").view(np.uint8)
        positive = np.unpackbits(raw, axis=1, count=queries).astype(np.float64)
        extreme += _as_extreme(2 * (positive @ differences) - total, differences).sum(axis=0)
    return (extreme + 1) / (draws + 1)


def _as_extreme(sums: np.ndarray, differences: np.ndarray) -> np.ndarray:
    """Whether sums [draws, comparisons] are as far from 0 as the one of the differences, up to rounding."""
    rounding = SAME * np.abs(differences).sum(axis=0)
    return np.abs(sums) >= np.abs(differences.sum(axis=0)) - rounding
