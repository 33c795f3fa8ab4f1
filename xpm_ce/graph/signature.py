"""What a job is, flat: its own fields by dotted path, and the jobs that it takes in.

The same from a configuration that is planned and from the params.json of a job that ran. This module does not know what
a field means.
"""

import functools
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from experimaestro import Config
from experimaestro.core.objects import ConfigMixin

from xpm_ce.graph.hashing import is_configuration
from xpm_ce.identity import short
from xpm_ce.parameters import is_path, read_objects

DERIVED = frozenset({"supervision", "holds"})
"""Fields of outputs that follow from their task's"""
PLACES = ("device", "processes")
"""Fields that change no result, but the time it takes"""


class Signature(NamedTuple):
    """A job as flat fields; equal signatures of one task are the same job."""

    task: str
    """Identifier of its type"""

    fields: dict[str, Any]
    """Values that can change its result, by dotted path; a nested configuration's own path holds its class"""

    inputs: dict[str, str]
    """Identities of the jobs whose outputs it takes in, by dotted path"""

    places: dict[str, Any]
    """Where it computes, as far as it says so"""

    @property
    def items(self) -> frozenset[tuple[str, Any]]:
        """Fields and inputs."""
        return frozenset([*self.fields.items(), *self.inputs.items()])


class _Argument(NamedTuple):
    """An argument that can change a result."""

    name: str
    default: Any


@functools.cache
def _arguments(xpmtype: Any) -> tuple[_Argument, ...]:
    """Arguments of a type that enter its identity."""
    return tuple(
        _Argument(name, each.default)
        for name, each in xpmtype.arguments.items()
        if not each.ignored and not (each.generator is not None and "PathGenerator" in type(each.generator).__name__)
    )


@functools.cache
def _label(kind: Any) -> str:
    """What a class is called: its name in YAML, with the digest of the file of a user's own."""
    digest = str(kind.__dict__.get("__xpmid__", "")).partition("@")[2]
    return f"{kind.__name__}@{short(digest)}" if digest else str(getattr(kind, "NAME", None) or kind.__name__)


# -- from configurations ------------------------------------------------------------------------------------


def signature_of(config: Any) -> Signature:
    """What a named task is."""
    information = config.__xpm__
    fields: dict[str, Any] = {}
    inputs: dict[str, str] = {}

    def of(path: str, value: Any) -> None:
        kind: Any = type(value)
        if kind is list or kind is dict:
            _parts(path, value, of, fields, is_configuration)
        elif not is_configuration(kind):
            fields[path] = _plain(value)
        else:
            task = value.__xpm__.task
            if task is None:
                fields[path] = _label(kind.__xpmtype__.value_type)
                below(f"{path}.", value)
                return
            inputs[path] = task.__xpm__.identifier.all.hex()
            if task is not value:
                for name, _ in _arguments(value.__xpm__.xpmtype):
                    own = value.__xpm__.values.get(name)
                    if name not in DERIVED and not _holds(own, is_configuration):
                        fields[f"{path}.{name}"] = _plain(own)

    def below(prefix: str, holder: Any) -> None:
        values = holder.__xpm__.values
        for name, _ in _arguments(holder.__xpm__.xpmtype):
            of(prefix + name, values.get(name))

    below("", config)
    places = {name: information.values[name] for name in PLACES if name in information.values}
    return Signature(str(information.xpmtype.identifier.name), fields, inputs, places)


# -- from params.json ---------------------------------------------------------------------------------------


def signatures_in(folder: Path) -> dict[str, Signature]:
    """What the job in a folder is, and what the jobs are that it took something from, by identity.

    From its params.json; nothing where that is not there.
    """
    objects = {each["id"]: each for each in read_objects(folder)}
    return {
        each["identifier"]: _of_object(each, objects) for each in objects.values() if each.get("task") == each["id"]
    }


def _of_object(task: Mapping[str, Any], objects: Mapping[int, Mapping[str, Any]]) -> Signature:
    fields: dict[str, Any] = {}
    inputs: dict[str, str] = {}

    def of(path: str, value: Any) -> None:
        reference = _reference(value)
        if reference is None:
            if isinstance(value, list) or (isinstance(value, Mapping) and "type" not in value):
                _parts(path, value, of, fields, None)
            else:
                fields[path] = _plain(value)
            return
        entry = objects[reference]
        if "task" not in entry:
            fields[path] = _label_of(entry)
            below(f"{path}.", entry)
            return
        inputs[path] = objects[entry["task"]]["identifier"]
        if entry["task"] != entry["id"]:
            for name, own in _values(entry):
                if name not in DERIVED and not _holds(own, None):
                    fields[f"{path}.{name}"] = _plain(own)

    def below(prefix: str, entry: Mapping[str, Any]) -> None:
        for name, value in _values(entry):
            of(prefix + name, value)

    below("", task)
    places = {name: task["fields"][name] for name in PLACES if name in task["fields"]}
    return Signature(_task_of(task), fields, inputs, places)


def _values(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields of an object that enter its identity: all but paths where its class is unknown here."""
    given, kind = entry.get("fields", {}), _class(entry["module"], entry["type"])
    if kind is None:
        yield from ((name, value) for name, value in given.items() if not is_path(value))
        return
    for name, default in _arguments(kind.__getxpmtype__()):
        yield name, given.get(name, default)  # an argument that is younger than the job has its default


@functools.cache
def _class(module: str, name: str) -> Any:
    """A configuration class of the package, wherever it stands today; None for another, whose code is not imported."""
    if not module.startswith("xpm_ce.") or _digest(module):
        return None
    try:
        return getattr(importlib.import_module(module), name, None) or _loaded_classes().get(name)
    except ImportError:
        return _loaded_classes().get(name)


@functools.cache
def _loaded_classes() -> dict[str, Any]:
    """The configuration classes of the package by name, for jobs of an earlier version, where they stood elsewhere."""
    found: dict[str, Any] = {}
    pending: list[Any] = [Config]
    while pending:
        for each in pending.pop().__subclasses__():
            pending.append(each)
            if each.__module__.startswith("xpm_ce.") and not issubclass(each, ConfigMixin):
                found[each.__name__] = each
    return found


def _digest(module: str) -> str:
    """The digest in the name of a module that was made of a user's own file; empty for others."""
    found = re.match(r"xpm_ce\.extensions\.([0-9a-f]{8,})\.", module)
    return found[1] if found else ""


def _label_of(entry: Mapping[str, Any]) -> str:
    kind, digest = _class(entry["module"], entry["type"]), _digest(entry["module"])
    if kind is not None:
        return _label(kind)
    return f"{entry['type']}@{short(digest)}" if digest else str(entry["type"])


def _task_of(entry: Mapping[str, Any]) -> str:
    kind = _class(entry["module"], entry["type"])
    return str(kind.__getxpmtype__().identifier.name) if kind is not None else str(entry["typename"]).lower()


# -- values -------------------------------------------------------------------------------------------------


def _parts(
    path: str, value: Any, of: Callable[[str, Any], None], fields: dict[str, Any], known: Callable[[type], bool] | None
) -> None:
    """A list or a mapping: looked into where it holds configurations, a value otherwise."""
    if not _holds(value, known):
        fields[path] = _plain(value)
        return
    entries: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, Mapping) else enumerate(value)
    for name, each in entries:
        of(f"{path}.{name}", each)


def _holds(value: Any, known: Callable[[type], bool] | None) -> bool:
    """Whether a value is a configuration, or a list or mapping of them."""
    if known(type(value)) if known is not None else _reference(value) is not None:
        return True
    if isinstance(value, Mapping):
        return any(_holds(each, known) for each in value.values())
    return isinstance(value, (list, tuple)) and any(_holds(each, known) for each in value)


def _reference(value: Any) -> int | None:
    """The object of a params.json that a value stands for."""
    return value["value"] if isinstance(value, Mapping) and value.get("type") == "python" else None


def _plain(value: Any) -> Any:
    """A value that can be compared, hashed and written as JSON."""
    kind = type(value)
    if kind in (str, int, float, bool) or value is None:
        return value
    if isinstance(value, Mapping):
        if value.get("type") == "enum":
            return str(value["value"])
        return tuple((str(name), _plain(each)) for name, each in sorted(value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(_plain(each) for each in value)
    return str(getattr(value, "name", value))
