"""What stands in for torch and its like while a user's file is read for planning, so that they stay unloaded.

Imports, annotations, decorators and base classes get an empty object that accepts them. Whatever needs a
value (arithmetic, a condition, a version) raises, so that the file is then read with the real library
instead. This module does not know the user's files.
"""

import builtins
import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from types import ModuleType
from typing import Any

HEAVY = frozenset(
    [
        *("accelerate", "flash_attn", "lightning", "peft", "pytorch_lightning", "safetensors"),
        *("sentence_transformers", "tensorflow", "tokenizers", "torch", "torchvision", "transformers"),
        *("triton", "xpm_torch", "xpmir"),
    ]
)
"""Top-level packages that planning does not load"""


class NeedsTheRealOne(TypeError):
    """A stand-in was asked for a value."""


class StandIn(ModuleType):
    """An absent module, or anything reached through it by its dotted name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{self.__name__}.{name} is not known while planning")
        found = StandIn(f"{self.__name__}.{name}")
        setattr(self, name, found)
        return found

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Used as a decorator it returns what it decorates, otherwise itself."""
        decorated = arguments[0] if len(arguments) == 1 and not named else None
        return decorated if callable(decorated) and not isinstance(decorated, StandIn) else self

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        base = self.__dict__.get("_base")
        if base is None:
            base = self.__dict__["_base"] = type(self.__name__.rpartition(".")[2], (), {})
        return (base,)

    def __getitem__(self, item: Any) -> "StandIn":
        return self

    def __or__(self, other: Any) -> "StandIn":
        return self

    __ror__ = __or__

    def __bool__(self) -> bool:
        raise NeedsTheRealOne(f"the value of {self.__name__} is not known while planning")

    def __str__(self) -> str:
        return str(bool(self))

    def __eq__(self, other: object) -> bool:
        # typing compares annotations with its own objects; a comparison with a value asks for ours
        return bool(self) if isinstance(other, (str, bytes, int, float, tuple, list)) else self is other

    __hash__ = ModuleType.__hash__
    __iter__ = None
    __contains__ = None


_made: ContextVar[dict[str, StandIn] | None] = ContextVar("stand_ins", default=None)


@contextlib.contextmanager
def standing_in() -> Iterator[dict[str, StandIn]]:
    """Give stand-ins, inside the block, to the modules that `import_` serves; gives those that it made.

    A heavy package that is already loaded, or is not installed, has none.
    """
    made: dict[str, StandIn] = {}
    token = _made.set(made)
    try:
        yield made
    finally:
        _made.reset(token)


def in_use() -> bool:
    """Whether stand-ins are being given."""
    return _made.get() is not None


def import_(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """What an import statement calls, for a module that has this as the `__import__` of its builtins.

    Only that module's own statements see stand-ins: `sys.modules` is left alone, so that whatever else it
    imports gets the real library, and so does every import after the block (inside functions that run later).
    """
    made, (top, _, below) = _made.get(), name.partition(".")
    real = made is None or level or top not in HEAVY or top in sys.modules
    if made is None or real or importlib.util.find_spec(top) is None:
        return builtins.__import__(name, globals, locals, fromlist, level)
    found: Any = made.setdefault(top, StandIn(top))
    for part in below.split(".") if fromlist and below else ():
        found = getattr(found, part)
    return found
