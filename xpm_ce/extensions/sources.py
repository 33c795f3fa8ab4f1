"""The content of a user's file and of the siblings that it imports: what is hashed, copied and imported.

This module does not know Python's import machinery, nor what the files define.
"""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from xpm_ce.errors import ConfigurationError
from xpm_ce.identity import text_sha256

DIGITS = 16
"""Hexadecimal digits of a content hash that name a folder and enter identities: 64 bits"""


class File(NamedTuple):
    """One Python file as it was when it was read."""

    path: Path
    content: bytes


@dataclass(frozen=True)
class Source:
    """A user's file with the siblings that it imports, directly or not; read only once."""

    name: str
    """Name of the file without `.py`"""

    digest: str
    """First digits of the file's sha256; the siblings' are mixed in where there are any"""

    files: Mapping[str, File]
    """The file and its siblings, by module name"""


def read(path: Path, *, where: str = "") -> Source:
    """Read a file and, for each `from .name import ...` or `from . import name` in it, `name.py` beside it.

    ConfigurationError, with file and line, where a file is missing or not Python; `where` says who named it.
    """
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise ConfigurationError(
            f"an extension is a Python file with a plain name, not {shown(path)}",
            where=where,
            remedy="Name it like my_losses.py, in letters, digits and underscores.",
        )
    files: dict[str, File] = {}
    pending = [(path.stem, where)]
    while pending:
        name, cited = pending.pop()
        if name not in files:
            files[name] = _file(path.with_name(f"{name}.py"), cited)
            pending += _siblings(files[name])
    hashes = {name: hashlib.sha256(file.content).hexdigest() for name, file in files.items()}
    digest = hashes.pop(path.stem)
    if hashes:
        digest = text_sha256([digest, *(f"{name}={value}" for name, value in sorted(hashes.items()))])
    return Source(path.stem, digest[:DIGITS], files)


def shown(path: Path) -> str:
    """A path as messages show it: relative where it is below the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def lines(file: File) -> dict[str, int]:
    """The line of each class of a file, by its qualified name."""

    def below(node: ast.AST, prefix: str) -> Iterator[tuple[str, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                yield f"{prefix}{child.name}", child.lineno
                yield from below(child, f"{prefix}{child.name}.")
            elif not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                yield from below(child, prefix)

    return dict(below(ast.parse(file.content), ""))


def _file(path: Path, cited: str) -> File:
    try:
        return File(path, path.read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {shown(path)} ({error.strerror})",
            where=cited,
            remedy="Extensions, and what they import with a dot, are single files beside each other.",
        ) from error


def _siblings(file: File) -> Iterator[tuple[str, str]]:
    """(name, file:line) of every module that a file imports relatively, at its top or inside a function."""
    try:
        tree = ast.parse(file.content)
    except (SyntaxError, ValueError) as error:  # null bytes are the one or the other, depending on the version
        text, line = getattr(error, "msg", str(error)), getattr(error, "lineno", None) or 1
        raise ConfigurationError(f"syntax error: {text}", where=f"{shown(file.path)}:{line}") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            where = f"{shown(file.path)}:{node.lineno}"
            if node.level > 1:
                raise ConfigurationError(
                    f"an extension cannot import from {'.' * node.level}{node.module or ''}",
                    where=where,
                    remedy="Only files beside it are copied to jobs: move it there, or install a package.",
                )
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from ((name, where) for name in names)
