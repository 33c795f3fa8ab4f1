"""The tokenizers of backbones, apart from their weights: backbones that share one share its token stores.

This module does not know what the tokens are for.
"""

from pathlib import Path
from typing import Any, Optional

from experimaestro import Constant, Meta, Param, field

from xpm_ce.errors import DataError
from xpm_ce.identity import HashCache
from xpm_ce.scorers.folders import tokenizer_sha256
from xpm_ce.tokens.tokenizer import Tokenizer


class FolderTokenizer(Tokenizer):
    """The tokenizer of a transformers folder on this machine, identified by its own files."""

    __xpmid__ = "xpm_ce.scorers.folder_tokenizer"

    version: Constant[int] = 1
    """Version of how the folder is read"""

    path: Meta[Path]
    """The folder; it may move"""

    sha256: Param[str]
    """sha256 over the files that a tokenizer is loaded from"""

    lower_case: Param[Optional[bool]] = field(default=None, ignore_default=True)
    """Make it lower-case (true) or keep capitals (false), whatever its files say; by default they decide"""

    def load(self) -> Any:
        from xpm_ce.tokens.casing import tokenizer_of

        if tokenizer_sha256(self.path, HashCache()) != self.sha256:
            raise DataError(
                "the files of this tokenizer changed since the study was planned",
                where=str(self.path),
                remedy="Restore them, or plan again.",
            )
        return tokenizer_of(self.path, lower_case=self.lower_case)


class HubTokenizer(Tokenizer):
    """The tokenizer of a repository of the Hugging Face hub, at one commit."""

    __xpmid__ = "xpm_ce.scorers.hub_tokenizer"

    version: Constant[int] = 1
    """Version of how the folder is read"""

    id: Param[str]
    """Repository"""

    revision: Param[Optional[str]]
    """Commit; absent where none is known, and then nothing can be loaded"""

    lower_case: Param[Optional[bool]] = field(default=None, ignore_default=True)
    """Make it lower-case (true) or keep capitals (false), whatever its files say; by default they decide"""

    @property
    def obstacle(self) -> str | None:
        """What keeps it from being loaded here, and what to do about it; None where nothing is known to."""
        from xpm_ce.scorers.hub import obstacle

        return obstacle(self.id, self.revision)

    def load(self) -> Any:
        from xpm_ce.scorers.hub import snapshot
        from xpm_ce.tokens.casing import tokenizer_of

        if self.revision is None:
            raise DataError(f"{self.id} cannot be loaded: {self.obstacle}")
        return tokenizer_of(snapshot(self.id, self.revision), lower_case=self.lower_case)
