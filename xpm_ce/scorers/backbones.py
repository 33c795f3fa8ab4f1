"""Backbones: where the weights and the tokenizer of a cross-encoder come from.

Those here are folders, on this machine or on the hub. This module does not know how pairs are scored; `weights.py`
computes.
"""

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Optional

from experimaestro import Config, Constant, Meta, Param, field

from xpm_ce.data.collection import Submit, while_planning
from xpm_ce.data.need import Need
from xpm_ce.data.parts import Queries
from xpm_ce.data.store import DocumentStore
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.identity import HashCache
from xpm_ce.scorers.folders import content_sha256, tokenizer_sha256
from xpm_ce.scorers.published import published
from xpm_ce.scorers.tokenizers import FolderTokenizer, HubTokenizer
from xpm_ce.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from xpm_ce.scorers.weights import Loaded


class Backbone(Config):
    """An encoder with its tokenizer."""

    __xpmid__ = "xpm_ce.scorers.backbone"

    NAME: ClassVar[str]
    """Its `type` in a configuration file"""

    def prepare(
        self, submit: Submit, *, store: Optional[DocumentStore] = None, queries: Optional[Queries] = None
    ) -> "Backbone":
        """What this backbone is, with all that identifies it, while a study is planned.

        `store` and `queries` are its texts. Mostly it is this very configuration, filled in.
        """
        return self

    @property
    def obstacle(self) -> str | None:
        """What keeps it from being loaded here, and what to do about it; None where nothing is known to."""
        return None

    def own_tokenizer(self, hashes: HashCache) -> Tokenizer:
        """Its tokenizer, apart from its weights, while a study is planned and after `prepare`."""
        raise NotImplementedError(f"{type(self).__name__}.own_tokenizer")

    @property
    def place(self) -> str:
        """Where it comes from, for messages."""
        raise NotImplementedError(f"{type(self).__name__}.place")

    def load(self, *, head_seed: int) -> "Loaded":
        """The model with one output and its tokenizer, on the CPU in fp32; what a folder lacks is drawn anew."""
        raise NotImplementedError(f"{type(self).__name__}.load")


class FolderBackbone(Backbone):
    """A transformers folder, wherever it lies."""

    __xpmid__ = "xpm_ce.scorers.folder_backbone"

    lower_case: Param[Optional[bool]] = field(default=None, ignore_default=True)
    """Make the tokenizer lower-case (true) or keep capitals (false), whatever its files say; by default they decide"""

    def resolve(self) -> Path:
        """The folder, with the content that was planned with; one of our errors where it cannot be had."""
        raise NotImplementedError(f"{type(self).__name__}.resolve")

    def load(self, *, head_seed: int) -> "Loaded":
        from xpm_ce.scorers.weights import load_folder

        return load_folder(self.resolve(), head_seed=head_seed, lower_case=self.lower_case)


class HubBackbone(FolderBackbone):
    """A model of the Hugging Face hub, at one commit, through the hub's own cache."""

    __xpmid__ = "xpm_ce.scorers.hub_backbone"
    NAME = "hub"

    version: Constant[int] = 1
    """Version of how the folder is read"""

    id: Param[str]
    """Repository, as organisation/name, or name alone"""

    revision: Param[str]
    """Commit of the repository, 40 hexadecimal digits: a branch or a tag may move"""

    def __validate__(self) -> None:
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", self.id):
            raise ConfigurationError(f"id {self.id!r} is no repository", remedy="Give organisation/name.")
        expect_commit(self.id, self.revision)

    @property
    def place(self) -> str:
        return f"{self.id}@{self.revision[:12]}"

    @property
    def obstacle(self) -> str | None:
        from xpm_ce.scorers.hub import obstacle

        return obstacle(self.id, self.revision)

    @property
    def need(self) -> Need:
        """What is needed of the hub."""
        from xpm_ce.scorers.hub import need_of

        return need_of(self.id, self.revision)

    def obtain(self) -> str:
        """Have every file that loading reads, downloaded if need be; where they are. DataError where that fails."""
        return str(self.resolve())

    def own_tokenizer(self, hashes: HashCache) -> Tokenizer:
        return HubTokenizer.C(id=self.id, revision=self.revision, lower_case=self.lower_case)

    def resolve(self) -> Path:
        """The folder in the hub's cache, downloaded if need be; DataError where it cannot be had."""
        from xpm_ce.scorers.hub import snapshot

        return snapshot(self.id, self.revision)


class PublishedBackbone(Backbone):
    """A published encoder by its short name: the hub's repository, at the commit that is on record."""

    __xpmid__ = "xpm_ce.scorers.published_backbone"
    NAME = "published"

    name: Param[str]
    """One of the rows of xpm_ce/scorers/published.py: bert-base, minilm-l12, electra-base, ..."""

    revision: Param[Optional[str]] = field(default=None)
    """Another commit than the one on record; needed where none is"""

    def __validate__(self) -> None:
        row = published(self.name, where="")
        if self.revision is not None:
            expect_commit(row.id, self.revision)

    @property
    def place(self) -> str:
        return self.name

    def prepare(
        self, submit: Submit, *, store: Optional[DocumentStore] = None, queries: Optional[Queries] = None
    ) -> Backbone:
        """The hub's backbone that is meant, which has the same identity under any name; itself without a commit."""
        row = published(self.name, where="")
        revision = self.revision or row.revision
        if revision is None:
            return self
        return HubBackbone.C(id=row.id, revision=revision, lower_case=row.forced_lower_case)

    @property
    def obstacle(self) -> str | None:
        from xpm_ce.scorers.hub import obstacle

        return obstacle(published(self.name, where="").id, None)

    @property
    def need(self) -> Need:
        """What is needed of the hub: a commit, first of all."""
        from xpm_ce.scorers.hub import need_of

        return need_of(published(self.name, where="").id, None)

    def obtain(self) -> str:
        """Nothing can be had without a commit: DataError."""
        raise DataError(f"{self.name} cannot be had without a commit", remedy=self.need.remedy)

    def own_tokenizer(self, hashes: HashCache) -> Tokenizer:
        row = published(self.name, where="")
        return HubTokenizer.C(id=row.id, revision=None, lower_case=row.forced_lower_case)

    def load(self, *, head_seed: int) -> "Loaded":
        raise ConfigurationError(f"{self.name} cannot be loaded: {self.obstacle}", remedy="Plan with a revision.")


class LocalBackbone(FolderBackbone):
    """A transformers folder on this machine, identified by what loading reads from it."""

    __xpmid__ = "xpm_ce.scorers.local_backbone"
    NAME = "local"

    version: Constant[int] = 1
    """Version of how the folder is read"""

    path: Meta[Path]
    """The folder; it may move"""

    sha256: Param[str]
    """sha256 over the files that loading reads; filled in while a study is planned"""

    def prepare(
        self, submit: Submit, *, store: Optional[DocumentStore] = None, queries: Optional[Queries] = None
    ) -> "LocalBackbone":
        self.path = Path(self.path).expanduser().absolute()
        with while_planning():
            self.sha256 = content_sha256(self.path, submit.hashes)
        return self

    @property
    def place(self) -> str:
        return str(self.path)

    def own_tokenizer(self, hashes: HashCache) -> Tokenizer:
        return FolderTokenizer.C(path=self.path, sha256=tokenizer_sha256(self.path, hashes), lower_case=self.lower_case)

    def resolve(self) -> Path:
        expect_content(self.path, self.sha256)
        return self.path


class PackageBackbone(FolderBackbone):
    """A transformers folder that an installed Python package carries, identified by what loading reads from it."""

    __xpmid__ = "xpm_ce.scorers.package_backbone"
    NAME = "package"

    version: Constant[int] = 1
    """Version of how the folder is read"""

    package: Meta[str]
    """Name under which the package is imported; it is not imported, only found"""

    folder: Meta[str] = field(default="model")
    """Folder inside the package"""

    sha256: Param[str]
    """sha256 over the files that loading reads; filled in while a study is planned"""

    @property
    def place(self) -> str:
        return f"{self.package}/{self.folder}"

    def installed(self) -> Path:
        """The folder as it is now; ConfigurationError where the package is not installed."""
        found = importlib.util.find_spec(self.package)
        if found is None or not found.submodule_search_locations:
            raise ConfigurationError(
                f"the package {self.package} is not installed", remedy="Install it with pip, in this environment."
            )
        return Path(next(iter(found.submodule_search_locations))) / self.folder

    def prepare(
        self, submit: Submit, *, store: Optional[DocumentStore] = None, queries: Optional[Queries] = None
    ) -> "PackageBackbone":
        with while_planning():
            self.sha256 = content_sha256(self.installed(), submit.hashes)
        return self

    def own_tokenizer(self, hashes: HashCache) -> Tokenizer:
        folder = self.installed()
        return FolderTokenizer.C(path=folder, sha256=tokenizer_sha256(folder, hashes), lower_case=self.lower_case)

    def resolve(self) -> Path:
        folder = self.installed()
        expect_content(folder, self.sha256)
        return folder


def expect_commit(repository: str, revision: str) -> None:
    """ConfigurationError for what is no commit: a branch or a tag may move."""
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise ConfigurationError(
            f"revision {revision!r} of {repository} is not a commit, and what it names may change",
            remedy="Give the 40 hexadecimal digits shown under `Files, History` of the repository, or those in "
            "refs/ of the repository's folder in the local cache.",
        )


def expect_content(folder: Path, sha256: str) -> None:
    """DataError where the files of a backbone are not those that were planned with."""
    if content_sha256(folder, HashCache()) != sha256:
        raise DataError(
            "the files of this backbone changed since the study was planned",
            where=str(folder),
            remedy="Restore them, or plan again: other weights are another backbone, and results stay apart.",
        )
