"""Numbers of ids in bulk: which row of a store, or which query, each line of a file names.

Ids that are whole numbers, as those of MS MARCO, are found in a table, the others by the distinct ones of a block.
This module does not know whose ids they are.
"""

from collections.abc import Callable, Sequence

import numpy as np

from xpm_ce.data.delimited import Block

AT_ONCE = 1 << 16
"""Ids that are looked at together"""
LARGEST_TABLE = 1 << 24
"""Entries that a table may have however few ids there are: 64 MB"""
ENTRIES_PER_ID = 8
"""Entries of a table for each id, at most"""


class Numbering:
    """Finds the number of an id, -1 where it is unknown; `find` does so for a list of distinct ids.

    In memory is at most a table of int32 as long as the largest id, where all ids are whole numbers.
    """

    def __init__(self, ids: Sequence[str], find: Callable[[list[str]], np.ndarray]):
        self._find, self._table = find, _table(ids)

    def of(self, block: Block, column: str) -> np.ndarray:
        """The number of each id of a column, int64 `[lines]`."""
        if self._table is not None:
            values = block.decimals(column)
            known = (values >= 0) & (values < len(self._table))
            return np.where(known, self._table[np.where(known, values, 0)], -1)
        distinct, places = np.unique(block.column(column), return_inverse=True)
        found = self._find([each.decode(errors="replace") for each in distinct.tolist()])
        return np.asarray(found, np.int64)[places]


def numbered(ids: Sequence[str]) -> Numbering:
    """The numbering of ids that are in memory."""
    known = {identifier: number for number, identifier in enumerate(ids)}
    return Numbering(ids, lambda wanted: np.array([known.get(each, -1) for each in wanted], np.int64))


def _table(ids: Sequence[str]) -> np.ndarray | None:
    """Number by id, -1 where there is none, int32; None where an id is no whole number, or a much larger one."""
    largest = max(LARGEST_TABLE, ENTRIES_PER_ID * len(ids))
    table = np.full(0, -1, np.int32)
    for first in range(0, len(ids), AT_ONCE):
        part = ids[first : first + AT_ONCE]
        try:
            values = list(map(int, part))
        except ValueError:
            return None
        if list(map(str, values)) != list(part) or min(values) < 0 or max(values) >= largest:
            return None
        if max(values) >= len(table):
            longer = np.full(min(largest, max(2 * len(table), max(values) + 1)), -1, np.int32)
            longer[: len(table)] = table
            table = longer
        table[values] = np.arange(first, first + len(part))
    return table if len(table) else None
