"""Scalars as typed values: strict, so that what is written is what is used.

An int is also a float; nothing else is converted. This module does not know configurations nor containers.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experimaestro.core.types import (
    AnyType,
    BoolType,
    EnumType,
    FloatType,
    IntType,
    NoneTypeType,
    PathType,
    StrType,
    Type,
)

from xpm_ce.errors import ConfigurationError
from xpm_ce.settings.nodes import Node
from xpm_ce.settings.schema import spelled

LARGEST = 2**63
"""Integers from here on have no identity: experimaestro packs them in 8 bytes"""


class WrongType(ConfigurationError):
    """A value that is not of its field's type."""


def wrong(type_: Type, node: Node, remedy: str = "") -> WrongType:
    """The error for a value of another type: the path, the type that was expected, what was found."""
    subject = f"{node.path}: " if node.path else ""
    return WrongType(f"{subject}expected {spelled(type_)}, got {node.described}", where=node.where, remedy=remedy)


def _integer(type_: Type, node: Node) -> int:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int):
        whole = isinstance(value, float) and value.is_integer() and abs(value) < LARGEST
        raise wrong(type_, node, f"Write {int(value):_}." if whole else _unquote(node, int))  # type: ignore[arg-type]
    if abs(value) >= LARGEST:
        raise ConfigurationError(f"{node.path}: {node.text} does not fit in 64 bits", where=node.where)
    return value


def _float(type_: Type, node: Node) -> float:
    if isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
        raise wrong(type_, node, _unquote(node, float))
    return float(node.value)


def _unquote(node: Node, number: Callable[[str], object]) -> str:
    """What to do about a number in quotes; empty where there is none."""
    try:
        number(node.text if node.quoted else "")
    except ValueError:
        return ""
    return f"Write it without quotes: {node.text}."


_YES_NO = {"yes": True, "on": True, "no": False, "off": False}


def _boolean(type_: Type, node: Node) -> bool:
    if isinstance(node.value, bool):
        return node.value
    if isinstance(node.value, str) and not node.quoted and node.value.lower() in _YES_NO:
        return _YES_NO[node.value.lower()]
    raise wrong(type_, node, "Write true or false.")


def _text(type_: Type, node: Node) -> str:
    if not isinstance(node.value, str):
        scalar = node.kind == "scalar" and node.value is not None
        raise wrong(type_, node, f'Write it in quotes: "{node.text}".' if scalar else "")
    return node.value


def _path(type_: Type, node: Node) -> Path:
    text = _text(type_, node)
    if not text:
        raise wrong(type_, node)
    return Path(os.path.normpath(node.folder / Path(text).expanduser()))


def _nothing(type_: Type, node: Node) -> None:
    if node.value is not None:
        raise wrong(type_, node)


def _member(type_: Any, node: Node) -> Any:
    for member in type_.type:
        if node.value in (member.name, member.value):
            return member
    raise wrong(type_, node)


def _anything(type_: Type, node: Node) -> Any:
    return node.plain()


READERS: dict[type, Callable[[Any, Node], Any]] = {
    IntType: _integer,
    FloatType: _float,
    BoolType: _boolean,
    StrType: _text,
    PathType: _path,
    NoneTypeType: _nothing,
    EnumType: _member,
    AnyType: _anything,
}
"""How each scalar type is read; an error about the value is a `WrongType`"""
