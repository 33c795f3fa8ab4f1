"""Published numbers that stand beside a recipe (`expected.yaml`): values, tolerances, sources, and how they came to be.

This module does not know what was measured here.
"""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.measures import names
from xpm_ce.protocols.registry import protocols

EXPECTED = "expected.yaml"
SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class ExpectedColumn:
    """What a column of published numbers measures."""

    name: str
    sets: tuple[str, ...]
    """Labels of evaluation sets; a value is the unweighted mean over all of them"""
    measure: str
    """Canonical name"""
    tolerance: float
    """Largest difference, absolute, at which a number counts as reproduced"""
    unavailable: str = ""
    """Why nothing here can measure it, where that is so"""


@dataclasses.dataclass(frozen=True)
class ExpectedRow:
    """Published numbers of one system."""

    at: Mapping[str, str]
    """Its place in the grid; `system`, `model` and `run` name what is not in it. Empty: no recipe makes it"""
    label: str
    version: str
    """Which of several published versions of the system it is, where there are several"""
    source: str
    values: Mapping[str, float]
    """By column; columns for which none is published are left out"""
    recipe: Mapping[str, Any]
    """How it was trained: value by the dotted path of a learner's field, or `ledger.` and one of its ledger"""

    @property
    def name(self) -> str:
        return f"{self.label} ({self.version})" if self.version else self.label


@dataclasses.dataclass(frozen=True)
class Expected:
    """The published numbers of an experiment."""

    file: Path
    experiment: str
    """Id of the experiment that is to reproduce them"""
    title: str
    columns: tuple[ExpectedColumn, ...]
    rows: tuple[ExpectedRow, ...]
    known: tuple[str, ...]
    """Known differences between the published experiment and the recipe, in words"""


def read_expected(file: Path) -> Expected:
    """The published numbers in a file; ConfigurationError or UnknownKeyError, naming the entry, where it is wrong."""
    try:
        content = yaml.safe_load(file.read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {file} ({error.strerror})",
            remedy=f"Published numbers stand in {EXPECTED} beside a recipe; or give --expected FILE.",
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"this is no YAML ({error})", where=str(file)) from error
    top = _mapping(
        content, str(file), required=("schema", "experiment", "title", "measure", "columns", "rows"),
        allowed=("source", "known", "recipes"),
    )  # fmt: skip
    if top["schema"] != SCHEMA:
        raise ConfigurationError(f"schema {top['schema']!r} is not {SCHEMA}", where=str(file))
    columns = tuple(
        _column(name, entry, measure=top["measure"], where=f"{file}, column {name}")
        for name, entry in _mapping(top["columns"], f"{file}, columns").items()
    )
    recipes = {
        name: _mapping(entry, f"{file}, recipe {name}")
        for name, entry in _mapping(top.get("recipes", {}), f"{file}, recipes").items()
    }
    entries = top["rows"] if isinstance(top["rows"], list) else []
    rows = tuple(
        _row(entry, columns, recipes, source=top.get("source", ""), where=f"{file}, row {number}")
        for number, entry in enumerate(entries, 1)
    )
    if not rows:
        raise ConfigurationError("rows is a list of at least one entry", where=str(file))
    if twice := [row.name for place, row in enumerate(rows) if row.name in [other.name for other in rows[:place]]]:
        raise ConfigurationError(
            f"the row {twice[0]} stands twice", where=str(file), remedy="Give each a version: or a label:."
        )
    return Expected(file, str(top["experiment"]), str(top["title"]), columns, rows, tuple(top.get("known", ())))


def _column(name: str, entry: Any, *, measure: str, where: str) -> ExpectedColumn:
    given = _mapping(entry, where, required=("tolerance",), allowed=("sets", "measure", "unavailable"))
    tolerance = given["tolerance"]
    if not _is_number(tolerance) or not 0 < tolerance < 1:
        raise ConfigurationError(f"the tolerance is {tolerance!r}", where=where, remedy="Give a number, 0.005 say.")
    if ("sets" in given) == ("unavailable" in given):
        raise ConfigurationError("a column has sets, or says why it is unavailable", where=where)
    sets = given.get("sets", [])
    labels: list[str] = []
    for label in [sets] if isinstance(sets, str) else sets:
        labels += [protocol.id for protocol in protocols(label, where=where)] if "@" in label else [label]
    parsed = str(names.parse(given.get("measure", measure), where=where))
    return ExpectedColumn(name, tuple(labels), parsed, float(tolerance), str(given.get("unavailable", "")))


def _row(
    entry: Any,
    columns: tuple[ExpectedColumn, ...],
    recipes: Mapping[str, Mapping[str, Any]],
    *,
    source: str,
    where: str,
) -> ExpectedRow:
    given = _mapping(
        entry, where, required=("values",), allowed=("at", "label", "version", "source", "recipe")
    )  # fmt: skip
    at = {str(axis): str(value) for axis, value in _mapping(given.get("at", {}), where).items()}
    if not at and "label" not in given:
        raise ConfigurationError("a row has a place (at:) or a label", where=where)
    source = given.get("source", source)
    if not source:
        raise ConfigurationError(
            "the numbers have no source",
            where=where,
            remedy="Say where they are printed: source: at the row or the top.",
        )
    values = given["values"]
    if not isinstance(values, list) or len(values) != len(columns):
        raise ConfigurationError(
            f"values is a list of {len(columns)} numbers, one a column",
            where=where,
            remedy="Write null where none is published.",
        )
    if wrong := [value for value in values if value is not None and (not _is_number(value) or not 0 <= value <= 1)]:
        raise ConfigurationError(f"{wrong[0]!r} is not a value of a measure", where=where, remedy="From 0 to 1.")
    recipe = given.get("recipe")
    if recipe is not None and recipe not in recipes:
        raise UnknownKeyError(str(recipe), recipes, where=where, kind="recipe")
    return ExpectedRow(
        at=at,
        label=str(given.get("label") or ", ".join(at.values())),
        version=str(given.get("version", "")),
        source=str(source),
        values={column.name: float(value) for column, value in zip(columns, values, strict=True) if value is not None},
        recipe=recipes[recipe] if recipe is not None else {},
    )


def _mapping(
    value: Any, where: str, *, required: tuple[str, ...] = (), allowed: tuple[str, ...] | None = None
) -> dict[str, Any]:
    """A mapping with its required keys; with `allowed`, no others than these."""
    if not isinstance(value, dict):
        raise ConfigurationError("this is a mapping of keys to values", where=where)
    for key in required:
        if key not in value:
            raise ConfigurationError(f"{key} is missing", where=where)
    if allowed is not None:
        for key in value:
            if key not in (*required, *allowed):
                raise UnknownKeyError(str(key), (*required, *allowed), where=where)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
