"""Exceptions to a grid: cells in which values are set after those of its axes.

    exceptions:
      - {where: {loss: [BCE, Hinge], backbone: MiniLM}, set: {learner.sampler.queries: 64}}

This module does not know what the paths mean.
"""

import dataclasses
from collections.abc import Mapping

from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.graph.grid import Axis, check_path
from xpm_ce.settings.document import Document
from xpm_ce.settings.nodes import Node

KEYS = ("where", "set")


@dataclasses.dataclass(frozen=True)
class GridException:
    """What is set in the cells of some labels of some axes; axes that are not named have any label."""

    labels: Mapping[str, frozenset[str]]
    values: tuple[tuple[str, Node], ...]

    def holds(self, coordinates: Mapping[str, str]) -> bool:
        """Whether a cell is one of them."""
        return all(coordinates[axis] in labels for axis, labels in self.labels.items())

    def applied(self, coordinates: Mapping[str, str], document: Document) -> Document:
        """The document of a cell with the values set, where the cell is one of them."""
        if self.holds(coordinates):
            for path, value in self.values:
                document = document.with_value(path, value)
        return document


def read_exceptions(nodes: list[Node], axes: list[Axis], *, sections: tuple[str, ...]) -> list[GridException]:
    """The entries of `exceptions:`, in order: of two that set one path in one cell, the later holds.

    ConfigurationError with file:line for a misshapen entry, UnknownKeyError for an axis, a label or a section that does
    not exist.
    """
    return [_exception(node, {axis.name: axis for axis in axes}, sections) for node in nodes]


def _exception(node: Node, axes: Mapping[str, Axis], sections: tuple[str, ...]) -> GridException:
    for key, below in node.nodes.items():
        if key not in KEYS:
            raise UnknownKeyError(f"{node.path}.{key}", KEYS, where=below.where)
    cells, values = node.get("where"), node.get("set")
    if cells is None or values is None or not (cells.nodes and values.nodes):
        raise ConfigurationError(
            "an exception says where it holds and what it sets",
            where=node.where,
            remedy="For example: {where: {loss: bce}, set: {learner.steps: 100}}",
        )
    labels = {}
    for name, below in cells.nodes.items():
        if name not in axes:
            raise UnknownKeyError(name, axes, where=below.where, kind="axis of the grid")
        given = [below] if below.kind == "scalar" else list(below)
        known = [point.label for point in axes[name].points]
        for each in given:
            if each.text not in known:
                raise UnknownKeyError(each.text, known, where=each.where, kind=f"point of the axis {name}:")
        labels[name] = frozenset(each.text for each in given)
    for path, below in values.nodes.items():
        check_path(path, sections, where=below.where)
    return GridException(labels, tuple(values.nodes.items()))


def with_exceptions(axes: list[Axis], exceptions: list[GridException]) -> list[Axis]:
    """The axes, each knowing also the paths that exceptions set depending on it."""
    return [
        dataclasses.replace(
            axis,
            elsewhere=frozenset(path for each in exceptions if axis.name in each.labels for path, _ in each.values),
        )
        for axis in axes
    ]
