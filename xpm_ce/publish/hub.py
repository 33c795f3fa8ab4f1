"""An exported folder on the Hugging Face hub: what would be uploaded, and the upload.

This module does not know what is in the folder.
"""

import dataclasses
import re
from pathlib import Path

from xpm_ce.errors import ConfigurationError, DataError


@dataclasses.dataclass(frozen=True)
class Upload:
    """What goes where."""

    repository: str
    folder: Path
    files: list[Path]

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.stat().st_size for file in self.files)


def check_repository(repository: str) -> None:
    """ConfigurationError for what is no `owner/name`."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ConfigurationError(f"{repository!r} is no repository of the hub", remedy="Give owner/name.")


def prepared_upload(folder: Path, repository: str) -> Upload:
    """The upload of every file of a flat folder."""
    check_repository(repository)
    return Upload(repository, folder, sorted(file for file in folder.iterdir() if file.is_file()))


def push(upload: Upload, *, private: bool) -> str:
    """Make the repository where there is none, and upload in one commit; gives the commit's address.

    The login is that of the hub's own library (`hf auth login`, or HF_TOKEN). DataError where the hub refuses.
    """
    from huggingface_hub import HfApi

    try:
        api = HfApi(library_name="xpm-ce")
        api.create_repo(upload.repository, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=upload.repository,
            folder_path=upload.folder,
            commit_message="Export by xpm-ce",
            allow_patterns=[file.name for file in upload.files],
        )
    except Exception as error:  # the hub's library raises its own, those of its HTTP library, and the system's
        raise DataError(
            f"{upload.repository} could not be pushed ({type(error).__name__}: {str(error).splitlines()[0]})",
            where=str(upload.folder),
            remedy="The folder is complete; log in with `hf auth login`, then: "
            f"hf upload {upload.repository} {upload.folder}",
        ) from error
    return str(commit.commit_url)
