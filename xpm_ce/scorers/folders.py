"""A transformers folder: which of its files loading reads, and their content hash.

This module does not load a model; it knows names of files only.
"""

from pathlib import Path

from xpm_ce.errors import DataError
from xpm_ce.identity import HashCache, text_sha256

CONFIG = "config.json"

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""Where the weights may be, in the order in which transformers looks for them"""

TOKENIZER_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
"""Read beside the vocabulary where they exist"""

TOKENIZER = "tokenizer.json"
"""The whole tokenizer; where it exists, the files of `VOCABULARIES` are not read"""

VOCABULARIES = (
    "vocab.txt", "vocab.json", "merges.txt", "spm.model", "spiece.model", "sentencepiece.bpe.model",
)  # fmt: skip
"""What a tokenizer is built from otherwise"""

HUB_PATTERNS = (CONFIG, TOKENIZER, *TOKENIZER_SETTINGS, *VOCABULARIES)
"""Files of a hub repository that loading may read, weights apart"""


def loaded_files(folder: Path) -> list[Path]:
    """Exactly the files that loading this folder reads, sorted by name; DataError where one of them is missing."""
    files = [_existing(folder, CONFIG), *_weight_files(folder), *_tokenizer_files(folder)]
    return sorted(files)


def content_sha256(folder: Path, hashes: HashCache) -> str:
    """sha256 over names and content of the files that loading reads; other files do not count."""
    return text_sha256(text for file in loaded_files(folder) for text in (file.name, hashes.sha256(file)))


def tokenizer_sha256(folder: Path, hashes: HashCache) -> str:
    """sha256 over names and content of the files that a tokenizer is loaded from; DataError where there is none."""
    files = sorted(_tokenizer_files(folder))
    return text_sha256(text for file in files for text in (file.name, hashes.sha256(file)))


def _weight_files(folder: Path) -> list[Path]:
    import json

    for name in WEIGHTS:
        if not (folder / name).is_file():
            continue
        if not name.endswith(".index.json"):
            return [folder / name]
        shards = set(json.loads((folder / name).read_text())["weight_map"].values())
        return [folder / name, *(_existing(folder, shard) for shard in shards)]
    raise _missing(folder, "weights (model.safetensors)")


def _tokenizer_files(folder: Path) -> list[Path]:
    names = (TOKENIZER,) if (folder / TOKENIZER).is_file() else VOCABULARIES
    vocabulary = [folder / name for name in names if (folder / name).is_file()]
    if not vocabulary:
        raise _missing(folder, "a tokenizer (tokenizer.json)")
    return [*vocabulary, *(folder / name for name in TOKENIZER_SETTINGS if (folder / name).is_file())]


def _existing(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise _missing(folder, name)
    return folder / name


def _missing(folder: Path, what: str) -> DataError:
    return DataError(
        f"this is no complete transformers folder: it lacks {what}",
        where=str(folder),
        remedy="Save model and tokenizer into one folder with their save_pretrained().",
    )
