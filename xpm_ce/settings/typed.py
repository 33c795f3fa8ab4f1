"""Nodes as typed values and experimaestro configurations, by the configuration classes' own arguments.

A class of a user's own file is treated like one of ours. This module does not know any particular class.
"""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from experimaestro import Config
from experimaestro.core.types import ArrayType, DictType, ObjectType, Type, UnionType

from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.settings.names import Classes, Tables, chosen, table_of
from xpm_ce.settings.nodes import Node, joined
from xpm_ce.settings.problems import Problems
from xpm_ce.settings.scalars import READERS as SCALARS
from xpm_ce.settings.scalars import WrongType, wrong
from xpm_ce.settings.schema import accepted, help_of, spelled

Wired = Mapping[str, Any]

NOTHING: Mapping[Any, Any] = MappingProxyType({})


def typed(
    kind: Any,
    node: Node,
    *,
    wired: Collection[str] | Wired = (),
    tables: Tables = NOTHING,
    classes: Classes = NOTHING,
) -> Any:
    """The value of a node as `kind`: a configuration class (giving `X.C(...)`) or a type like `list[int]`.

    `wired` names the arguments that the program fills in, by dotted path where they are nested; given as a
    mapping it also holds their values. `tables` and `classes` say which class `type: NAME` means (so that no
    class can have an argument named `type`). A class's `__validate__` runs once its values are set; where it
    asks for a required wired value that is not there yet, it is left to a later `validate`.

    ConfigurationError, with file and line, for unknown keys, wrong types, missing keys and what
    `__validate__` refuses; several are reported together.
    """
    values = wired if isinstance(wired, Mapping) else dict.fromkeys(wired, _LATER)
    return _value(Type.fromType(kind), node, _Context(values, tables, classes))


_LATER = object()


class _Context(NamedTuple):
    wired: Wired
    tables: Tables
    classes: Classes

    def below(self, key: str) -> "_Context":
        """What is wired below one key."""
        prefix = f"{key}."
        inner = {path.removeprefix(prefix): v for path, v in self.wired.items() if path.startswith(prefix)}
        return self._replace(wired=inner)


# -- configurations -----------------------------------------------------------------------------------------


def _configuration(type_: ObjectType, node: Node, context: _Context) -> Config:
    base = type_.originaltype
    naming = node if node.kind == "scalar" and node.value is not None else node.get("type")
    if naming is not None:
        cls = chosen(base, naming, context.tables, context.classes)
    elif node.kind != "mapping":
        raise wrong(type_, node)
    elif (table := table_of(base, context.tables)) is not None:
        raise ConfigurationError(
            f"{joined(node.path, 'type')} is missing",
            where=node.where,
            remedy=f"One of {', '.join(sorted(table))}.",
        )
    else:
        cls = base
    return _built(cls, node.without("type"), context)  # a bare name has no keys: an empty mapping


def _built(cls: Any, node: Node, context: _Context) -> Config:
    """A configuration of exactly this class from a mapping of its arguments."""
    arguments, problems = accepted(cls), Problems()
    open_ = [name for name in arguments if name not in context.wired]
    values = {name: value for name, value in context.wired.items() if name in arguments and value is not _LATER}
    for key, below in node.nodes.items():
        if key not in open_:
            problems.add(UnknownKeyError(joined(node.path, key), open_, where=below.where))
    for name in open_:
        argument, nullable = arguments[name]
        written = node.get(name)
        if written is None:
            if argument.required:
                problems.add(_missing(cls, name, node))
        elif nullable and written.value is None:
            values[name] = None
        else:
            with problems.collecting():
                values[name] = _explained(cls, name, written, context)
    problems.check()
    try:
        config = cls.C(**values)
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{node.path or cls.__name__}: {error}", where=node.where) from error
    validate(config, node, wired=context.wired)
    return config


def _explained(cls: Any, name: str, node: Node, context: _Context) -> Any:
    """The value of one argument; an error about this very value says what the argument is."""
    argument = accepted(cls)[name].argument
    try:
        return _value(argument.type, node, context.below(name))
    except WrongType as error:
        if not error.remedy and error.where == node.where and (text := help_of(argument)):
            error.remedy = f"{name}: {text}"
        raise


def validate(config: Any, node: Node, *, wired: Wired = NOTHING) -> None:
    """Run the `__validate__` of a configuration's class, on this configuration only.

    experimaestro 2.7 never does: its `ConfigMixin.__validate__`, which does nothing, comes before the class's own.
    The error points to the key of `node` that its first word names, else to `node`. A KeyError about a wired name
    without a value means that it cannot be decided yet.
    """
    cls = type(config).__xpmtype__.originaltype
    try:
        getattr(cls, "__validate__", lambda config: None)(config)
    except ConfigurationError as error:
        error.where = error.where or _place(node, error.what)
        raise
    except Exception as error:
        waiting = {path.rpartition(".")[2] for path, value in wired.items() if value is _LATER}
        if isinstance(error, KeyError) and waiting.intersection(error.args):
            return
        text = str(error) if isinstance(error, (ValueError, AssertionError)) else repr(error)
        subject = node.path or cls.__name__
        raise ConfigurationError(f"{subject}: {text or 'it is refused'}", where=_place(node, text)) from error


def _place(node: Node, text: str) -> str:
    named = node.get(text.split(" ", 1)[0].strip(":,."))
    return named.where if named is not None else node.where


def _missing(cls: Any, name: str, node: Node) -> ConfigurationError:
    argument = accepted(cls)[name].argument
    text = help_of(argument)
    return ConfigurationError(
        f"{joined(node.path, name)} is missing",
        where=node.where,
        remedy=f"{cls.__name__} needs {name} ({spelled(argument.type)}){f': {text}' if text else '.'}",
    )


# -- values -------------------------------------------------------------------------------------------------


def _value(type_: Type, node: Node, context: _Context) -> Any:
    if (scalar := SCALARS.get(type(type_))) is not None:
        return scalar(type_, node)
    if (read := _CONTAINERS.get(type(type_))) is not None:
        return read(type_, node, context)
    raise ConfigurationError(f"{node.path}: a {spelled(type_)} cannot be written in a configuration", where=node.where)


def _list(type_: Any, node: Node, context: _Context) -> list[Any]:
    if node.kind != "list":
        raise wrong(type_, node)
    problems, values = Problems(), []
    for index, item in enumerate(node):
        with problems.collecting():
            values.append(_value(type_.type, item, context.below(str(index))))
    problems.check()
    return values


def _mapping(type_: Any, node: Node, context: _Context) -> dict[str, Any]:
    if node.kind != "mapping":
        raise wrong(type_, node)
    problems, values = Problems(), {}
    for key, item in node.nodes.items():
        with problems.collecting():
            values[key] = _value(type_.valuetype, item, context.below(key))
    problems.check()
    return values


def _union(type_: Any, node: Node, context: _Context) -> Any:
    for member in type_.types:
        try:
            return _value(member, node, context)
        except WrongType:
            continue
    raise wrong(type_, node)


_CONTAINERS: dict[type, Callable[[Any, Node, _Context], Any]] = {
    ObjectType: _configuration,
    ArrayType: _list,
    DictType: _mapping,
    UnionType: _union,
}
