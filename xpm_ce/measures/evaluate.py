"""From rankings and judgements to the value of each measure for each query, with trec_eval's semantics.

This module does not know files, protocols or averages over collections.
"""

from collections.abc import Iterable, Mapping
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np

from xpm_ce.errors import DataError
from xpm_ce.measures import formulas, names
from xpm_ce.measures.formulas import Judgements, Places
from xpm_ce.measures.rankings import Ranking, Rankings

_UNJUDGED = np.iinfo(np.int64).min
_EMPTY = Ranking([], np.empty(0, dtype=np.float32))


class PerQuery(NamedTuple):
    """The value of each measure for each judged query."""

    query_ids: list[str]
    """Judged queries, in the order of the qrels"""
    measures: list[str]
    """Canonical names, in the order asked for"""
    values: np.ndarray
    """float64 [queries, measures]"""
    missing: list[str]
    """Judged queries without results; they count as 0"""
    ignored: list[str]
    """Queries of the run without judgements; they do not count"""

    def means(self) -> dict[str, float]:
        """The mean of each measure over all judged queries, missing ones included (trec_eval's `-c`)."""
        return dict(zip(self.measures, self.values.mean(axis=0).tolist(), strict=True))


def per_query(rankings: Rankings, qrels: Mapping[str, Mapping[str, int]], measures: Iterable[str]) -> PerQuery:
    """Measure every judged query, in the order in which each ranking stands (its scores are not looked at).

    Unjudged documents are not relevant. A judged query without results has value 0, and so has one whose
    judgements hold no relevant document: both count in the means, as in ir_measures and trec_eval's `-c`.
    ConfigurationError for an unknown measure; DataError where no query is judged, or none of the run's.
    """
    parsed = [names.parse(name) for name in measures]
    query_ids = [query_id for query_id, grades in qrels.items() if grades]
    ignored = [query_id for query_id in rankings if not qrels.get(query_id)]
    if not query_ids:
        raise DataError("no query has a judgement", remedy="Check the qrels of this split.")
    if rankings and len(ignored) == len(rankings):
        raise DataError(
            f"none of the {len(rankings)} queries of the run has a judgement (for example {ignored[0]})",
            remedy=f"The qrels know queries such as {query_ids[0]}: check that both are of one split.",
        )
    judgements = _judgements(rankings, qrels, query_ids)
    values = np.empty((len(query_ids), len(parsed)))
    for column, measure in enumerate(parsed):
        formula = getattr(formulas, names.MEASURES[measure.name].formula)
        values[:, column] = formula(judgements, measure.cutoff, measure.rel)
    missing = [query_ids[row] for row in np.flatnonzero(judgements.returned == 0)]
    return PerQuery(query_ids, [str(measure) for measure in parsed], values, missing, ignored)


def _judgements(rankings: Rankings, qrels: Mapping[str, Mapping[str, int]], query_ids: list[str]) -> Judgements:
    documents = [rankings.get(query_id, _EMPTY).documents for query_id in query_ids]
    judged = [qrels[query_id] for query_id in query_ids]
    returned = np.fromiter(map(len, documents), dtype=np.int64, count=len(query_ids))
    # One look-up a document is the only work in Python; what follows is on arrays over all queries.
    grades = np.fromiter(
        chain.from_iterable(
            map(each.get, shown, repeat(_UNJUDGED)) for each, shown in zip(judged, documents, strict=True)
        ),
        dtype=np.int64,
        count=int(returned.sum()),
    )
    query = np.repeat(np.arange(len(query_ids)), returned)
    rank = formulas.ranks_within(query, len(query_ids))
    known = grades != _UNJUDGED
    return Judgements(Places(query[known], rank[known], grades[known]), _ideal(judged), returned)


def _ideal(judged: list[Mapping[str, int]]) -> Places:
    """The relevant documents of each query by descending grade."""
    counts = np.fromiter(map(len, judged), dtype=np.int64, count=len(judged))
    grades = np.fromiter(chain.from_iterable(each.values() for each in judged), dtype=np.int64, count=int(counts.sum()))
    query = np.repeat(np.arange(len(judged)), counts)
    query, grades = query[grades > 0], grades[grades > 0]
    order = np.lexsort((-grades, query))
    return Places(query, formulas.ranks_within(query, len(judged)), grades[order])
