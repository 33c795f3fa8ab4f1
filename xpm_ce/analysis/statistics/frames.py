"""Values per query of several systems, side by side: queries aligned by id, seeds averaged per query, gaps listed.

A query that a system lacks counts as 0 for it. This module does not know files.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from xpm_ce.errors import DataError


class QueryValues(NamedTuple):
    """One measure of one run: a value for each query."""

    query_ids: Sequence[str]
    values: np.ndarray
    """float64 [queries]"""


class Frame(NamedTuple):
    """Systems side by side on the same queries."""

    query_ids: list[str]
    """All queries that any system has, in the order in which they are met"""
    values: np.ndarray
    """float64 [queries, systems]; seeds are averaged per query"""
    missing: list[list[str]]
    """For each system, the queries that one of its runs lacks, and which count as 0 there"""


def side_by_side(systems: Sequence[Sequence[QueryValues]]) -> Frame:
    """The frame of systems, each given by its runs, one per seed; DataError where a run has a query twice.

    Averaging a query's value over seeds first keeps one row per query, so that a paired test sees as many independent
    differences as there are queries, never seeds times queries.
    """
    runs = [run for system in systems for run in system]
    query_ids = _union(runs)
    columns, missing = [], []
    for system in systems:
        values, absent = seeds_by_query(system, query_ids)
        columns.append(values.mean(axis=0))
        missing.append([query for query in query_ids if query in absent] if absent else [])
    values = np.stack(columns, axis=1) if columns else np.empty((len(query_ids), 0))
    return Frame(query_ids, values, missing)


def seeds_by_query(runs: Sequence[QueryValues], query_ids: Sequence[str]) -> tuple[np.ndarray, set[str]]:
    """The values of runs on given queries, float64 [runs, queries], and the queries that one of them lacks."""
    aligned, absent = np.zeros((len(runs), len(query_ids))), set[str]()
    place: dict[str, int] = {}
    for row, run in zip(aligned, runs, strict=True):
        if run.query_ids is query_ids or list(run.query_ids) == query_ids:
            row[:] = run.values
            continue
        place = place or {query: index for index, query in enumerate(query_ids)}
        row[[place[query] for query in run.query_ids]] = run.values
        absent |= place.keys() - set(run.query_ids)
    return aligned, absent


def _union(runs: Sequence[QueryValues]) -> list[str]:
    """The queries of all runs, each once, in the order in which they are met."""
    found: dict[str, None] = {}
    seen: list[Sequence[str]] = []
    for run in runs:
        if any(run.query_ids is other for other in seen):
            continue
        seen.append(run.query_ids)
        own = dict.fromkeys(run.query_ids)
        if len(own) != len(run.query_ids):
            raise DataError("a query stands twice in one run's values", remedy="Measure this run again.")
        found.update(own)
    return list(found)
