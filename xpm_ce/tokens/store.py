"""The token store of a collection: every document as token ids, once per tokenizer, on disk.

This module does not know how pairs are made of them; `tokenising.py` computes.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from experimaestro import Config, Constant, Meta, Param, PathGenerator, field

from xpm_ce.data.store import DocumentStore
from xpm_ce.jobs import ResumableJob
from xpm_ce.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from xpm_ce.tokens.stored_tokens import StoredTokens


class TokenStore(Config):
    """The documents that a `TokeniseDocuments` job has tokenised; rows are those of the document store."""

    __xpmid__ = "xpm_ce.tokens.token_store"

    path: Meta[Path]
    """Folder of the store"""

    def open(self) -> "StoredTokens":
        """The token ids, memory-mapped; DataError where the folder is not a complete store."""
        from xpm_ce.tokens.stored_tokens import StoredTokens

        return StoredTokens(self.path)


class TokeniseDocuments(ResumableJob):
    """Tokenise every document of a store, whole and without special tokens; interrupted, it goes on."""

    __xpmid__ = "xpm_ce.tokens.tokenise_documents"

    version: Constant[int] = 1
    """Version of what the store holds"""

    store: Param[DocumentStore]
    """Texts of the documents"""

    tokenizer: Param[Tokenizer]
    """What turns them into ids"""

    tokens: Meta[Path] = field(default_factory=PathGenerator("tokens"))
    """Folder of the store"""

    def compute(self) -> None:
        from xpm_ce.progress import job_progress
        from xpm_ce.tokens.tokenising import tokenise

        tokenise(self, progress=job_progress())

    def task_outputs(self, dep):
        return dep(TokenStore.C(path=self.tokens))
