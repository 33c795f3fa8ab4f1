"""A repository of the Hugging Face hub as a local folder, through the hub's own cache.

A commit does not change: what the cache holds whole is not asked for again. Offline (HF_HUB_OFFLINE=1), only the cache
is asked. This module does not know what the files mean.
"""

import contextlib
import os
from pathlib import Path

from xpm_ce.data.need import Need, Standing
from xpm_ce.errors import DataError
from xpm_ce.network import offline
from xpm_ce.scorers.folders import CONFIG, HUB_PATTERNS, loaded_files

SAFE, PICKLED = ("model*.safetensors", "model.safetensors.index.json"), ("pytorch_model*.bin*",)
"""Weights, preferred and otherwise"""

WEIGHTS = "weights"
"""What a repository is needed for"""


def cached_folder(repository: str, revision: str) -> Path | None:
    """Where the hub's cache holds a commit, as far as its folders tell; loads no library."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    folder = cache / f"models--{repository.replace('/', '--')}" / "snapshots" / revision
    return folder if (folder / CONFIG).exists() else None


def fetching(repository: str, revision: str) -> str:
    """What to do where a commit is not in the cache."""
    return f"Where there is a network: hf download {repository} --revision {revision}"


def obstacle(repository: str, revision: str | None) -> str | None:
    """What keeps a commit from being had here, and what to do about it; None where nothing is known to."""
    if revision is None:
        return (
            f"no commit of {repository} is on record. Add revision: to this backbone, the 40 hexadecimal digits under "
            f"`Files, History` of https://huggingface.co/{repository}"
        )
    reason = offline()
    if reason is None or cached_folder(repository, revision) is not None:
        return None
    return f"{repository} is not in the hub's cache, and {reason}. {fetching(repository, revision)}"


def need_of(repository: str, revision: str | None) -> Need:
    """What is needed of the hub."""
    if revision is None:
        return Need(repository, WEIGHTS, "a commit", Standing.ABSENT, obstacle(repository, None) or "", False)
    folder, standing = cached_folder(repository, revision), Standing.ABSENT
    if folder is not None:
        with contextlib.suppress(DataError):  # an interrupted download
            loaded_files(folder)
            standing = Standing.HERE
    return Need(repository, WEIGHTS, f"commit {revision}", standing, fetching(repository, revision))


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
            remedy=fetching(repository, revision),
        ) from error
