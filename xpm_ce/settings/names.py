"""Which class a `type: NAME` means: one of a table of ours, or one of the user's own.

Tables name their classes by text, so that nothing is imported before it is chosen. This module does not know
what any table holds, nor where a user's classes come from.
"""

import importlib
import re
from collections.abc import Mapping
from typing import Any

from experimaestro import Config

from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.settings.nodes import Node

Tables = Mapping[type | str, Mapping[str, str]]
"""For each family, by its class or its `__xpmid__`: `{NAME: "module.Class"}`"""

Classes = Mapping[str, type[Config]]
"""The user's own classes, by `module.Class`, the module being the name of the file"""


def table_of(base: type, tables: Tables) -> Mapping[str, str] | None:
    """The table of the nearest ancestor of `base` that has one."""
    for ancestor in base.__mro__:
        for key in (ancestor, ancestor.__dict__.get("__xpmid__")):
            if key is not None and key in tables:
                return tables[key]
    return None


def chosen(base: type[Config], node: Node, tables: Tables, classes: Classes) -> type[Config]:
    """The class that the text of `node` names where a `base` is wanted.

    It is a name of the family's table, the NAME or the class name of one of the user's classes, or a dotted
    path (`module.Class`, `module:Class`) of one of these or of an installed package's.
    ConfigurationError where there is no such class, where there are several, or where it is no `base`.
    """
    name = node.value
    if not isinstance(name, str):
        raise ConfigurationError(f"{node.path}: expected a name, got {node.described}", where=node.where)
    table, dotted = table_of(base, tables) or {}, name.replace(":", ".")
    called = {path: cls for path, cls in classes.items() if name in (_name(cls), cls.__name__)}
    fitting = {path: cls for path, cls in called.items() if issubclass(cls, base)}
    if dotted in classes:
        found: Any = classes[dotted]
    elif len(fitting) + (name in table) > 1:
        paths = sorted([*fitting, *([table[name]] if name in table else [])])
        raise ConfigurationError(
            f"{node.path}: {name} is the name of {' and of '.join(paths)}",
            where=node.where,
            remedy="Rename one, or write the whole path of yours.",
        )
    elif name in table:
        found = _imported(table[name].replace(":", "."), node)
    elif called:
        found = next(iter((fitting or called).values()))
    else:
        found = _installed(base, node, table, classes)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ConfigurationError(
            f"{node.path}: {name} is {_what(found, tables)}, not a {base.__name__}", where=node.where
        )
    return found


def _installed(base: type[Config], node: Node, table: Mapping[str, str], classes: Classes) -> Any:
    """What a dotted path means that is none of the user's classes: something of an installed package."""
    module, _, _ = str(node.value).replace(":", ".").rpartition(".")
    below = [path.rpartition(".")[2] for path in classes if path.rpartition(".")[0] == module]
    if not module or below:
        mine = [_name(cls) for cls in classes.values() if issubclass(cls, base)]
        valid = below or [*table, *mine]
        if not valid:
            raise ConfigurationError(
                f"{node.path}: expected a mapping ({base.__name__}), got {node.described}", where=node.where
            )
        raise UnknownKeyError(str(node.value), valid, where=node.where, kind=_words(base))
    found = _imported(f"{module}.{str(node.value)[len(module) + 1 :]}", node)
    if not importlib.import_module(module).__package__:
        raise ConfigurationError(
            f"{node.path}: {module} is a single file, whose changes no identity would notice",
            where=node.where,
            remedy="List its path under extensions.",
        )
    return found


def _imported(dotted: str, node: Node) -> Any:
    module, _, name = dotted.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"{node.path}: cannot import {dotted} ({error})", where=node.where) from error


def _name(cls: type) -> str:
    """The NAME of a class that has one of its own, else its class name."""
    return str(cls.__dict__.get("NAME", cls.__name__))


def _what(found: Any, tables: Tables) -> str:
    """What something is, by the family that it belongs to."""
    if not isinstance(found, type):
        return f"a Python {type(found).__name__}"
    families = [a for a in found.__mro__ if a in tables or a.__dict__.get("__xpmid__") in tables]
    parents = [a for a in found.__mro__[1:] if a not in (Config, object)]
    return f"a {(families or parents or [found])[0].__name__}"


def _words(cls: type) -> str:
    """`LossWeight` as `loss weight`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", cls.__name__).lower()
