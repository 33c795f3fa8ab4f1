"""The grid of an experiment: every combination of the values on its axes, each set at dotted paths.

An axis is written in one of two ways:

    grid:
      learner.loss: [bce, infonce]                            # one path, or several separated by commas, and a list
      backbone:                                               # named points, each setting any paths
        BERT: {learner.scorer.backbone: {...}, learner.learning_rate: 1e-5}

This module does not know what the paths mean.
"""

import dataclasses
import itertools
from collections.abc import Iterator

from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.settings.document import Document
from xpm_ce.settings.nodes import Node


@dataclasses.dataclass(frozen=True)
class AxisPoint:
    """One value of an axis: its label in tables and what it sets."""

    label: str
    values: tuple[tuple[str, Node], ...]


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis of the grid; `paths` are all dotted paths that its points set."""

    name: str
    points: tuple[AxisPoint, ...]
    where: str
    elsewhere: frozenset[str] = frozenset()
    """Paths that exceptions set depending on this axis"""

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(path for point in self.points for path, _ in point.values) | self.elsewhere

    def touches(self, prefixes: tuple[str, ...]) -> bool:
        """Whether any of its points sets something at or below (or above) one of these dotted paths."""
        return any(
            path == prefix or path.startswith(f"{prefix}.") or prefix.startswith(f"{path}.")
            for path in self.paths
            for prefix in prefixes
        )


def read_axes(node: Node | None, *, sections: tuple[str, ...]) -> list[Axis]:
    """The axes under `grid:`, in the order they are written; every path must begin with one of `sections`.

    ConfigurationError with file:line for an empty axis, a value that is neither a list nor named points, and labels or
    names used twice; UnknownKeyError for a path that leads nowhere.
    """
    if node is None:
        return []
    if node.kind != "mapping":
        raise ConfigurationError(
            "grid holds axes by name", where=node.where, remedy="For example: learner.loss: [bce, infonce]"
        )
    axes = [_axis(name, below) for name, below in node.nodes.items()]
    for axis in axes:
        for path in axis.paths:
            check_path(path, sections, where=axis.where)
        if [other.name for other in axes].count(axis.name) > 1:
            raise ConfigurationError(
                f"two axes are named {axis.name}", where=axis.where, remedy="Give one of them named points."
            )
    return axes


def check_path(path: str, sections: tuple[str, ...], *, where: str) -> None:
    """UnknownKeyError for a dotted path that begins with no section."""
    if path.partition(".")[0] not in sections:
        raise UnknownKeyError(path.partition(".")[0], sections, where=where, kind="section in a grid path")


def grid_points(document: Document, axes: list[Axis]) -> Iterator[tuple[dict[str, str], Document]]:
    """Every combination: its coordinates (axis -> label) and the document with its values set."""
    for combination in itertools.product(*(axis.points for axis in axes)):
        changed = document
        for point in combination:
            for path, value in point.values:
                changed = changed.with_value(path, value)
        yield {axis.name: point.label for axis, point in zip(axes, combination, strict=True)}, changed


def _axis(name: str, node: Node) -> Axis:
    if not node.nodes:
        raise ConfigurationError(
            f"the axis {name} has no value", where=node.where, remedy="Write a list of values, or remove the axis."
        )
    if node.kind == "list":
        paths = [path.strip() for path in name.split(",")]
        points = tuple(AxisPoint(_value_label(value), tuple((path, value) for path in paths)) for value in node)
        axis = Axis(paths[0].rpartition(".")[2], points, node.where)
    else:
        axis = Axis(name, tuple(_named_point(name, label, below) for label, below in node.nodes.items()), node.where)
    labels = [point.label for point in axis.points]
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigurationError(
                f"the axis {axis.name} has two points {label}", where=node.where, remedy="Name its points."
            )
    return axis


def _named_point(axis: str, label: str, node: Node) -> AxisPoint:
    if node.kind != "mapping":
        raise ConfigurationError(
            f"{axis}.{label} must say what it sets", where=node.where, remedy="For example: {learner.loss: bce}"
        )
    return AxisPoint(label, tuple(node.nodes.items()))


def _value_label(node: Node) -> str:
    """What a value is called in tables: itself, or its type."""
    if node.kind == "mapping":
        kind = node.get("type")
        return kind.text if kind is not None else "value"
    return node.text if node.kind == "scalar" else ",".join(below.text for below in node)
