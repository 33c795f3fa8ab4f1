"""The files of a token store, read through memory maps.

A folder holds, for n documents of m tokens:

    tokens.json    schema, documents (n), tokens (m), type (uint16 or int32)
    ids.bin        token ids, one document after the other, without special tokens
    offsets.npy    int64 [n + 1], the ids of row i are offsets[i] to offsets[i + 1]

This module does not know the tokenizer.
"""

import json
from pathlib import Path

import numpy as np

from xpm_ce.errors import DataError
from xpm_ce.tokens.sequences import Ragged

SCHEMA = 1
DESCRIPTION, IDS, OFFSETS = "tokens.json", "ids.bin", "offsets.npy"


class StoredTokens:
    """The documents of a token store: `len`, `rows(rows)`, `text(row)`."""

    def __init__(self, path: Path):
        try:
            description = json.loads((path / DESCRIPTION).read_text(encoding="utf-8"))
            offsets = np.asarray(np.load(path / OFFSETS, mmap_mode="r"))
            kind = np.dtype(description["type"])
            size = (path / IDS).stat().st_size
            # an empty file cannot be mapped
            ids = np.asarray(np.memmap(path / IDS, kind, "r")) if size else np.empty(0, kind)
            found = (description["schema"], len(offsets) - 1, int(offsets[-1]), size)
            if found != (SCHEMA, description["documents"], len(ids), len(ids) * kind.itemsize):
                raise ValueError(f"its files do not belong together: {found}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"not a complete token store: {error}",
                where=str(path),
                remedy="Delete the folder of the job that made it and run again.",
            ) from error
        self.path, self._ids, self._offsets = path, ids, offsets

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def rows(self, rows: np.ndarray) -> Ragged:
        """The documents of some rows, as views of the file."""
        starts = self._offsets[rows]
        return Ragged(self._ids, starts, self._offsets[np.asarray(rows) + 1] - starts)

    def text(self, row: int) -> np.ndarray:
        """The ids of one document, `[tokens]`."""
        return self._ids[self._offsets[row] : self._offsets[row + 1]]
