"""How a user's file becomes a module: `xpm_ce.extensions.<digest>.<name>`, executed once per process.

While planning, its content is what `sources.read` read; in a job, the copy in the workspace. The digest is in
the module's name, so that two contents of one file name never meet, and it is put into the identity of every
configuration class that the file defines. This module does not know which files a configuration lists.
"""

import builtins
import importlib.machinery
import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from experimaestro import Config, taskglobals
from experimaestro.core.objects import ConfigMixin
from experimaestro.core.types import Identifier

from xpm_ce.errors import ConfigurationError
from xpm_ce.extensions import sources, standins
from xpm_ce.extensions.sources import DIGITS, File, Source

PACKAGE = __name__.rpartition(".")[0]

FOLDER = "extensions"
"""The folder of a workspace that holds the copies: `extensions/<digest>/<name>.py`"""

VARIABLE = "XPM_CE_EXTENSIONS"
"""Environment variable: further such folders, separated like PATH"""

_read: dict[str, Source] = {}


def register(source: Source) -> str:
    """Make a content importable in this process; gives the name of its module."""
    known = _read.get(source.digest)
    files = {**known.files, **source.files} if known else source.files
    _read[source.digest] = Source(source.name, source.digest, files)
    return f"{PACKAGE}.{source.digest}.{source.name}"


def search(workspace: Path) -> None:
    """Make the copies of a workspace importable, in this process and in those that it starts."""
    folders = [folder for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]
    folder = str(workspace.absolute() / FOLDER)
    if folder not in folders:
        os.environ[VARIABLE] = os.pathsep.join([*folders, folder])


def configurations(module: ModuleType) -> Iterator[type[Config]]:
    """The configuration classes that a module defines, nested ones included."""
    pending, seen = [vars(module)], set()
    while pending:
        for value in list(pending.pop().values()):
            if isinstance(value, type) and value.__module__ == module.__name__ and value not in seen:
                seen.add(value)
                pending.append(dict(vars(value)))
                if issubclass(value, Config) and not issubclass(value, ConfigMixin):
                    yield value


class _Finder(MetaPathFinder):
    """Finds `xpm_ce.extensions.<digest>` and the modules below it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        match = re.fullmatch(rf"{re.escape(PACKAGE)}\.([0-9a-f]{{{DIGITS}}})(?:\.(\w+))?", fullname)
        if match is None:
            return None
        digest, name = match.groups()
        if name is None:
            return importlib.machinery.ModuleSpec(fullname, _Folder(), is_package=True)
        file = _file(digest, name)
        loader = _Loader(fullname, digest, file)
        return importlib.util.spec_from_file_location(fullname, file.path, loader=loader)


def _file(digest: str, name: str) -> File:
    """The file of a module: as it was read here, or as it was copied for the jobs."""
    if digest in _read and name in _read[digest].files:
        return _read[digest].files[name]
    workspace = taskglobals.Env.instance().wspath
    if workspace is not None:
        # A job knows its workspace from params.json; processes that it spawns know the environment only.
        search(workspace)
    folders = [folder for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]
    for folder in folders:
        path = Path(folder) / digest / f"{name}.py"
        if path.is_file():
            return File(path, path.read_bytes())
    raise ModuleNotFoundError(
        f"no copy of the extension {name} ({digest}) in {', '.join(folders) or 'any workspace'}; "
        "running the experiment again restores it",
        name=f"{PACKAGE}.{digest}.{name}",
    )


class _Folder(Loader):
    """Loads the package of one content, which is empty; its modules come from the finder."""

    def exec_module(self, module: ModuleType) -> None:
        module.__path__ = []


class _Loader(importlib.machinery.SourceFileLoader):
    """Executes the content that was hashed (no bytecode cache, no second reading), then marks its classes."""

    def __init__(self, fullname: str, digest: str, file: File):
        super().__init__(fullname, str(file.path))
        self.digest, self.file = digest, file

    def get_code(self, fullname: str) -> Any:
        return self.source_to_code(self.file.content, self.path)

    def exec_module(self, module: ModuleType) -> None:
        if standins.in_use():
            vars(module)["__builtins__"] = {**vars(builtins), "__import__": standins.import_}
        super().exec_module(module)
        _mark(module, self.digest, self.file)


def _mark(module: ModuleType, digest: str, file: File) -> None:
    """Put the digest into the `__xpmid__` of every configuration class; refuse a class without its own."""
    named: dict[str, type] = {}
    for cls in configurations(module):
        given = cls.__dict__.get("__xpmid__")
        if not isinstance(given, str) or not given:
            raise ConfigurationError(
                f"{cls.__qualname__} has no __xpmid__ of its own",
                where=_where(cls, file),
                remedy='Write one under its docstring, for example: __xpmid__ = "yourname.focal_margin"',
            )
        if (other := named.setdefault(given.lower(), cls)) is not cls:
            raise ConfigurationError(
                f"{cls.__qualname__} has the __xpmid__ of {other.__qualname__}",
                where=_where(cls, file),
                remedy="Give each class its own.",
            )
        cls.__xpmid__ = f"{given}@{digest}"
        if "__xpmtype__" in cls.__dict__:  # asked for while the file was executed, by a default value
            cls.__xpmtype__.identifier = Identifier(cls.__xpmid__)


def _where(cls: type, file: File) -> str:
    return f"{sources.shown(file.path)}:{sources.lines(file).get(cls.__qualname__, 1)}"


if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
    sys.meta_path.append(_Finder())
