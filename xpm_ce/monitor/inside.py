"""Files below one folder and nowhere else: what leads out of it, by dots or by a link, is refused before it is opened.

This module does not know what the files hold.
"""

import codecs
import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from xpm_ce.errors import DataError


class Inside:
    """The files below a folder; the folder itself may be reached through links."""

    def __init__(self, root: Path):
        self.root = Path(os.path.realpath(root))
        self._above = os.path.join(self.root, "")
        """The root as what the paths below it begin with"""

    def path(self, path: Path) -> Path:
        """The real path of a file or folder; DataError where it lies elsewhere."""
        real = os.path.realpath(path)
        if not self._contains(real):
            raise DataError(
                f"{path.name} leads out of the workspace",
                where=str(path),
                remedy="The monitor reads nothing outside of the workspace: put the file itself there, not a link.",
            )
        return Path(real)

    def holds(self, path: Path) -> bool:
        """Whether a path stays below the folder."""
        return self._contains(os.path.realpath(path))

    def _contains(self, real: str) -> bool:
        return real.startswith(self._above) or real == str(self.root)

    def folder(self, path: Path) -> Path:
        """The real path of a folder that holds no link; DataError for another."""
        real = self.path(path)
        try:
            with os.scandir(real) as entries:
                links = [entry.name for entry in entries if entry.is_symlink()]
        except OSError as error:
            raise DataError(f"this folder cannot be read ({error.strerror})", where=str(path)) from error
        if links:
            raise DataError(
                f"{links[0]} is a link", where=str(path), remedy="The monitor follows none: put the file itself there."
            )
        return real

    def _opened(self, path: Path) -> BinaryIO:
        """A plain file, open; OSError for anything else: a pipe would keep its reader waiting."""
        stream = open(os.open(self.path(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")  # noqa: SIM115
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            stream.close()
            raise OSError(errno.EINVAL, "no plain file", str(path))
        return stream

    def tail(self, path: Path, count: int) -> tuple[str, int]:
        """The last `count` bytes of a text file from a line's beginning, and the file's size; ("", 0) where none is.

        DataError where it lies elsewhere.
        """
        try:
            with self._opened(path) as stream:
                size = os.fstat(stream.fileno()).st_size
                first = max(0, size - count)
                stream.seek(first)
                content = stream.read(count)
        except OSError:
            return "", 0
        if first:
            content = content.partition(b"\n")[2] or content
        return content.decode("utf-8", errors="replace"), size

    def from_offset(self, path: Path, offset: int, count: int) -> tuple[str, int]:
        """At most `count` bytes of a text file from an offset, whole characters, and the offset after them."""
        try:
            with self._opened(path) as stream:
                if offset > os.fstat(stream.fileno()).st_size:
                    offset = 0  # written anew
                stream.seek(offset)
                content = stream.read(count)
        except OSError:
            return "", 0
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(content)
        return text, offset + len(content) - len(decoder.getstate()[0])
