"""A word-piece tokenizer trained on a collection's own text, for backbones that start from random weights.

This module does not know which backbone reads the tokens; `train_wordpiece.py` computes.
"""

from pathlib import Path
from typing import Any, Optional

from experimaestro import Constant, Meta, Param, PathGenerator, field

from xpm_ce.data.parts import Queries
from xpm_ce.data.store import DocumentStore
from xpm_ce.errors import ConfigurationError
from xpm_ce.jobs import Job
from xpm_ce.tokens.tokenizer import Tokenizer

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""First entries of every vocabulary, in this order"""


class TokenizerFolder(Tokenizer):
    """A tokenizer on disk, loadable by `transformers.AutoTokenizer`; identified by the task that trained it."""

    __xpmid__ = "xpm_ce.tokens.tokenizer_folder"

    path: Meta[Path]
    """Folder with tokenizer.json and tokenizer_config.json"""

    def load(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.path, local_files_only=True)


class TrainWordPiece(Job):
    """Trains a lower-casing word-piece tokenizer with the pair template `[CLS] query [SEP] document [SEP]`."""

    __xpmid__ = "xpm_ce.tokens.train_wordpiece"

    version: Constant[int] = 1
    """Version of the training"""

    store: Param[DocumentStore]
    """Documents whose text is counted"""

    queries: Param[Optional[Queries]] = field(default=None)
    """Training queries whose text is counted too; words that only queries use get whole tokens"""

    vocab_size: Param[int] = field(default=400)
    """Most entries of the vocabulary, special tokens included; the text may need fewer"""

    path: Meta[Path] = field(default_factory=PathGenerator("tokenizer"))
    """The tokenizer's folder"""

    def __validate__(self) -> None:
        if self.vocab_size <= len(SPECIAL_TOKENS):
            raise ConfigurationError(
                f"vocab_size is {self.vocab_size}, but {len(SPECIAL_TOKENS)} entries are special tokens",
                remedy="Give a few hundred entries or more.",
            )

    def task_outputs(self, dep):
        return dep(TokenizerFolder.C(path=self.path))

    def compute(self) -> None:
        from xpm_ce.tokens.train_wordpiece import save_tokenizer, train_vocabulary, word_counts

        texts = self.store.open()
        documents = (texts.text(row) for row in range(len(texts)))
        queries = self.queries.read().values() if self.queries is not None else ()
        counts = word_counts(documents) + word_counts(queries)
        save_tokenizer(self.path, train_vocabulary(counts, size=self.vocab_size))
