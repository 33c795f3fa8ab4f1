"""The formula of each measure, over the judged documents of all queries at once, as trec_eval defines them.

Each function takes `(judgements, cutoff, rel)` and gives a float64 array `[queries]`; a query without a
relevant document has value 0. This module does not know query ids, document ids or how measures are spelt.

Sources: nDCG with the grade as gain and log2(rank + 1) as discount (Järvelin and Kekäläinen, TOIS 2002) is
trec_eval's `ndcg` and `ndcg_cut`; the others are its `recip_rank`, `map`, `map_cut`, `Rprec`, `bpref`, `P`, `recall`
and `success`; Judged is ir_measures'.
"""

from typing import NamedTuple

import numpy as np


class Places(NamedTuple):
    """Judged documents at their places, by query, then rank; `[places]` each."""

    query: np.ndarray
    """int64, position of the query"""
    rank: np.ndarray
    """int64, from 1"""
    grade: np.ndarray
    """int64; 0 and below: judged, not relevant"""

    def first(self, cutoff: int | None, rel: int | None = None) -> "Places":
        """Those not below rank `cutoff` and, where `rel` is given, of at least that grade."""
        kept = np.ones(len(self.rank), dtype=bool) if cutoff is None else self.rank <= cutoff
        if rel is not None:
            kept &= self.grade >= rel
        return Places(self.query[kept], self.rank[kept], self.grade[kept])


class Judgements(NamedTuple):
    """What every formula needs to know of a run and its qrels."""

    found: Places
    """Retrieved documents that have a judgement, at their ranks"""
    ideal: Places
    """All documents of grade 1 or more, at the ranks of the best possible order"""
    zeros: np.ndarray
    """int64 [queries], documents of grade 0 that exist"""
    returned: np.ndarray
    """int64 [queries], documents retrieved"""


def ndcg(judgements: Judgements, cutoff: int | None, rel: int) -> np.ndarray:
    queries = len(judgements.returned)
    return _ratio(_dcg(judgements.found, cutoff, queries), _dcg(judgements.ideal, cutoff, queries))


def reciprocal_rank(judgements: Judgements, cutoff: int | None, rel: int) -> np.ndarray:
    hits = judgements.found.first(cutoff, rel)
    values = np.zeros(len(judgements.returned))
    np.maximum.at(values, hits.query, 1 / hits.rank)
    return values


def average_precision(judgements: Judgements, cutoff: int | None, rel: int) -> np.ndarray:
    hits = judgements.found.first(cutoff, rel)
    queries = len(judgements.returned)
    precisions = ranks_within(hits.query, queries) / hits.rank
    return _ratio(np.bincount(hits.query, precisions, minlength=queries), _relevant(judgements, rel))


def r_precision(judgements: Judgements, cutoff: None, rel: int) -> np.ndarray:
    relevant = _relevant(judgements, rel)
    hits = judgements.found.first(cutoff, rel)
    early = hits.rank <= relevant[hits.query]
    return _ratio(np.bincount(hits.query[early], minlength=len(relevant)), relevant)


def bpref(judgements: Judgements, cutoff: None, rel: int) -> np.ndarray:
    """Buckley and Voorhees, SIGIR 2004, with trec_eval's bound: the smaller of the relevant and the judged others.

    A negative grade is no judgement here, as in trec_eval.
    """
    relevant = _relevant(judgements, rel)
    others = judgements.zeros + _relevant(judgements, 1) - relevant
    judged = judgements.found.first(cutoff, 0)
    is_other = judged.grade < rel
    counted = np.bincount(judged.query, is_other, minlength=len(relevant))
    above = np.cumsum(is_other) - (np.cumsum(counted) - counted)[judged.query]
    query, above = judged.query[~is_other], above[~is_other]
    lost = np.minimum(above, relevant[query]) / np.maximum(np.minimum(others, relevant), 1)[query]
    return _ratio(np.bincount(query, 1 - lost, minlength=len(relevant)), relevant)


def precision(judgements: Judgements, cutoff: int, rel: int) -> np.ndarray:
    return _hits(judgements, cutoff, rel) / cutoff


def recall(judgements: Judgements, cutoff: int, rel: int) -> np.ndarray:
    return _ratio(_hits(judgements, cutoff, rel), _relevant(judgements, rel))


def success(judgements: Judgements, cutoff: int, rel: int) -> np.ndarray:
    return (_hits(judgements, cutoff, rel) > 0).astype(np.float64)


def judged(judgements: Judgements, cutoff: int | None, rel: int) -> np.ndarray:
    shown = judgements.returned if cutoff is None else np.minimum(judgements.returned, cutoff)
    return _ratio(_hits(judgements, cutoff, None), shown)


def ranks_within(query: np.ndarray, queries: int) -> np.ndarray:
    """1, 2, 3, ... within each run of equal values of the sorted `query`, int64 of the same shape."""
    counts = np.bincount(query, minlength=queries)
    return np.arange(1, len(query) + 1) - np.repeat(np.cumsum(counts) - counts, counts)


def _hits(judgements: Judgements, cutoff: int | None, rel: int | None) -> np.ndarray:
    """Judged documents of at least grade `rel` among the first `cutoff`, `[queries]`."""
    return np.bincount(judgements.found.first(cutoff, rel).query, minlength=len(judgements.returned))


def _relevant(judgements: Judgements, rel: int) -> np.ndarray:
    """Documents of at least grade `rel` that exist, `[queries]`."""
    return np.bincount(judgements.ideal.first(None, rel).query, minlength=len(judgements.returned))


def _dcg(places: Places, cutoff: int | None, queries: int) -> np.ndarray:
    shown = places.first(cutoff, 1)
    return np.bincount(shown.query, shown.grade / np.log2(shown.rank + 1), minlength=queries)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient, 0 where there is nothing to divide by: no relevant document, or none shown."""
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)
