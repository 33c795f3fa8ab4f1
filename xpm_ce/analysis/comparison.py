"""Two measured systems side by side: differences by protocol and measure, tests, intervals, wins and losses by query.

This module does not know what went into the systems; `fair.py` does.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from xpm_ce.analysis.layouts import chosen_protocols
from xpm_ce.analysis.results import Results
from xpm_ce.analysis.statistics.frames import Frame, QueryValues, seeds_by_query, side_by_side
from xpm_ce.analysis.statistics.intervals import Interval, bootstrap, hierarchical_bootstrap
from xpm_ce.analysis.statistics.paired import effect_size, outcomes
from xpm_ce.analysis.statistics.procedure import DEFAULT, RANDOMISATION, T_TEST, Procedure
from xpm_ce.analysis.systems import MeasuredSystem, measured_system, values_at
from xpm_ce.analysis.tables_text import columns
from xpm_ce.analysis.top_documents import TopDocument, beside, rankings, run_file
from xpm_ce.errors import ConfigurationError

LARGEST = 3
"""Wins, and losses, that are shown with both rankings"""
TOP = 5
"""Documents of each ranking that are shown"""


@dataclasses.dataclass(frozen=True)
class Line:
    """B beside A by one measure on one protocol at one depth; differences are B minus A."""

    protocol: str
    depth: int
    measure: str
    queries: int
    a: float
    b: float
    interval: Interval
    """Of the mean difference, for other queries: bootstrap, BCa"""
    interval_over_seeds: Interval | None
    """The same for other queries and other seeds: hierarchical bootstrap; None with one seed each"""
    p_values: dict[str, float]
    """By test"""
    adjusted: float
    """p of the test that was asked for, adjusted for the lines shown"""
    effect: float
    wins: int
    ties: int
    losses: int
    missing: tuple[tuple[str, ...], tuple[str, ...]]
    """Queries that A lacks, and B, which count as 0"""

    @property
    def difference(self) -> float:
        return self.b - self.a

    def as_json(self) -> dict[str, Any]:
        return {
            "protocol": self.protocol, "depth": self.depth, "measure": self.measure, "queries": self.queries,
            "a": self.a, "b": self.b, "difference": self.difference,
            "interval": self.interval._asdict(),
            "interval_over_seeds": self.interval_over_seeds._asdict() if self.interval_over_seeds else None,
            "p_values": self.p_values, "adjusted": self.adjusted,
            "effect": None if math.isnan(self.effect) else self.effect,
            "wins": self.wins, "ties": self.ties, "losses": self.losses,
            "queries_without_values": [list(queries) for queries in self.missing],
        }  # fmt: skip


@dataclasses.dataclass(frozen=True)
class QueryDifference:
    """One query: what both systems reach, and the first documents of both with their ranks in the other's ranking."""

    query_id: str
    a: float
    b: float
    documents_a: tuple[TopDocument, ...]
    documents_b: tuple[TopDocument, ...]

    def lines(self) -> list[str]:
        return [
            f"  query {self.query_id}: {self.a:.4f} -> {self.b:.4f} ({self.b - self.a:+.4f})",
            *(
                f"    {name}  {'  '.join(map(str, documents))}"
                for name, documents in (("A", self.documents_a), ("B", self.documents_b))
                if documents
            ),
        ]

    def as_json(self) -> dict[str, Any]:
        return {
            "query": self.query_id, "a": self.a, "b": self.b, "difference": self.b - self.a,
            "documents_a": [dataclasses.asdict(each) for each in self.documents_a],
            "documents_b": [dataclasses.asdict(each) for each in self.documents_b],
        }  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Largest:
    """The queries on which two systems differ most, by one measure on one protocol."""

    protocol: str
    measure: str
    wins: tuple[QueryDifference, ...]
    losses: tuple[QueryDifference, ...]


@dataclasses.dataclass(frozen=True)
class SystemComparison:
    """Two systems, a line per protocol, depth and measure, and the queries on which they differ most."""

    experiment: str
    a: MeasuredSystem
    b: MeasuredSystem
    procedure: Procedure
    lines: tuple[Line, ...]
    largest: tuple[Largest, ...]

    def render(self) -> str:
        header = [
            "protocol",
            "measure",
            "A",
            "B",
            "B - A",
            "95 % interval",
            "p",
            "p adjusted",
            "d",
            "B wins / ties / loses",
        ]
        rows = []
        for line in self.lines:
            mark = "" if line.adjusted > self.procedure.alpha else " ↑" if line.difference > 0 else " ↓"
            interval = f"{line.interval.low:+.4f} to {line.interval.high:+.4f}"
            effect = "–" if math.isnan(line.effect) else f"{line.effect:+.2f}"
            rows.append([
                f"{line.protocol} ({line.queries} queries), depth {line.depth}", line.measure, f"{line.a:.4f}",
                f"{line.b:.4f}", f"{line.difference:+.4f}{mark}", interval,
                _p(line.p_values[self.procedure.test]), _p(line.adjusted), effect,
                f"{line.wins} / {line.ties} / {line.losses}",
            ])  # fmt: skip
        parts = [f"A  {self.a.title}\nB  {self.b.title}", columns([header, *rows]), "\n".join(self.notes())]
        for each in self.largest:
            for what, found in (("wins", each.wins), ("losses", each.losses)):
                if found:
                    head = f"Largest {what} of B by {each.measure} on {each.protocol}"
                    parts.append("\n".join([head, *(line for query in found for line in query.lines())]))
        return "\n\n".join(parts)

    def notes(self) -> list[str]:
        """How the numbers came to be, and what is missing."""
        notes = [
            f"p: {self.procedure.test_name} over queries, two-sided; adjusted by {self.procedure.correction_name} "
            f"over the {len(self.lines)} shown; ↑ ↓ where at most {self.procedure.alpha:g}. Interval: bootstrap over "
            "queries (BCa). d: mean difference in standard deviations of the differences."
        ]
        notes += [warning] if (warning := self.procedure.warning(len(self.lines))) else []
        for line in self.lines:
            if line.interval_over_seeds is not None:
                low, high, _ = line.interval_over_seeds
                notes.append(
                    f"For other seeds too (hierarchical bootstrap): {line.protocol}, depth {line.depth}, "
                    f"{line.measure}: {low:+.4f} to {high:+.4f}."
                )
            for name, queries in zip("AB", line.missing, strict=True):
                if queries:
                    notes.append(
                        f"{len(queries)} queries of {line.protocol} without values of {name} count as 0: "
                        f"{', '.join(queries[:5])}{', ...' if len(queries) > 5 else ''}."
                    )
        if any(query.documents_a or query.documents_b for each in self.largest for query in (*each.wins, *each.losses)):
            seeds = max(len(self.a.seeds), len(self.b.seeds)) > 1
            first = "; the rankings are those of the first seed, the values means over seeds" if seeds else ""
            notes.append(f"Below, each document with its rank in the other's ranking{first}.")
        return list(dict.fromkeys(notes))

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": 1, "experiment": self.experiment,
            **{
                name: {
                    "name": each.name, "system": each.system, "coordinates": each.coordinates,
                    "seeds": list(each.seeds),
                    "jobs": list(dict.fromkeys(row.job for row in each.rows)),
                }
                for name, each in (("a", self.a), ("b", self.b))
            },
            **self.procedure._asdict(),
            "lines": [line.as_json() for line in self.lines],
            "largest": [
                {
                    "protocol": each.protocol, "measure": each.measure,
                    "wins": [query.as_json() for query in each.wins],
                    "losses": [query.as_json() for query in each.losses],
                }
                for each in self.largest
            ],
        }  # fmt: skip


def compare_systems(
    results: Results,
    a: str | MeasuredSystem,
    b: str | MeasuredSystem,
    *,
    measures: tuple[str, ...] = (),
    depths: tuple[int, ...] = (),
    protocols: tuple[str, ...] = (),
    procedure: Procedure = DEFAULT,
) -> SystemComparison:
    """The results of two systems of an experiment, wherever both were measured.

    By default all protocols and measures, each at its largest depth; `protocols` may be patterns.
    ConfigurationError where nothing was measured of both; DataError where values per query cannot be read.
    """
    procedure = procedure.checked()
    first = a if isinstance(a, MeasuredSystem) else measured_system(results, a)
    second = b if isinstance(b, MeasuredSystem) else measured_system(results, b, near=first)
    known = results.layout["protocols"]
    chosen = chosen_protocols(known, protocols)
    shared = dict.fromkeys((row.protocol, row.depth, row.measure) for row in first.rows)
    places = [place for place in shared if second.results_at(*place)]
    places = [place for place in places if place[0] in chosen and place[2] in (measures or (place[2],))]
    deepest = {protocol: max(depth for each, depth, _ in places if each == protocol) for protocol, _, _ in places}
    places = [place for place in places if place[1] in (depths or (deepest[place[0]],))]
    order = {name: number for number, name in enumerate(results.layout["measures"])}
    places.sort(key=lambda place: (known.index(place[0]), place[1], order.get(place[2], len(order))))
    if not places:
        raise ConfigurationError(
            f"{first.name} and {second.name} were not measured together",
            where=results.experiment,
            remedy=f"Protocols: {', '.join(known)}; measures: {', '.join(order)}.",
        )
    runs = {place: [values_at(results, side, place) for side in (first, second)] for place in places}
    frames = {place: side_by_side(each) for place, each in runs.items()}
    lines = [_line(place, runs[place], frames[place], procedure) for place in places]
    adjusted = procedure.adjusted(np.array([line.p_values[procedure.test] for line in lines]))
    corrected = tuple(dataclasses.replace(line, adjusted=float(p)) for line, p in zip(lines, adjusted, strict=True))
    main = {protocol: place for place in reversed(places) for protocol in [place[0]]}
    shown = main.values() if len(main) == 1 else ()
    largest = tuple(_largest(results, first, second, place, frames[place]) for place in shown)
    return SystemComparison(results.experiment, first, second, procedure, corrected, largest)


def _line(place: tuple[str, int, str], runs: list[list[QueryValues]], frame: Frame, procedure: Procedure) -> Line:
    means, differences = frame.values.mean(axis=0), frame.values[:, 1:] - frame.values[:, :1]
    by_seed = [seeds_by_query(side, frame.query_ids)[0] for side in runs]
    won = outcomes(differences)
    p_values = {test: float(procedure._replace(test=test).p_values(differences)[0]) for test in (T_TEST, RANDOMISATION)}
    return Line(
        *place, len(frame.query_ids), float(means[0]), float(means[1]), bootstrap(differences[:, 0]),
        hierarchical_bootstrap(*by_seed) if max(map(len, runs)) > 1 else None,
        p_values, math.nan,
        float(effect_size(differences)[0]),
        int(won.wins[0]), int(won.ties[0]), int(won.losses[0]), (tuple(frame.missing[0]), tuple(frame.missing[1])),
    )  # fmt: skip


def _largest(
    results: Results, a: MeasuredSystem, b: MeasuredSystem, place: tuple[str, int, str], frame: Frame
) -> Largest:
    difference = frame.values[:, 1] - frame.values[:, 0]
    order = np.argsort(-difference, kind="stable")
    wins = [int(index) for index in order[:LARGEST] if difference[index] > 0]
    losses = [int(index) for index in order[::-1][:LARGEST] if difference[index] < 0]
    wanted = [frame.query_ids[index] for index in (*wins, *losses)]
    files = [run_file(results, side.results_at(*place)[0]) for side in (a, b)]
    ranked = [rankings(file, wanted) if file is not None else {} for file in files]

    def of(index: int) -> QueryDifference:
        query = frame.query_ids[index]
        ours, theirs = (each.get(query, []) for each in ranked)
        return QueryDifference(
            query, float(frame.values[index, 0]), float(frame.values[index, 1]),
            tuple(beside(ours, theirs, TOP)), tuple(beside(theirs, ours, TOP)),
        )  # fmt: skip

    return Largest(place[0], place[2], tuple(map(of, wins)), tuple(map(of, losses)))


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"
