"""A repository of the Hugging Face hub as a local folder, through the hub's own cache.

A commit does not change: what the cache holds whole is not asked for again. Offline (HF_HUB_OFFLINE=1), only the cache
is asked. This module does not know what the files mean.
"""

from pathlib import Path

from xpm_ce.errors import DataError
from xpm_ce.scorers.folders import HUB_PATTERNS, loaded_files

SAFE, PICKLED = ("model*.safetensors", "model.safetensors.index.json"), ("pytorch_model*.bin*",)
"""Weights, preferred and otherwise"""


def snapshot(repository: str, revision: str) -> Path:
    """The folder of a commit, with everything that loading reads; DataError where it cannot be had."""
    cached = _cached(repository, revision)
    if cached is not None:
        return cached
    folder = _download(repository, revision, (*HUB_PATTERNS, *SAFE))
    if not list(folder.glob("model*.safetensors")):
        folder = _download(repository, revision, (*HUB_PATTERNS, *PICKLED))
    return folder


def _cached(repository: str, revision: str) -> Path | None:
    """The folder in the cache, where it is complete."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repository, revision=revision, local_files_only=True))
        loaded_files(folder)
        return folder
    except (LocalEntryNotFoundError, DataError):
        return None


def _download(repository: str, revision: str, patterns: tuple[str, ...]) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(patterns)))
    except OSError as error:  # what the hub and the network raise is an OSError, a missing repository too
        raise DataError(
            f"{repository} at {revision[:12]} is neither in the local cache nor to be had from the hub "
            f"({type(error).__name__})",
            remedy=f"Where there is a network: hf download {repository} --revision {revision}",
        ) from error
