"""Where a user's own loss, sampler or scorer file is imported from, once.

`extensions: [./my_losses.py]` makes the configuration classes of that file usable by name. Planning imports
the content of the file; submission copies it to `<workspace>/extensions/<digest>/`, and jobs import that copy
under the same module name. The digest is in the identity of every class that the file defines: an edit gives
new identities, a moved or renamed file does not. `from .helper import ...` brings `helper.py` from beside it
into the copy and into the digest; two extensions that import the same helper have one of their own each.

While planning, torch and its like are replaced by stand-ins in these files: what they compute works in jobs
only. This package does not know what losses, samplers or scorers are.
"""

import importlib
import logging
import sys
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from experimaestro import Config

from xpm_ce import atomic
from xpm_ce.errors import ConfigurationError
from xpm_ce.extensions import sources, standins
from xpm_ce.extensions.importing import FOLDER, PACKAGE, configurations, register, search
from xpm_ce.extensions.sources import Source
from xpm_ce.settings import Node, Problems, typed

__all__ = ["Extension", "classes", "deposit", "load", "load_file", "search"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Extension:
    """A user's file, imported."""

    source: Source
    """Its content and digest"""

    module: str
    """The name under which it is imported, here and in jobs"""

    classes: Mapping[str, type[Config]]
    """Its configuration classes by qualified name, those of the siblings that it imports included"""


def load(node: Node | None) -> tuple[Extension, ...]:
    """Import the files that an `extensions:` list names; none where there is no such list.

    Paths are relative to the file that writes them. ConfigurationError, with file and line, where a file is
    missing or cannot be imported, defines a class without `__xpmid__`, or has the name of another one;
    several are reported together.
    """
    if node is None:
        return ()
    paths, problems, loaded = typed(list[Path], node), Problems(), dict[str, Extension]()
    for path, written in zip(paths, node, strict=True):
        with problems.collecting():
            extension = load_file(path, where=written.where)
            same = loaded.setdefault(path.stem, extension)
            if same.source.digest != extension.source.digest:
                raise ConfigurationError(
                    f"two different extensions are called {path.stem}",
                    where=written.where,
                    remedy="Rename one.",
                )
    problems.check()
    return tuple(loaded.values())


def load_file(path: Path, *, where: str = "") -> Extension:
    """Import one file for planning; `where` says who named it. ConfigurationError as for `load`."""
    source = sources.read(path, where=where)
    name = register(source)
    _import(name, source)
    found: dict[str, type[Config]] = {}
    for file in [*source.files.keys() - {source.name}, source.name]:
        module = sys.modules.get(f"{PACKAGE}.{source.digest}.{file}")
        found |= {cls.__qualname__: cls for cls in configurations(module)} if module else {}
    return Extension(source, name, found)


def classes(extensions: Iterable[Extension]) -> dict[str, type[Config]]:
    """The classes of some extensions as `type:` may name them, `my_losses.FocalMargin`."""
    return {f"{e.source.name}.{name}": cls for e in extensions for name, cls in e.classes.items()}


def deposit(extensions: Iterable[Extension], workspace: Path) -> None:
    """Copy the files, as they were when they were read, to where the jobs of a workspace import them from."""
    for extension in extensions:
        for name, file in extension.source.files.items():
            copy = workspace / FOLDER / extension.source.digest / f"{name}.py"
            if not (copy.is_file() and copy.read_bytes() == file.content):
                with atomic.writing(copy, "wb") as stream:
                    stream.write(file.content)


def _import(name: str, source: Source) -> None:
    """Import the module, with stand-ins where they suffice, with the real libraries where they do not."""
    with standins.standing_in() as made:
        error = _attempt(name, source)
    if error is not None and made:
        logger.info("%s is read with the real %s (%s)", name, ", ".join(made), error)
        error = _attempt(name, source)
    if error is not None:
        raise _failure(error, source) from error


def _attempt(name: str, source: Source) -> Exception | None:
    """Import the module and have its classes declared; gives the error of a failure, and undoes it."""
    try:
        for cls in configurations(importlib.import_module(name)):
            cls.__getxpmtype__().arguments  # noqa: B018  (experimaestro reads the declarations now)
    except Exception as error:
        for loaded in [loaded for loaded in sys.modules if loaded.startswith(f"{PACKAGE}.{source.digest}.")]:
            del sys.modules[loaded]
        if isinstance(error, ConfigurationError):
            raise
        return error
    return None


def _failure(error: Exception, source: Source) -> ConfigurationError:
    """Where in the user's files, and why, an import failed."""
    files = {str(file.path): file for file in source.files.values()}
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
    path, line = (frames[-1].filename, frames[-1].lineno) if frames else (next(iter(files)), 1)
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename in files:
        path, line, text = error.filename, error.lineno, f"syntax error: {error.msg}"
    remedy = ""
    if isinstance(error, ModuleNotFoundError) and error.name and Path(path).with_name(f"{error.name}.py").exists():
        remedy = f"Write `from .{error.name} import ...`: the file is then copied to the jobs too."
    return ConfigurationError(text, where=f"{sources.shown(Path(path))}:{line or 1}", remedy=remedy)
