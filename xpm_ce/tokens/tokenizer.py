"""What a tokenizer is to a study: something with an identity that turns texts into token ids.

This module does not know where a tokenizer comes from; it loads neither torch nor transformers.
"""

from typing import Any

from experimaestro import Config


class Tokenizer(Config):
    """A tokenizer, identified by what decides its ids."""

    __xpmid__ = "xpm_ce.tokens.tokenizer"

    def load(self) -> Any:
        """The transformers tokenizer; DataError where its files are not there or not those that were planned with."""
        raise NotImplementedError(f"{type(self).__name__}.load")
