"""The tree that a configuration is before it has types: each value knows where it was written.

This module does not know YAML, files, nor any field of an experiment.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Union

from xpm_ce.errors import ConfigurationError

Scalar = str | int | float | bool | None


def joined(path: str, key: object) -> str:
    """The dotted path of `key` below `path`; the root's path is empty."""
    return f"{path}.{key}" if path else str(key)


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a configuration: a mapping, a list or a scalar. Trees share what they have in common."""

    value: Union[Mapping[str, "Node"], tuple["Node", ...], Scalar]
    """Nodes by key, nodes in order, or a scalar"""

    where: str = ""
    """Where it was written: `experiments/x.yaml:14`, `-c learner.steps=3`"""

    path: str = ""
    """Dotted path from the root: `learner.loss.margin`, `seeds.0`"""

    folder: Path = Path()
    """What a relative path in it is relative to: the folder of its file, the current one for `-c`"""

    text: str = ""
    """A scalar as it was written, without quotes"""

    quoted: bool = False
    """Whether a scalar was written in quotes, and therefore is text whatever it looks like"""

    @staticmethod
    def of(value: Any, *, where: str, path: str = "", folder: Path | None = None) -> "Node":
        """The tree of plain Python data (dicts, lists, scalars), all of it written at `where`."""
        folder = Path.cwd() if folder is None else folder
        if isinstance(value, Mapping):
            nodes = {
                str(key): Node.of(item, where=where, path=joined(path, key), folder=folder)
                for key, item in value.items()
            }
            return Node(MappingProxyType(nodes), where, path, folder)
        if isinstance(value, (list, tuple)):
            items = (
                Node.of(item, where=where, path=joined(path, index), folder=folder) for index, item in enumerate(value)
            )
            return Node(tuple(items), where, path, folder)
        if isinstance(value, str):
            return Node(value, where, path, folder, text=value, quoted=True)
        if value is None or isinstance(value, (bool, int, float)):
            return Node(value, where, path, folder, text=json.dumps(value))
        raise ConfigurationError(f"{path or 'a value'} is a Python {type(value).__name__}", where=where)

    # -- reading --------------------------------------------------------------------------------------------

    @property
    def kind(self) -> str:
        """`mapping`, `list` or `scalar`."""
        if isinstance(self.value, Mapping):
            return "mapping"
        return "list" if isinstance(self.value, tuple) else "scalar"

    @property
    def nodes(self) -> Mapping[str, "Node"]:
        """The nodes of a mapping or a list, by key or by index; none for a scalar."""
        if isinstance(self.value, Mapping):
            return self.value
        return {str(i): node for i, node in enumerate(self.value)} if isinstance(self.value, tuple) else {}

    def __iter__(self) -> Iterator["Node"]:
        """The nodes of a mapping or a list, in order."""
        return iter(self.nodes.values())

    def get(self, key: str) -> Union["Node", None]:
        """The node of one key of a mapping (or index of a list); None where there is none."""
        return self.nodes.get(key)

    def at(self, path: str) -> Union["Node", None]:
        """The node at a dotted path below this one; None where there is none.

        A key that contains dots itself (as a grid's keys do) is found before its parts are.
        """
        if not path:
            return self
        for key, rest in _splits(path):
            below = self.get(key)
            if below is not None and (found := below.at(rest)) is not None:
                return found
        return None

    def plain(self) -> Any:
        """The same as Python data: dicts, lists, scalars."""
        if isinstance(self.value, Mapping):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, tuple) else self.value

    @property
    def described(self) -> str:
        """The value as an error message shows it."""
        if self.kind != "scalar":
            return f"a {self.kind}"
        if self.value is None:
            return "nothing"
        return json.dumps(self.value, ensure_ascii=False) if isinstance(self.value, str) else self.text

    # -- changing -------------------------------------------------------------------------------------------

    def moved(self, path: str) -> "Node":
        """The same tree with its root at `path`."""
        if path == self.path:
            return self
        value = self.value
        if isinstance(value, Mapping):
            value = MappingProxyType({key: node.moved(joined(path, key)) for key, node in value.items()})
        elif isinstance(value, tuple):
            value = tuple(node.moved(joined(path, index)) for index, node in enumerate(value))
        return replace(self, value=value, path=path)

    def without(self, *keys: str) -> "Node":
        """This mapping without some of its keys."""
        return replace(self, value=MappingProxyType({k: n for k, n in self.nodes.items() if k not in keys}))

    def merged(self, over: "Node") -> "Node":
        """This tree with `over` laid on it: mappings merge key by key, everything else is replaced."""
        if self.kind != "mapping" or over.kind != "mapping":
            return over
        below = self.nodes
        nodes = {key: below[key].merged(node) if key in below else node for key, node in over.nodes.items()}
        return replace(over, value=MappingProxyType({**below, **nodes}))

    def with_value(self, path: str, value: "Node") -> "Node":
        """This tree with `value` (which keeps its `where`) at a dotted path; missing mappings are made.

        ConfigurationError where the path leads through a scalar or past the end of a list.
        """
        if not path:
            return value.moved(self.path)
        key, rest = next(((k, r) for k, r in _splits(path) if k in self.nodes), path.partition(".")[::2])
        here = joined(self.path, key)
        if self.kind == "list":
            if key not in self.nodes:
                raise ConfigurationError(
                    f"{here} cannot be set: {self.path} ({self.where}) has {len(self.nodes)} entries",
                    where=value.where,
                    remedy="Count from 0, or give the whole list.",
                )
            assert isinstance(self.value, tuple)
            entries = list(self.value)
            entries[int(key)] = entries[int(key)].with_value(rest, value)
            return replace(self, value=tuple(entries))
        if self.kind == "scalar" and self.value is not None:
            raise ConfigurationError(
                f"{here} cannot be set: {self.path} is {self.described} ({self.where})",
                where=value.where,
                remedy=f"Write {self.path} as a mapping, with {self.described} as its type if it names one.",
            )
        below = self.nodes.get(key) or Node(MappingProxyType({}), value.where, here, value.folder)
        return replace(self, value=MappingProxyType({**self.nodes, key: below.with_value(rest, value)}))


def _splits(path: str) -> Iterator[tuple[str, str]]:
    """Every (key, rest) that a dotted path can mean, the longest key first."""
    parts = path.split(".")
    for size in range(len(parts), 0, -1):
        yield ".".join(parts[:size]), ".".join(parts[size:])
