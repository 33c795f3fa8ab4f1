"""An experiment as its YAML (or Python) says it: sections checked, grid read, types not yet given.

This module does not know jobs; `graph/build.py` turns each point of the grid into configurations.
"""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.graph.exceptions import GridException, read_exceptions, with_exceptions
from xpm_ce.graph.grid import Axis, grid_points, read_axes
from xpm_ce.graph.sections import EXPERIMAESTRO_KEYS, TableLayout
from xpm_ce.settings.document import Document, load
from xpm_ce.settings.nodes import Node
from xpm_ce.settings.typed import typed

SECTIONS = ("collection", "first_stage", "training_set", "validation", "learner", "evaluation")
"""Sections that the grid can vary"""
OTHER_SECTIONS = ("offline", "store", "extensions", "grid", "exceptions", "models", "runs", "table")
DATA_SECTIONS = ("collection", "store", "first_stage", "validation")
"""Sections that say what is retrieved from what"""
REQUIRED_SECTIONS = ("collection", "first_stage", "evaluation")
OF_PROTOCOLS = ("collection", "first_stage")
"""Sections that protocols bring themselves"""


@dataclasses.dataclass(frozen=True)
class Study:
    """A checked document and the axes of its grid."""

    document: Document
    axes: list[Axis]
    exceptions: list[GridException] = dataclasses.field(default_factory=list)

    @classmethod
    def load(
        cls, file: Path, overrides: Sequence[str] = (), *, pre_yaml: Sequence[Path] = (), post_yaml: Sequence[Path] = ()
    ) -> "Study":
        """Read a YAML file; ConfigurationError with file:line where a section is unknown, missing or misshapen."""
        return cls.of(load(file, overrides, pre_yaml=pre_yaml, post_yaml=post_yaml))

    @classmethod
    def of(cls, document: Document) -> "Study":
        """The study of a document that is already in memory."""
        for key, node in document.root.nodes.items():
            if key not in (*EXPERIMAESTRO_KEYS, *SECTIONS, *OTHER_SECTIONS):
                raise UnknownKeyError(key, (*SECTIONS, *OTHER_SECTIONS, "id", "title"), where=node.where)
        identifier = document.require("id")
        if not re.fullmatch(r"[\w.-]+", identifier.text):
            raise ConfigurationError(
                f"id must be a word of letters, digits, '-', '_' and '.', not {identifier.described}",
                where=identifier.where,
            )
        axes = read_axes(document.get("grid"), sections=SECTIONS)
        named = document.get("evaluation.protocols")
        by_protocol = named is not None and named.value is not None
        for section in REQUIRED_SECTIONS:
            if by_protocol and section in OF_PROTOCOLS:
                continue
            if document.get(section) is None and not any(axis.touches((section,)) for axis in axes):
                raise ConfigurationError(f"{section} is missing", where=document.root.where)
        if document.get("learner") is not None and document.get("training_set") is None:
            raise ConfigurationError(
                "a learner needs a training set", where=document.require("learner").where, remedy="Add training_set."
            )
        exceptions = read_exceptions(_entries(document, "exceptions"), axes, sections=SECTIONS)
        return cls(document, with_exceptions(axes, exceptions), exceptions)

    @property
    def id(self) -> str:
        return self.document.require("id").text

    @property
    def title(self) -> str:
        title = self.document.get("title")
        return title.text if title is not None else self.id

    @property
    def offline(self) -> str | None:
        """Where the study says that there is no network; None where it does not."""
        node = self.document.get("offline")
        return node.where if node is not None and typed(bool, node) else None

    def flag(self, key: str, *, default: bool) -> bool:
        """A true or false at the root."""
        node = self.document.get(key)
        return typed(bool, node) if node is not None else default

    def choice(self, key: str, values: list[str]) -> str:
        """One of several words at the root, the first of them by default; UnknownKeyError for another."""
        node = self.document.get(key)
        if node is None:
            return values[0]
        if node.text not in values:
            raise UnknownKeyError(node.text, values, where=node.where, kind=f"value of {key}:")
        return node.text

    def points(self) -> Iterator[tuple[dict[str, str], Document]]:
        """Every combination of the grid: coordinates and document."""
        for coordinates, document in grid_points(self.document, self.axes):
            for each in self.exceptions:
                document = each.applied(coordinates, document)
            yield coordinates, document

    def axes_of_scorer(self) -> list[str]:
        """Names of the axes that change a scorer before it is trained, or the data that it reads."""
        return self.axes_touching(("learner.scorer", *DATA_SECTIONS, "evaluation"))

    def axes_of_data(self) -> list[str]:
        """Names of the axes that change the first stage or what is measured."""
        return self.axes_touching((*DATA_SECTIONS, "evaluation"))

    def axes_touching(self, paths: tuple[str, ...]) -> list[str]:
        """Names of the axes that change something at, below or above one of these dotted paths."""
        return [axis.name for axis in self.axes if axis.touches(paths)]

    def section(self, name: str) -> list[Node]:
        """The entries of a section that is a list; none where the section is absent."""
        return _entries(self.document, name)

    def layout(self) -> dict[str, Any]:
        """Axes of the summary table: rows, columns, what is averaged, and labels in the grid's order."""
        names = [axis.name for axis in self.axes]
        node = self.document.get("table")
        asked = typed(TableLayout, node) if node is not None else TableLayout.C()
        for key in ("rows", "columns", "over"):
            value = getattr(asked, key)
            if value is not None and value not in names:
                assert node is not None
                raise UnknownKeyError(value, names, where=(node.get(key) or node).where, kind="axis")
        over = asked.over or ("seed" if "seed" in names else None)
        free = [name for name in names if name not in (over, asked.rows, asked.columns)]
        rows = asked.rows or (free.pop(0) if free else None)
        columns = asked.columns or (free.pop(0) if free else None)
        labels = {axis.name: [point.label for point in axis.points] for axis in self.axes}
        return {
            "rows": rows, "columns": columns, "over": over,
            "row_labels": labels.get(rows or "", []), "column_labels": labels.get(columns or "", []),
            "axes": labels,
        }  # fmt: skip

    def averages(self, protocols: Sequence[str]) -> dict[str, list[str]]:
        """Means over evaluation sets, by name; UnknownKeyError for a set that is none of `protocols`."""
        node = self.document.get("table.averages")
        found: dict[str, list[str]] = typed(dict[str, list[str]], node) if node is not None else {}
        for name, sets in found.items():
            for each in sets:
                if each not in protocols:
                    where = node.get(name).where  # type: ignore[union-attr]
                    raise UnknownKeyError(each, protocols, where=where, kind="evaluation set")
        return found


def _entries(document: Document, name: str) -> list[Node]:
    """The entries of a section that is a list; none where the section is absent."""
    node = document.get(name)
    if node is None:
        return []
    if node.kind != "list":
        raise ConfigurationError(f"{name} is a list", where=node.where, remedy="Begin each entry with `- `.")
    return list(node)
