"""A configuration as it was asked for: files, the files they import and `-c` overrides, merged into one tree.

Merging is experimaestro's: imports first and in order, then the file that imports them; mappings merge, lists
are replaced. This module does not know any field of an experiment.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from xpm_ce.errors import ConfigurationError
from xpm_ce.settings.nodes import Node
from xpm_ce.settings.reading import parsed
from xpm_ce.settings.typed import typed

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Document:
    """A merged configuration; changing it gives another one."""

    root: Node
    """The merged mapping, without the keys that say what to merge"""

    files: tuple[Path, ...] = ()
    """Every file that was read, in the order of merging"""

    overrides: tuple[str, ...] = ()
    """What was set over them, as it was given: `dotted.path=value`"""

    def get(self, path: str) -> Node | None:
        """The node at a dotted path; None where there is none."""
        return self.root.at(path)

    def require(self, path: str) -> Node:
        """The node at a dotted path; ConfigurationError where there is none."""
        node = self.get(path)
        if node is None:
            raise ConfigurationError(f"{path} is missing", where=self.root.where)
        return node

    def plain(self) -> Any:
        """The configuration as Python data."""
        return self.root.plain()

    def with_value(self, path: str, value: Any, *, where: str = "set by the program") -> "Document":
        """The document with a node, or plain data written at `where`, at a dotted path.

        A node keeps its own `where`, so that errors about it point to the line that wrote it.
        """
        node = value if isinstance(value, Node) else Node.of(value, where=where, path=path)
        return replace(self, root=self.root.with_value(path, node))


def load(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    pre_yaml: Sequence[Path] = (),
    post_yaml: Sequence[Path] = (),
) -> Document:
    """Read a YAML file with its imports, lay it over `pre_yaml` and under `post_yaml`, then apply overrides.

    Each override is `dotted.path=value`, its value read as YAML; it replaces what stands there.
    ConfigurationError, with file and line, where a file is missing, malformed or imports itself, or where an
    override cannot be applied.
    """
    trees: list[tuple[Path, Node]] = []
    for file in [*pre_yaml, path, *post_yaml]:
        trees += _with_imports(Path(file), cited="", above=())
    root = Node(MappingProxyType({}))
    for _, tree in trees:
        root = root.merged(tree)
    main = f"{_displayed(_with_suffix(Path(path)))}:1"
    document = Document(replace(root, where=main), tuple(file for file, _ in trees), tuple(overrides))
    for override in overrides:
        target, node = parsed_override(override)
        document = document.with_value(target, node)
    return document


def parsed_override(override: str) -> tuple[str, Node]:
    """The dotted path and the value of one `-c` argument; ConfigurationError where it is not `path=value`."""
    where = f"-c {override}"
    target, equals, text = override.partition("=")
    target = target.strip()
    if not equals or not all(target.split(".")):
        raise ConfigurationError(
            "an override is written path=value", where=where, remedy="For example: -c learner.steps=3"
        )
    if not text.strip():
        return target, Node(None, where, target, Path.cwd())
    return target, parsed(text, where=lambda line: where, folder=Path.cwd()).moved(target)


def _with_imports(path: Path, *, cited: str, above: tuple[Path, ...]) -> list[tuple[Path, Node]]:
    """(file, tree) of what a file imports and of the file itself, in the order of merging."""
    path = _with_suffix(path)
    resolved = path.resolve()
    if resolved in above:
        names = [file.name for file in [*above[above.index(resolved) :], resolved]]
        raise ConfigurationError(f"imports go in a circle: {' -> '.join(names)}", where=cited)
    tree = _read(path, cited)
    trees: list[tuple[Path, Node]] = []
    for imported in _imports(tree):
        target = path.parent / imported.text
        trees += _with_imports(target, cited=imported.where, above=(*above, resolved))
    return [*trees, (path, tree.without("imports", "parent"))]


def _imports(tree: Node) -> list[Node]:
    imports, parent = tree.get("imports"), tree.get("parent")
    if imports is not None and parent is not None:
        raise ConfigurationError(
            "parent and imports cannot stand together", where=parent.where, remedy="Move it into imports."
        )
    if parent is not None:
        logger.warning("%s: parent is deprecated, write imports: [%s]", parent.where, parent.text)
        typed(str, parent)
        return [parent]
    if imports is None:
        return []
    typed(list[str], imports)
    return list(imports)


def _read(path: Path, cited: str) -> Node:
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            "this is not UTF-8 text", where=f"{_displayed(path)}:{line}", remedy="Save the file as UTF-8."
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {_displayed(path)} ({error.strerror})",
            where=cited,
            remedy="Paths under imports are relative to the file that writes them." if cited else "",
        ) from error
    name, folder = _displayed(path), Path(os.path.abspath(path.parent))
    tree = parsed(text, where=lambda line: f"{name}:{line}", folder=folder)
    if tree.kind != "mapping":
        raise ConfigurationError(f"a configuration is a mapping, this is {tree.described}", where=tree.where)
    return tree


def _with_suffix(path: Path) -> Path:
    """The path with `.yaml` where the file is named without it, as experimaestro allows."""
    return path if path.suffix == ".yaml" or path.exists() else path.with_name(f"{path.name}.yaml")


def _displayed(path: Path) -> str:
    return os.path.normpath(path)
