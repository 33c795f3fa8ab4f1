"""From a configuration to the folder of its job: experimaestro's own identifier, the generated paths, the inputs.

This module does not know what is done already, nor what jobs do.
"""

import contextlib
import functools
import gc
from collections.abc import Iterator
from typing import Any

from experimaestro import Task
from experimaestro.generators import PathGenerator

from xpm_ce.graph.hashing import identifier, is_configuration
from xpm_ce.workspace import JobFolder, Workspace


@contextlib.contextmanager
def many_configurations() -> Iterator[None]:
    """Make many configurations in the block: they all stay, so that looking for garbage among them is in vain."""
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collected:
            gc.enable()


def configurations_below(value: Any) -> Iterator[Any]:
    """The configurations that the arguments of one hold directly, through lists and mappings."""
    holder: Any = type(value)
    held = value.__xpm__.values if is_configuration(holder) else value
    for below in held.values() if type(held) is dict else held:
        kind: Any = type(below)
        if kind is list or kind is dict:
            yield from configurations_below(below)
        elif is_configuration(kind):
            yield below


def upstream_tasks(config: Any) -> list[Task]:
    """The tasks that a configuration takes inputs from, directly, each once."""
    found: dict[int, Task] = {}

    def walk(holder: Any) -> None:
        for below in configurations_below(holder):
            task = below.__xpm__.task
            if task is None:
                walk(below)
            else:
                found[id(task)] = task

    walk(config)
    return list(found.values())


def named(config: Any, workspace: Workspace) -> tuple[JobFolder, Any]:
    """Name a task by its identifier: fills in its generated paths; gives its folder and its output, marked as such."""
    information, value_type = config.__xpm__, type(config).__xpmtype__.value_type
    information.validate()
    # experimaestro 2.7 calls the `__validate__` of its own mixin, which does nothing, instead of the class's.
    getattr(value_type, "__validate__", lambda config: None)(config)
    _freeze(config)
    folder = workspace.job(str(information.xpmtype.identifier.name), information.identifier.all.hex())
    for name, generator in generated(information.xpmtype):
        if isinstance(generator, PathGenerator):
            information.values[name] = folder.path / generator.path
    information.task = config
    if hasattr(value_type, "task_outputs"):
        return folder, value_type.task_outputs(config, information.mark_output)
    return folder, config


@functools.cache
def generated(xpmtype: Any) -> list[tuple[str, Any]]:
    """Arguments of a type whose values are generated.

    The type's arguments become one mapping, in the same order: experimaestro keeps a chain of those of its parents, in
    which looking up an argument takes half of a plan's time.
    """
    xpmtype._arguments = dict(xpmtype.arguments)
    return [(name, each.generator) for name, each in xpmtype.arguments.items() if each.generator is not None]


def _freeze(config: Any) -> None:
    """Seal a configuration and those below, so that identifiers are computed once; fills in `default_factory`."""

    information = config.__xpm__
    if information._sealed:
        return
    for name, generator in generated(information.xpmtype):
        if information.values.get(name) is None and not isinstance(generator, PathGenerator):
            information.values[name] = generator()
    for below in configurations_below(config):
        _freeze(below)
    information._identifier, information._sealed = identifier(config), True
