"""YAML text as a tree of nodes: which line, which spelling, no key twice.

A plain scalar is read as YAML 1.2 does (1e-4 is a number; yes, on, 010 and 12:30 are text), with underscores
in numbers. This module does not know files, merging, nor any field of an experiment.
"""

import re
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import yaml

from xpm_ce.errors import ConfigurationError
from xpm_ce.settings.nodes import Node, Scalar, joined

TAG = "tag:yaml.org,2002:"


class _Composer(yaml.SafeLoader):
    """PyYAML's parser with our own resolvers: PyYAML's are YAML 1.1, where `no` is false and 1e-4 is text."""

    yaml_implicit_resolvers: dict = {}


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9_]*)|0x[0-9a-fA-F_]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?((0|[1-9][0-9_]*)(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
    ("merge", r"<<", ["<"]),
):
    _Composer.add_implicit_resolver(TAG + _tag, re.compile(f"^(?:{_pattern})$"), _first)


def _number(text: str) -> float:
    word = text.replace("_", "").lower()
    return float(word.replace(".inf", "inf").replace(".nan", "nan"))


_SCALARS: dict[str, Callable[[str], Scalar]] = {
    "null": lambda text: None,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
    "int": lambda text: int(text.replace("_", ""), 16 if text.startswith("0x") else 10),
    "float": _number,
    "str": str,
}


def parsed(text: str, *, where: Callable[[int], str], folder: Path) -> Node:
    """The tree of a YAML text; `where(line)`, lines from 1, says what errors about a line point to.

    An empty text is an empty mapping. ConfigurationError where the text is malformed, a key stands twice in
    one mapping, or a tag means nothing here.
    """
    try:
        top = yaml.compose(text, Loader=_Composer)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        context = f" ({error.context})" if error.context else ""
        if error.context and error.context_mark and mark and error.context_mark.line != mark.line:
            context = f" ({error.context} that begins on line {error.context_mark.line + 1})"
        raise ConfigurationError(
            f"malformed YAML: {error.problem or 'it cannot be parsed'}{context}",
            where=where(mark.line + 1 if mark else 1),
        ) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigurationError(
            f"malformed YAML: character U+{error.character:04X} is not allowed", where=where(line)
        ) from error
    if top is None:
        return Node(MappingProxyType({}), where(1), "", folder)
    return _Builder(where, folder).node(top, "")


class _Builder:
    """Turns what PyYAML composed into nodes; remembers which aliases it stands in."""

    def __init__(self, where: Callable[[int], str], folder: Path):
        self.where, self.folder, self.inside = where, folder, set[int]()

    def place(self, composed: yaml.Node) -> str:
        return self.where(composed.start_mark.line + 1)

    def node(self, composed: yaml.Node, path: str) -> Node:
        place = self.place(composed)
        if id(composed) in self.inside:
            raise ConfigurationError(f"{path}: an alias contains itself", where=place)
        self.inside.add(id(composed))
        try:
            if isinstance(composed, yaml.MappingNode) and composed.tag == TAG + "map":
                return Node(MappingProxyType(self.mapping(composed, path)), place, path, self.folder)
            if isinstance(composed, yaml.SequenceNode) and composed.tag == TAG + "seq":
                items = [self.node(item, joined(path, index)) for index, item in enumerate(composed.value)]
                return Node(tuple(items), place, path, self.folder)
            return self.scalar(composed, path)
        finally:
            self.inside.discard(id(composed))

    def scalar(self, composed: yaml.Node, path: str) -> Node:
        place, read = self.place(composed), _SCALARS.get(composed.tag.removeprefix(TAG))
        if not isinstance(composed, yaml.ScalarNode) or read is None:
            tag = composed.tag.replace(TAG, "!!")
            raise ConfigurationError(
                f"{path or 'the document'}: the tag {tag} means nothing here",
                where=place,
                remedy="Remove it.",
            )
        try:
            value = read(composed.value)
        except (ValueError, KeyError) as error:
            tag = composed.tag.replace(TAG, "!!")
            raise ConfigurationError(
                f"{path or 'the document'}: {composed.value!r} is not {tag}", where=place
            ) from error
        quoted = isinstance(value, str) and bool(composed.style or composed.value == "")
        return Node(value, place, path, self.folder, text=composed.value, quoted=quoted)

    def mapping(self, composed: yaml.MappingNode, path: str) -> dict[str, Node]:
        """The nodes of a mapping by key; what `<<: *anchor` brings is under the mapping's own keys."""
        own: dict[str, Node] = {}
        brought: dict[str, Node] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in composed.value:
            place = self.place(key_node)
            if key_node.tag == TAG + "merge":
                many = isinstance(value_node, yaml.SequenceNode)
                for source in value_node.value if many else [value_node]:
                    if not isinstance(source, yaml.MappingNode):
                        raise ConfigurationError(f"{path or 'the document'}: << needs a mapping", where=place)
                    brought = {**self.node(source, path).nodes, **brought}
                continue
            if not isinstance(key_node, yaml.ScalarNode) or not key_node.value:
                raise ConfigurationError(f"{path or 'the document'}: a key must be a word", where=place)
            key = key_node.value
            if key in own:
                raise ConfigurationError(
                    f"duplicate key {joined(path, key)}",
                    where=place,
                    remedy=f"It is already set on line {lines[key]}; keep one of the two.",
                )
            lines[key] = key_node.start_mark.line + 1
            own[key] = self.node(value_node, joined(path, key))
        return {**brought, **own}
