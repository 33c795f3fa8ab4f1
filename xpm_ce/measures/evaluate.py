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
from xpm_ce.measures.rankings import Rankings

UNJUDGED = int(np.iinfo(np.int64).min)
"""Grade of a document without a judgement"""


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


class Graded(NamedTuple):
    """Rankings whose documents have been looked up in the judgements, once for every cut, order and measure."""

    query_ids: list[str]
    """Judged queries, in the order of the qrels"""
    ignored: list[str]
    """Queries of the rankings without judgements"""
    query: np.ndarray
    """int64 [documents], position of the query of each document: all documents of the judged queries, as ranked"""
    grade: np.ndarray
    """int64 [documents]; `UNJUDGED` where there is no judgement"""
    ideal: Places
    """All relevant documents of each query, by descending grade"""
    zeros: np.ndarray
    """int64 [queries], documents of grade 0 that exist"""

    def taken(self, positions: np.ndarray) -> "Graded":
        """The documents at `positions` only, in that order; those of a query must stay together."""
        return self._replace(query=self.query[positions], grade=self.grade[positions])

    def measured(self, measures: Iterable[str]) -> PerQuery:
        """The value of each measure for each judged query; ConfigurationError for an unknown measure."""
        parsed = [names.parse(name) for name in measures]
        queries = len(self.query_ids)
        returned = np.bincount(self.query, minlength=queries)
        known = self.grade != UNJUDGED
        rank = formulas.ranks_within(self.query, queries)
        found = Places(self.query[known], rank[known], self.grade[known])
        judgements = Judgements(found, self.ideal, self.zeros, returned)
        values = np.empty((queries, len(parsed)))
        for column, measure in enumerate(parsed):
            formula = getattr(formulas, names.MEASURES[measure.name].formula)
            values[:, column] = formula(judgements, measure.cutoff, measure.rel)
        missing = [self.query_ids[row] for row in np.flatnonzero(returned == 0)]
        return PerQuery(self.query_ids, [str(measure) for measure in parsed], values, missing, self.ignored)


def graded(rankings: Rankings, qrels: Mapping[str, Mapping[str, int]]) -> Graded:
    """Look every document of the judged queries up in the judgements.

    DataError where no query is judged, or none of the rankings'.
    """
    query_ids = [query_id for query_id, grades in qrels.items() if grades]
    ignored = [query_id for query_id in rankings if not qrels.get(query_id)]
    if not query_ids:
        raise DataError("no query has a judgement", remedy="Check the qrels of this split.")
    if rankings and len(ignored) == len(rankings):
        raise DataError(
            f"none of the {len(rankings)} queries of the run has a judgement (for example {ignored[0]})",
            remedy=f"The qrels know queries such as {query_ids[0]}: check that both are of one split.",
        )
    documents = [rankings[query_id].documents if query_id in rankings else [] for query_id in query_ids]
    judged = [qrels[query_id] for query_id in query_ids]
    returned = np.fromiter(map(len, documents), dtype=np.int64, count=len(query_ids))
    # One look-up a document is the only work in Python; what follows is on arrays over all queries.
    grades = np.fromiter(
        chain.from_iterable(
            map(each.get, shown, repeat(UNJUDGED)) for each, shown in zip(judged, documents, strict=True)
        ),
        dtype=np.int64,
        count=int(returned.sum()),
    )
    query = np.repeat(np.arange(len(query_ids)), returned)
    return Graded(query_ids, ignored, query, grades, *_existing(judged))


def per_query(rankings: Rankings, qrels: Mapping[str, Mapping[str, int]], measures: Iterable[str]) -> PerQuery:
    """Measure every judged query, in the order in which each ranking stands (its scores are not looked at).

    Unjudged documents are not relevant. A judged query without results has value 0, and so has one whose
    judgements hold no relevant document: both count in the means, as in ir_measures and trec_eval's `-c`.
    ConfigurationError for an unknown measure; DataError where no query is judged, or none of the run's.
    """
    return graded(rankings, qrels).measured(measures)


def _existing(judged: list[Mapping[str, int]]) -> tuple[Places, np.ndarray]:
    """The relevant documents of each query by descending grade, and how many of grade 0 there are."""
    counts = np.fromiter(map(len, judged), dtype=np.int64, count=len(judged))
    grades = np.fromiter(chain.from_iterable(each.values() for each in judged), dtype=np.int64, count=int(counts.sum()))
    query = np.repeat(np.arange(len(judged)), counts)
    zeros = np.bincount(query[grades == 0], minlength=len(judged))
    query, grades = query[grades > 0], grades[grades > 0]
    order = np.lexsort((-grades, query))
    return Places(query, formulas.ranks_within(query, len(judged)), grades[order]), zeros
