"""The tokenizer of a transformers folder, made to lower-case or to keep capitals where that is asked for.

Some folders hold an uncased vocabulary and do not say so: every capitalised word would become the unknown token. This
module knows no backbone by name.
"""

from pathlib import Path
from typing import Any

from xpm_ce.errors import ConfigurationError

PROBE = "Aa"
"""A text that tells whether case is kept"""


def tokenizer_of(folder: Path, *, lower_case: bool | None = None) -> Any:
    """The transformers tokenizer of a folder; `lower_case` overrules what its files say.

    ConfigurationError where this kind of tokenizer has no such switch.
    """
    from transformers import AutoTokenizer

    if lower_case is None:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, do_lower_case=lower_case)
    if lowers_case(tokenizer) != lower_case:
        raise ConfigurationError(
            f"{type(tokenizer).__name__} cannot be made to {'lower-case' if lower_case else 'keep capitals'}",
            where=str(folder),
            remedy="Remove lower_case from this backbone: the files of its tokenizer decide.",
        )
    return tokenizer


def lowers_case(tokenizer: Any) -> bool:
    """Whether a tokenizer turns capitals into small letters before it looks words up."""
    normalizer = tokenizer.backend_tokenizer.normalizer
    return normalizer is not None and normalizer.normalize_str(PROBE).strip() == PROBE.lower()
