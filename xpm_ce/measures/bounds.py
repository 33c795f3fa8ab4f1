"""What a re-ranker of given candidates could reach at best, and what chance reaches.

This module does not know measures: it gives orders, to be measured as any other.
"""

import hashlib
from collections.abc import Mapping

from xpm_ce.identity import text_sha256
from xpm_ce.measures.rankings import Ranking


def best_order(ranking: Ranking, judged: Mapping[str, int]) -> Ranking:
    """The same candidates by descending grade, ties as they stood: the ceiling that recall sets.

    `judged` gives the grade of each judged document of the query; the others, and grades below 0, count as 0.
    """
    grades = [max(judged.get(document, 0), 0) for document in ranking.documents]
    order = sorted(range(len(grades)), key=grades.__getitem__, reverse=True)
    return _in_order([ranking.documents[position] for position in order])


def random_order(ranking: Ranking, query_id: str, seed: int) -> Ranking:
    """The same candidates in an order drawn by sha256 of seed, query and document: equal on every machine.

    It depends on the set of candidates only, not on the order in which they come.
    """
    start = hashlib.sha256(text_sha256([str(seed), query_id]).encode())

    def key(document: str) -> bytes:
        digest = start.copy()
        digest.update(document.encode())
        return digest.digest()

    return _in_order(sorted(ranking.documents, key=key))


def _in_order(documents: list[str]) -> Ranking:
    """Scores n, n - 1, ..., 1: they say nothing but the order."""
    import numpy as np

    return Ranking(documents, np.arange(len(documents), 0, -1, dtype=np.float32))
