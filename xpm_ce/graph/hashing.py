"""experimaestro's identifier of a configuration, from the same bytes, in less time.

Which arguments of a type enter, and in which order, is worked out once. What is not plain (types that replace others,
loops, sets, paths) is left to experimaestro, and the first configuration of every type is computed by both. This module
does not know what an identifier is used for.
"""

import functools
import hashlib
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from experimaestro import Config
from experimaestro.core.identifier import Identifier, remove_meta
from experimaestro.core.identifier import IdentifierComputer as Bytes
from experimaestro.core.objects import InstanceConfig
from experimaestro.generators import Generator

PLAIN_TYPES = frozenset({"IntType", "StrType", "FloatType", "BoolType", "PathType"})
"""Types of experimaestro that hold no configuration"""


@functools.cache
def is_configuration(kind: Any) -> bool:
    """Whether objects of a class are configurations; experimaestro's own check looks at each object."""
    return issubclass(kind, Config)


class NotPlainError(Exception):
    """The bytes of a value are left to experimaestro."""


class _Argument(NamedTuple):
    """An argument that may enter an identifier."""

    name: str
    head: bytes
    default: Any
    generated: bool
    """Whether its default stands for it until it is generated"""
    without_none: bool
    """Whether it is left out where it is None"""
    without_default: bool
    """Whether it is left out where it has its default"""


@functools.cache
def _arguments(xpmtype: Any) -> tuple[_Argument, ...] | None:
    """The arguments of a type in the order of the bytes; None for a type that is left to experimaestro."""
    found = []
    for argument in sorted(xpmtype.arguments.values(), key=lambda each: each.name):
        if argument.ignored and type(argument.type).__name__ not in PLAIN_TYPES:
            return None  # a configuration can be said to enter all the same
        if argument.ignored or isinstance(argument.generator, Generator):
            continue
        optional = not argument.constant and not argument.required and argument.default is None
        ignored = argument.ignore_default_in_identifier and argument.default is not None
        found.append(
            _Argument(
                argument.name,
                Bytes.STR_ID + argument.name.encode() + Bytes.NAME_ID,
                argument.default,
                generated=bool(argument.generator) and argument.default is not None,
                without_none=optional,
                without_default=not argument.constant and ignored,
            )
        )
    return None if xpmtype.deprecated else tuple(found)


def identifier(config: Any) -> Identifier:
    """The identifier of a configuration of which all nested ones are sealed."""
    information = config.__xpm__
    if _agrees.get(information.xpmtype) is False:
        return information.identifier
    try:
        own = Identifier(_digest(information))
    except NotPlainError:
        return information.identifier
    if information.xpmtype not in _agrees:
        _agrees[information.xpmtype] = own == information.identifier
        return information.identifier
    return own


_agrees: dict[Any, bool] = {}
"""Whether the first configuration of a type had the same identifier by both"""


def _digest(information: Any) -> bytes:
    arguments = _arguments(information.xpmtype)
    if arguments is None or information.init_tasks:
        raise NotPlainError
    parts = [Bytes.OBJECT_ID]
    task = information.task
    if task is not None and task is not information.pyobject:
        parts += [Bytes.TASK_ID, Bytes.OBJECT_ID, _sealed(task)]
    parts.append(information.xpmtype.identifier.name.encode())
    values = information.values
    for name, head, default, generated, without_none, without_default in arguments:
        if name not in values:
            raise NotPlainError  # experimaestro says what is missing
        value = values[name]
        if value is None:
            if generated:
                value = default
            elif without_none:
                continue
        if without_default and default == remove_meta(value):
            continue
        if is_configuration(value.__class__) and value.__xpm__.meta:
            continue
        parts.append(head)
        _value(value, parts)
    return hashlib.sha256(b"".join(parts)).digest()


def _sealed(config: Any) -> bytes:
    """The identifier of a nested configuration, which must be known and free of loops."""
    information = config.__xpm__
    known = information._identifier if information._sealed else None
    if known is None or known.has_loops or isinstance(config, InstanceConfig):  # instances are told apart by place
        raise NotPlainError
    return bytes(known.main)


def _value(value: Any, parts: list[bytes]) -> None:
    kind = value.__class__
    plain = _PLAIN.get(kind)
    if plain is not None:
        parts.append(plain(value))
    elif is_configuration(kind):
        parts += [Bytes.OBJECT_ID, _sealed(value)]
    elif kind is list:
        held = [each for each in value if not _is_meta(each)]
        parts.append(Bytes.LIST_ID + struct.pack("!d", len(held)))
        for each in held:
            _value(each, parts)
    elif kind is dict:
        parts.append(Bytes.DICT_ID)
        for name, each in sorted(value.items(), key=lambda item: item[0]):
            if not _is_meta(each):
                _value(name, parts)
                _value(each, parts)
    else:
        raise NotPlainError


def _is_meta(value: Any) -> bool:
    return is_configuration(value.__class__) and bool(value.__xpm__.meta)


def _integer(value: int) -> bytes:
    return Bytes.INT_ID + struct.pack("!q", value)


_PLAIN: dict[Any, Callable[[Any], bytes]] = {
    type(None): lambda _: Bytes.NONE_ID,
    float: lambda value: Bytes.FLOAT_ID + struct.pack("!d", value),
    int: _integer,
    bool: _integer,
    str: lambda value: Bytes.STR_ID + value.encode(),
}
