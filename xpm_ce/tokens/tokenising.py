"""The computation of `TokeniseDocuments`: block after block, each on disk before the next.

The tokenizers library tokenises a block in parallel. This module does not know what the ids are for.
"""

import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xpm_ce import atomic
from xpm_ce.data.stored_documents import StoredDocuments
from xpm_ce.progress import Progress
from xpm_ce.tokens.pairs import fast_backend
from xpm_ce.tokens.stored_tokens import DESCRIPTION, IDS, OFFSETS, SCHEMA
from xpm_ce.workspace import read_json

if TYPE_CHECKING:
    from xpm_ce.tokens.store import TokeniseDocuments

DOCUMENTS_PER_BLOCK = 1 << 13
"""Documents that are tokenised together; an interrupted job loses one block at most"""

LENGTHS, DONE = "lengths.bin", "done.json"

logger = logging.getLogger(__name__)


def tokenise(task: "TokeniseDocuments", *, progress: Progress = lambda share, words: None) -> None:
    """Write the token store; DataError where the tokenizer is not there."""
    if task.tokens.exists():  # complete, or it would not have this name
        return
    texts, tokenizer = task.store.open(), task.tokenizer.load()
    partial = task.tokens.with_name(f"{task.tokens.name}.partial")
    Blocks(partial, texts, tokenizer).write_missing(progress)
    with atomic.writing_folder(task.tokens) as temporary:
        lengths = np.fromfile(partial / LENGTHS, np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        np.save(temporary / OFFSETS, offsets)
        os.link(partial / IDS, temporary / IDS)
        description = {
            "schema": SCHEMA, "documents": len(lengths), "tokens": int(offsets[-1]), "type": _type(tokenizer).name,
        }  # fmt: skip
        atomic.write_json(temporary / DESCRIPTION, description)
    shutil.rmtree(partial)
    logger.info("%d documents, %d tokens", len(lengths), offsets[-1])


class Blocks:
    """The files of an unfinished token store: what `done.json` names is on the disk, what follows is not counted."""

    def __init__(self, folder: Path, texts: StoredDocuments, tokenizer: Any):
        self._folder, self._texts, self._type = folder, texts, _type(tokenizer)
        self._backend = fast_backend(tokenizer)
        self._backend.no_truncation()
        self._backend.no_padding()
        folder.mkdir(exist_ok=True)

    def write_missing(self, progress: Progress) -> None:
        """Tokenise the documents that are missing."""
        done = read_json(self._folder / DONE) or {"documents": 0, "tokens": 0}
        documents, tokens = done["documents"], done["tokens"]
        with open(self._folder / IDS, "ab") as ids, open(self._folder / LENGTHS, "ab") as lengths:
            ids.truncate(tokens * self._type.itemsize)
            lengths.truncate(documents * 8)
            while documents < len(self._texts):
                rows = range(documents, min(documents + DOCUMENTS_PER_BLOCK, len(self._texts)))
                texts = [self._texts.text(row) for row in rows]
                found = self._backend.encode_batch_fast(texts, add_special_tokens=False)
                counts = np.fromiter((len(each.ids) for each in found), np.int64, len(found))
                ids.write(np.concatenate([np.array(each.ids, self._type) for each in found]).tobytes())
                lengths.write(counts.tobytes())
                for stream in (ids, lengths):
                    stream.flush()
                    os.fsync(stream.fileno())
                documents, tokens = documents + len(rows), tokens + int(counts.sum())
                atomic.write_json(self._folder / DONE, {"documents": documents, "tokens": tokens})
                progress(documents / len(self._texts), f"{documents} of {len(self._texts)} documents")


def _type(tokenizer: Any) -> np.dtype:
    """The smallest type that holds every id of a tokenizer."""
    return np.dtype(np.uint16 if len(tokenizer) <= 1 << 16 else np.int32)
