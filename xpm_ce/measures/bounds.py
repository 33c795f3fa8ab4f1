"""What a re-ranker of given candidates could reach at best, and what chance reaches.

This module does not know measures: it gives orders, to be measured as any other.
"""

import hashlib
from typing import TYPE_CHECKING

from xpm_ce.identity import text_sha256

if TYPE_CHECKING:
    import numpy as np


def best_order(grades: "np.ndarray", query: "np.ndarray") -> "np.ndarray":
    """The candidates by descending grade within each query, ties as they stood: the ceiling that recall sets.

    `grades` and `query` are int64 [documents], queries ascending; grades below 0 count as 0. Gives the positions,
    int64 [documents].
    """
    import numpy as np

    return np.lexsort((-np.maximum(grades, 0), query))


def random_order(documents: list[str], query_id: str, seed: int) -> list[int]:
    """The positions of one query's candidates in an order drawn by sha256 of seed, query and document.

    It is equal on every machine, and depends on the set of candidates only: the order of some of them is that in which
    they stand among more.
    """
    start = hashlib.sha256(text_sha256([str(seed), query_id]).encode())

    def key(document: str) -> bytes:
        digest = start.copy()
        digest.update(document.encode())
        return digest.digest()

    keys = [key(document) for document in documents]
    return sorted(range(len(documents)), key=keys.__getitem__)
