"""What makes two results the same: content hashes, source fingerprints, short forms and differences.

This module does not know any particular configuration, nor experimaestro's own hashing, which it only reads.
"""

import ast
import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from xpm_ce import atomic
from xpm_ce.errors import ConfigurationError

SHORT = 8
"""Characters of an identity that people see; 8 hexadecimal digits separate 3 000 jobs with p > 0.998"""


def short(identity: str) -> str:
    """The first characters of an identity, for people."""
    return identity[:SHORT]


# -- content ------------------------------------------------------------------------------------------------


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, read in blocks; OSError where it cannot be read."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def text_sha256(parts: Iterable[str]) -> str:
    """sha256 of a sequence of texts; their borders count, so that ("ab", "c") is not ("a", "bc")."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode()
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.hexdigest()


class HashCache:
    """Remembers content hashes by (device, inode, size, mtime): a file that was not touched is not read again.

    `path` is a JSON file, rewritten atomically by `save`; an unreadable one is started anew, since it only saves time.
    """

    def __init__(self, path: Path | None = None):
        self.path, self._entries, self._changed = path, {}, False
        if path is not None and path.exists():
            try:
                self._entries = json.loads(path.read_text())
            except (OSError, ValueError):
                self._entries = {}

    def get(self, kind: str, files: list[Path], compute: Callable[[], Any]) -> Any:
        """The JSON value that `compute()` gives for `files`, computed once per content state of the files.

        `kind` names the computation, so that two computations over the same files do not share a value.
        ConfigurationError where a file is missing.
        """
        states = []
        for file in files:
            try:
                status = os.stat(file)
            except OSError as error:
                raise ConfigurationError(
                    f"cannot read {file} ({error.strerror})", remedy="Give the path of an existing file."
                ) from error
            states.append(f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}")
        key = "|".join([kind, *states])
        if key not in self._entries:
            self._entries[key], self._changed = compute(), True
        return self._entries[key]

    def sha256(self, path: Path) -> str:
        """sha256 of a file's bytes."""
        return self.get("sha256", [path], lambda: file_sha256(path))

    def save(self) -> None:
        """Write what was learnt; does nothing where nothing was, or where there is no file to keep it in."""
        if self._changed and self.path is not None:
            atomic.write_json(self.path, self._entries)
            self._changed = False


# -- source -------------------------------------------------------------------------------------------------

PACKAGE = __name__.partition(".")[0]


@functools.cache
def _source(module: str) -> tuple[str, frozenset[str]] | None:
    """(sha256 of a module's file, modules of this package that it imports anywhere); None where there is no file."""
    # By path: importlib's find_spec would import the parents, and with them torch while planning.
    place = Path(__file__).parent.joinpath(*module.split(".")[1:])
    files = [file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()]
    if not files:
        return None
    text = files[0].read_bytes()
    imported: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported.add(node.module)
            imported.update(f"{node.module}.{alias.name}" for alias in node.names)
    return hashlib.sha256(text).hexdigest(), frozenset(name for name in imported if name.split(".")[0] == PACKAGE)


@functools.cache
def source_fingerprint(module: str) -> str:
    """sha256 over the source of a module and of every module of the package that it imports, lazily or not."""
    pending, seen = [module], dict[str, str]()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        source = _source(name)
        if source is None:
            seen[name] = ""
            continue
        seen[name] = source[0]
        pending.extend(source[1])
    return text_sha256(f"{name}={digest}" for name, digest in sorted(seen.items()) if digest)
