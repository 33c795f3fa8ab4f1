"""Whether an experiment's results are the published ones: each cell reproduced, deviating or not run.

A cell is compared only where every planned seed is measured on every set of its column, under the very protocol;
nothing is ever filled in. This module does not know how results were computed.
"""

import dataclasses
import enum
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

from xpm_ce.analysis.differences import Difference
from xpm_ce.analysis.expected import EXPECTED, Expected, ExpectedColumn, ExpectedRow
from xpm_ce.analysis.results import LEDGER, ResultRow, Results, read_results
from xpm_ce.errors import ConfigurationError
from xpm_ce.parameters import Given, read_parameters
from xpm_ce.workspace import MODEL, RUN, TRAINED, Workspace, read_json

SYSTEM = "system"
"""The word of a row's place that says what kind of system it is, where it was not trained here"""
OF_LEDGER = "ledger."
"""Beginning of a path in a recipe that is one of the ledger"""
ROUNDING = 1e-9


class Verdict(enum.StrEnum):
    """What came of a published number."""

    REPRODUCED = "reproduced"
    DEVIATES = "deviates"
    NOT_RUN = "not run"


SIGNS = {Verdict.REPRODUCED: "=", Verdict.DEVIATES: "≠", Verdict.NOT_RUN: "–"}


@dataclasses.dataclass(frozen=True)
class VerifiedCell:
    """One published number and what was measured here."""

    row: ExpectedRow
    column: ExpectedColumn
    published: float
    verdict: Verdict
    measured: float | None = None
    """Mean over the sets of the mean over seeds; None where it is not run"""
    seeds: int = 0
    reason: str = ""
    """Why it is not run"""
    differences: tuple[Difference, ...] = ()
    """Fields in which a deviating system differs from what is published of its training; A is the published value"""
    jobs: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "row": self.row.name, "at": dict(self.row.at), "version": self.row.version, "column": self.column.name,
            "measure": self.column.measure, "sets": list(self.column.sets), "source": self.row.source,
            "published": self.published, "tolerance": self.column.tolerance, "verdict": self.verdict.value,
            "measured": self.measured, "seeds": self.seeds, "reason": self.reason,
            "differences": [each.as_json() for each in self.differences], "jobs": list(self.jobs),
        }  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Verification:
    """All cells of the published numbers of an experiment."""

    expected: Expected
    experiment: str
    cells: tuple[VerifiedCell, ...]

    @property
    def counts(self) -> dict[str, int]:
        found = Counter(cell.verdict for cell in self.cells)
        return {verdict.value: found[verdict] for verdict in Verdict}

    def render(self) -> str:
        """A table of all cells, then why cells deviate and why they are not run."""
        counts = self.counts
        lines = [
            f"{self.expected.title}: {len(self.cells)} published number{'s' if len(self.cells) != 1 else ''}, "
            + ", ".join(f"{count} {verdict}" for verdict, count in counts.items()),
            f"({self.expected.file}; experiment {self.experiment}; published, then measured, x 100; "
            "= reproduced, ≠ deviates, – not run)",
            "",
            *self._table(),
        ]
        deviating = [cell for cell in self.cells if cell.verdict is Verdict.DEVIATES]
        for cell in deviating:
            lines += ["", *_explained(cell)]
        if deviating and self.expected.known:
            lines += ["", "Known differences between the published experiment and this recipe:"]
            lines += [f"  {each}" for each in self.expected.known]
        if reasons := Counter(cell.reason for cell in self.cells if cell.verdict is Verdict.NOT_RUN):
            lines += ["", "Not run:", *(f"  {count:>4}  {reason}" for reason, count in reasons.most_common())]
        return "\n".join(lines)

    def _table(self) -> list[str]:
        shown = {(cell.row.name, cell.column.name): _shown(cell) for cell in self.cells}
        header = ["", *(column.name for column in self.expected.columns)]
        rows = [
            [row.name, *(shown.get((row.name, column.name), "") for column in self.expected.columns)]
            for row in self.expected.rows
        ]
        widths = [max(len(line[place]) for line in [header, *rows]) for place in range(len(header))]
        drawn = [
            "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |"
            for line in [header, *rows]
        ]
        return [drawn[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *drawn[1:]]

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": 1, "experiment": self.experiment, "expected": str(self.expected.file),
            "title": self.expected.title, "counts": self.counts, "known_differences": list(self.expected.known),
            "cells": [cell.as_json() for cell in self.cells],
        }  # fmt: skip


def expected_file(workspace: Workspace, text: str) -> Path:
    """Where the published numbers of an experiment stand: beside its YAML, in its folder, beside what was planned."""
    path = Path(text)
    if path.is_dir():
        return path / EXPECTED
    if path.suffix in (".yaml", ".yml"):
        return path.with_name(EXPECTED)
    files = [Path(file) for file in workspace.read_plan(text).get("files", [])]
    found = [file.with_name(EXPECTED) for file in files if file.with_name(EXPECTED).exists()]
    if not found:
        raise ConfigurationError(
            f"no {EXPECTED} stands beside the files of {text}",
            where=", ".join(map(str, files)),
            remedy="Give --expected FILE.",
        )
    return found[0]


def verify(workspace: Workspace, expected: Expected, *, experiment: str = "") -> Verification:
    """Compare the results of an experiment's last plan with its published numbers.

    An experiment that was never planned here has no cell that is run. ConfigurationError where the numbers are
    another experiment's.
    """
    experiment = experiment or expected.experiment
    if experiment != expected.experiment:
        raise ConfigurationError(
            f"these are the published numbers of {expected.experiment}, not of {experiment}",
            where=str(expected.file),
            remedy="Give --expected FILE with the numbers of that experiment.",
        )
    results = read_results(workspace, experiment) if experiment in workspace.experiments() else None
    cells: list[VerifiedCell] = []
    for row in expected.rows:
        planned = (
            [each for each in results.missing if _stands(each["system"], each["coordinates"], row)] if results else []
        )
        there = [each for each in results.rows if _stands(each.system, each.coordinates, row)] if results else []
        there = [each for each in there if each.order == "given"]
        cells += [
            _verified(results, row, column, there, planned, workspace)
            for column in expected.columns
            if column.name in row.values
        ]
    return Verification(expected, experiment, tuple(cells))


def _verified(
    results: Results | None, row: ExpectedRow, column: ExpectedColumn, there: list[ResultRow],
    planned: list[dict[str, Any]], workspace: Workspace,
) -> VerifiedCell:  # fmt: skip
    """One cell; `there` and `planned` are the results of its system that are there and that are not."""
    published = row.values[column.name]

    def not_run(reason: str) -> VerifiedCell:
        return VerifiedCell(row, column, published, Verdict.NOT_RUN, reason=reason)

    if column.unavailable:
        return not_run(column.unavailable)
    if not row.at:
        return not_run("no recipe here makes this system")
    if results is None:
        return not_run("the experiment was never planned in this workspace")
    if not planned and not there:
        return not_run("the plan holds no such system")
    measured = {each.protocol for each in there} | {each["protocol"] for each in planned}
    if absent := [label for label in column.sets if label not in measured]:
        return not_run(f"the plan does not measure {absent[0]}")
    planned = [each for each in planned if each["protocol"] in column.sets]
    there = [each for each in there if each.protocol in column.sets]
    points = {_point(each.coordinates, results) for each in there}
    points |= {_point(each["coordinates"], results) for each in planned}
    if len(points) > 1:
        raise ConfigurationError(
            f"{row.name} means {len(points)} systems of the plan, such as {dict(min(points))}",
            where=str(workspace.plan_file(results.experiment)),
            remedy="Name every axis of the grid but that of seeds in at:.",
        )
    if planned:
        complete = len({(each.protocol, tuple(each.coordinates.items())) for each in there})
        return not_run(f"{complete} of its {complete + len(planned)} results are there")
    there = [each for each in there if each.measure == column.measure]
    deepest = {label: max((each.depth for each in there if each.protocol == label), default=0) for label in column.sets}
    used = [each for each in there if each.depth == deepest[each.protocol]]
    if absent := [label for label, depth in deepest.items() if not depth]:
        return not_run(f"the plan does not measure {column.measure} on {absent[0]}")
    by_set = [[each.mean for each in used if each.protocol == label] for label in column.sets]
    value = statistics.fmean(map(statistics.fmean, by_set))
    same = abs(value - published) <= column.tolerance + ROUNDING
    return VerifiedCell(
        row, column, published, Verdict.REPRODUCED if same else Verdict.DEVIATES, value, min(map(len, by_set)),
        differences=() if same else _differences(results, row, used),
        jobs=tuple(dict.fromkeys(each.job for each in used)),
    )  # fmt: skip


def _stands(system: str, coordinates: dict[str, str], row: ExpectedRow) -> bool:
    """Whether a result is of the system that a row means."""
    wanted = dict(row.at)
    kind = wanted.pop(SYSTEM, None) or next((name for name in (MODEL, RUN) if name in wanted), TRAINED)
    return system == kind and all(coordinates.get(axis) == value for axis, value in wanted.items())


def _point(coordinates: dict[str, str], results: Results) -> tuple[tuple[str, str], ...]:
    """A system of the plan: its place, in an order of its own."""
    return tuple(sorted(results.place(coordinates).items()))


def _differences(results: Results, row: ExpectedRow, used: list[ResultRow]) -> tuple[Difference, ...]:
    """Fields of the learners, and of their ledgers, that are not what the row's recipe says; each once."""
    folders = dict.fromkeys(job.path for each in used if (job := results.learner(each.job)) is not None)
    found: dict[tuple[str, str], Difference] = {}
    for folder in folders:
        given, ledger = read_parameters(folder), read_json(folder / LEDGER) or {}
        for path, wanted in row.recipe.items():
            in_ledger = path.startswith(OF_LEDGER)
            actual = _looked_up(ledger, path.removeprefix(OF_LEDGER)) if in_ledger else _field(given, path)
            if not _equal(actual, wanted):
                found.setdefault((path, repr(actual)), Difference(path, wanted, actual))
    return tuple(found.values())


def _field(given: Given | None, path: str) -> Any:
    value: Any = given
    for name in path.split("."):
        value = value.fields.get(name) if isinstance(value, Given) else None
    return value.type if isinstance(value, Given) else value


def _looked_up(ledger: Any, path: str) -> Any:
    for name in path.split("."):
        ledger = ledger.get(name) if isinstance(ledger, dict) else None
    return ledger


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= ROUNDING * max(abs(one), abs(other))
    return bool(one == other)


def _shown(cell: VerifiedCell) -> str:
    measured = "" if cell.measured is None else f" {100 * cell.measured:.1f}"
    return f"{100 * cell.published:.1f} {SIGNS[cell.verdict]}{measured}"


def _explained(cell: VerifiedCell) -> list[str]:
    assert cell.measured is not None
    seeds = f"{cell.seeds} seeds" if cell.seeds > 1 else "one seed"
    lines = [
        f"{cell.row.name}, {cell.column.name} ({cell.column.measure}): {cell.published:.4f} published, "
        f"{cell.measured:.4f} measured over {seeds}, {cell.measured - cell.published:+.4f} (tolerance "
        f"{cell.column.tolerance:g}); source: {cell.row.source}"
    ]
    if not cell.row.recipe:
        return [*lines, "  nothing is recorded of how the published number came to be"]
    if not cell.differences:
        return [*lines, "  no recorded field of the published training differs"]
    lines.append(f"  {'what may explain it':<38} {'published':<34} here")
    for each in cell.differences:
        lines += each.lines()
    return lines
