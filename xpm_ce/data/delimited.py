"""Big text files of columns separated by tabs or blanks: read in blocks of bytes, without a Python object a line.

In memory is one block, whatever the size of the file. This module does not know what the columns mean.
"""

import copy
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from xpm_ce.errors import DataError

BLOCK_BYTES = 1 << 22
"""Bytes that are parsed together; arrays of this size stay in a processor's cache"""
MOST_DIGITS = 18
"""Digits that int64 holds, whatever they are"""


class Block:
    """Consecutive lines of a file, blank ones and those that begin with # left out; `len` is their number."""

    def __init__(self, path: Path, columns: Sequence[str], content: bytes, *, first_line: int, least: int):
        """`content` ends with a line break; a line has at least `least` columns, DataError where one has not."""
        self.path, self._columns = path, list(columns)
        self._bytes = np.frombuffer(content, np.uint8)
        separates = self._bytes <= ord(" ")
        edges = np.flatnonzero(separates[1:] != separates[:-1]) + 1
        if not separates[0]:
            edges = np.concatenate([np.zeros(1, edges.dtype), edges])
        self._starts, self._ends = edges[0::2], edges[1::2]
        breaks = np.flatnonzero(self._bytes == ord("\n"))
        self.last_line = first_line + len(breaks) - 1
        if self._is_regular(breaks):
            self._first = np.arange(0, len(self._starts), len(columns))
            self._lines = np.arange(first_line, first_line + len(breaks))
        else:
            self._first, self._lines = self._of_irregular(breaks, first_line, least)

    def _is_regular(self, breaks: np.ndarray) -> bool:
        """Whether every line has exactly the columns, and none is a comment."""
        wide = len(self._columns)
        if len(self._starts) != wide * len(breaks):
            return False
        begin, end = self._starts[0::wide], self._ends[wide - 1 :: wide]
        return bool(
            (end <= breaks).all() and (begin[1:] > breaks[:-1]).all() and (self._bytes[begin] != ord("#")).all()
        )

    def _of_irregular(self, breaks: np.ndarray, first_line: int, least: int) -> tuple[np.ndarray, np.ndarray]:
        """(number of the first column, line number) of the lines that hold something."""
        until = np.searchsorted(self._ends, breaks, side="right")
        first = np.concatenate([np.zeros(1, until.dtype), until[:-1]])
        found = until - first
        numbers = np.arange(first_line, first_line + len(breaks))
        holds = found > 0
        holds[holds] = self._bytes[self._starts[first[holds]]] != ord("#")
        wrong = np.flatnonzero(holds & ((found < least) | (found > len(self._columns))))
        if len(wrong):
            line = wrong[0]
            begin, end = self._starts[first[line]], breaks[line]
            raise DataError(
                f"malformed line {self._bytes[begin : min(end, begin + 100)].tobytes()!r}",
                where=f"{self.path}:{numbers[line]}",
                remedy=f"A line has the columns: {' '.join(self._columns)}",
            )
        return first[holds], numbers[holds]

    def __len__(self) -> int:
        return len(self._first)

    def select(self, kept: np.ndarray) -> "Block":
        """Those lines that are kept, bool `[lines]`."""
        selected = copy.copy(self)
        selected._first, selected._lines = self._first[kept], self._lines[kept]
        return selected

    def where(self, place: int) -> str:
        """`file:line` of a line of the block."""
        return f"{self.path}:{self._lines[place]}"

    def column(self, name: str) -> np.ndarray:
        """A column as bytes of fixed width, `[lines]`."""
        starts, lengths = self._spans(name)
        if not len(starts):
            return np.empty(0, "S1")
        width = int(lengths.max())
        content = self._bytes
        if int(starts[-1]) + width > len(content):
            content = np.concatenate([content, np.zeros(width, np.uint8)])
        values = np.lib.stride_tricks.sliding_window_view(content, width)[starts]
        values[np.arange(width) >= lengths[:, None]] = 0
        return values.view(f"S{width}")[:, 0]

    def decimals(self, name: str) -> np.ndarray:
        """A column of whole numbers written without sign or leading zeros, -1 for anything else, int64 `[lines]`."""
        starts, lengths = self._spans(name)
        values, fits = np.zeros(len(starts), np.int64), lengths <= MOST_DIGITS
        fits &= (lengths == 1) | (self._bytes[starts] != ord("0"))
        for place in range(min(MOST_DIGITS, int(lengths.max(initial=0)))):
            inside = lengths > place
            digits = self._bytes[np.where(inside, starts + place, starts)] - np.uint8(ord("0"))  # wraps below "0"
            fits &= ~inside | (digits <= 9)
            values = np.where(inside, values * 10 + digits, values)
        return np.where(fits, values, -1)

    def integers(self, name: str) -> np.ndarray:
        """A column of whole numbers, int64 `[lines]`; DataError where one is none."""
        values = self.decimals(name)
        others = np.flatnonzero(values < 0)
        for place, written in zip(others.tolist(), self.column(name)[others].tolist(), strict=True):
            try:
                values[place] = int(written)
            except (ValueError, OverflowError) as error:
                raise self._wrong(name, place, written, "a whole number") from error
        return values

    def floats(self, name: str) -> np.ndarray:
        """A column of numbers that float32 can hold, float32 `[lines]`; DataError where one is none."""
        written = self.column(name)
        try:
            with np.errstate(over="ignore"):
                values = written.astype(np.float64).astype(np.float32)
        except ValueError:
            values = np.array([_float(each) for each in written.tolist()], np.float32)
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            place = int(wrong[0])
            raise self._wrong(name, place, written[place], "a number that float32 can hold")
        return values

    def _spans(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """(first byte, number of bytes) of each value of a column."""
        places = self._first + self._columns.index(name)
        starts = self._starts[places]
        return starts, self._ends[places] - starts

    def _wrong(self, name: str, place: int, written: bytes, wanted: str) -> DataError:
        return DataError(
            f"the {name} {written.decode(errors='replace')} is not {wanted}",
            where=self.where(place),
            remedy=f"A line has the columns: {' '.join(self._columns)}",
        )


def read_blocks(
    path: Path,
    columns: Sequence[str],
    *,
    least: int | None = None,
    progress: Callable[[float], object] = lambda share: None,
) -> Iterator[Block]:
    """The lines of a file, block after block; decompressed where the name ends with .gz.

    A line has all `columns`, or the first `least` of them where that is given. `progress` gets the share of the file
    that was read. DataError for a line with other columns, and for a file that is not there or is damaged.
    """
    if not path.is_file():
        raise DataError("there is no such file", where=str(path), remedy="Check the path.")
    size, line, rest = max(path.stat().st_size, 1), 1, b""
    with open(path, "rb") as raw:
        stream: io.BufferedIOBase = gzip.GzipFile(fileobj=raw) if path.name.endswith(".gz") else raw
        while True:
            content = _next_bytes(stream, path)
            whole, broken, tail = (rest + content).rpartition(b"\n")
            lines = whole + broken
            rest = tail
            if not content and rest:
                lines, rest = rest + b"\n", b""
            if lines:
                block = Block(path, columns, lines, first_line=line, least=least or len(columns))
                line = block.last_line + 1
                yield block
                progress(min(1.0, raw.tell() / size))
            if not content:
                return


def _next_bytes(stream: io.BufferedIOBase, path: Path) -> bytes:
    try:
        return stream.read(BLOCK_BYTES)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"this is no complete gzip file ({error})", where=str(path), remedy="Copy or write the file again."
        ) from error


def _float(written: bytes) -> float:
    try:
        return float(written)
    except ValueError:
        return np.nan
