"""What a configuration class accepts: its own experimaestro arguments, as rows that people and programs read.

There is no second declaration of any field. This module does not know YAML nor any particular class.
"""

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple, get_args, get_type_hints

from experimaestro.core.arguments import Argument
from experimaestro.core.types import (
    AnyType,
    ArrayType,
    BoolType,
    DictType,
    EnumType,
    FloatType,
    IntType,
    NoneTypeType,
    ObjectType,
    PathType,
    SetType,
    StrType,
    Type,
    UnionType,
)
from experimaestro.generators import Generator
from experimaestro.typingutils import get_optional


class Field(NamedTuple):
    """One key that a mapping may hold for a class."""

    name: str
    """The key"""

    type: str
    """Its type in words: `int`, `list of str`, `Loss`"""

    default: Any
    """The value it has where it is not written; None where it is required, or where None is the default"""

    help: str
    """The one-line documentation under the field"""

    required: bool
    """Whether it must be written"""

    identity: bool
    """Whether its value changes the identity (Param) or not (Meta)"""


class Accepted(NamedTuple):
    """An argument that may be written, and whether `null` is one of its values."""

    argument: Argument
    nullable: bool


@functools.cache
def accepted(cls: Any) -> dict[str, Accepted]:
    """The arguments of a class that may be written, by name: neither constants nor generated paths."""
    return {
        name: Accepted(argument, _nullable(argument))
        for name, argument in cls.__getxpmtype__().arguments.items()
        if not argument.constant and not isinstance(argument.generator, Generator)
    }


def _nullable(argument: Argument) -> bool:
    """Whether the annotation is `Optional`; experimaestro only keeps whether an argument is required."""
    if argument.required:
        return False
    if argument.default is None and argument.generator is None:
        return True
    owner = argument.objecttype.originaltype
    annotated = get_type_hints(owner, include_extras=True)[argument.name]
    return get_optional(get_args(annotated)[0]) is not None


def fields(cls: Any, wired: Iterable[str] = ()) -> list[Field]:
    """The keys that a mapping may hold for a class, in the order of declaration, parents first.

    `wired` names the arguments that the program fills in.
    """
    return [
        Field(
            name,
            spelled(argument.type),
            argument.generator() if argument.default is None and argument.generator else argument.default,
            help_of(argument),
            argument.required,
            identity=not argument.ignored,
        )
        for name, (argument, _) in accepted(cls).items()
        if name not in set(wired)
    ]


def help_of(argument: Argument) -> str:
    """The documentation string under a field, on one line; empty where there is none, or no source."""
    try:
        return " ".join((argument.help or "").split())
    except (OSError, TypeError):
        return ""


_WORDS = {
    IntType: "int",
    FloatType: "float",
    BoolType: "bool",
    StrType: "str",
    PathType: "path",
    AnyType: "anything",
}


def spelled(type_: Type) -> str:
    """A type in words."""
    if isinstance(type_, ObjectType):
        return type_.originaltype.__name__
    if isinstance(type_, ArrayType):
        return f"list of {spelled(type_.type)}"
    if isinstance(type_, SetType):
        return f"set of {spelled(type_.type)}"
    if isinstance(type_, DictType):
        return f"mapping to {spelled(type_.valuetype)}"
    if isinstance(type_, EnumType):
        return f"one of {', '.join(member.name for member in type_.type)}"
    if isinstance(type_, UnionType):
        return " or ".join(spelled(member) for member in type_.types)
    if isinstance(type_, NoneTypeType):
        return "nothing"
    return _WORDS.get(type(type_), str(type_.name()))
