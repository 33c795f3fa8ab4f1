"""Backbones: where the weights, the architecture and the tokenizer of a cross-encoder come from.

Each one loads from a local folder or from a declared architecture. This module does not know how pairs are scored;
`weights.py` computes.
"""

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Optional

from experimaestro import Config, Constant, Meta, Param, field

from xpm_ce.data.collection import Submit, while_planning
from xpm_ce.data.parts import Queries
from xpm_ce.data.store import DocumentStore
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.identity import HashCache
from xpm_ce.scorers.families import FAMILIES, Family, family
from xpm_ce.scorers.folders import content_sha256
from xpm_ce.tokens.wordpiece import TokenizerFolder, TrainWordPiece

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
        """Fill in what identifies this backbone, while a study is planned; `store` and `queries` are its texts."""
        return self

    @property
    def place(self) -> str:
        """Where it comes from, for messages."""
        raise NotImplementedError(f"{type(self).__name__}.place")

    def load(self, *, head_seed: int) -> "Loaded":
        """The model with one output and its tokenizer, on the CPU in fp32; what a folder lacks is drawn anew."""
        raise NotImplementedError(f"{type(self).__name__}.load")


class HubBackbone(Backbone):
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
        if not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            raise ConfigurationError(
                f"revision {self.revision!r} of {self.id} is not a commit, and what it names may change",
                remedy="Give the 40 hexadecimal digits shown under `Files, History` of the repository, or those in "
                "refs/ of the repository's folder in the local cache.",
            )

    @property
    def place(self) -> str:
        return f"{self.id}@{self.revision[:12]}"

    def resolve(self) -> Path:
        """The folder in the hub's cache, downloaded if need be; DataError where it cannot be had."""
        from xpm_ce.scorers.hub import snapshot

        return snapshot(self.id, self.revision)

    def load(self, *, head_seed: int) -> "Loaded":
        from xpm_ce.scorers.weights import load_folder

        return load_folder(self.resolve(), head_seed=head_seed)


class LocalBackbone(Backbone):
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

    def load(self, *, head_seed: int) -> "Loaded":
        from xpm_ce.scorers.weights import load_folder

        expect_content(self.path, self.sha256)
        return load_folder(self.path, head_seed=head_seed)


class PackageBackbone(Backbone):
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

    def resolve(self) -> Path:
        """The folder; ConfigurationError where the package is not installed."""
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
            self.sha256 = content_sha256(self.resolve(), submit.hashes)
        return self

    def load(self, *, head_seed: int) -> "Loaded":
        from xpm_ce.scorers.weights import load_folder

        folder = self.resolve()
        expect_content(folder, self.sha256)
        return load_folder(folder, head_seed=head_seed)


def expect_content(folder: Path, sha256: str) -> None:
    """DataError where the files of a backbone are not those that were planned with."""
    if content_sha256(folder, HashCache()) != sha256:
        raise DataError(
            "the files of this backbone changed since the study was planned",
            where=str(folder),
            remedy="Restore them, or plan again: other weights are another backbone, and results stay apart.",
        )


class Architecture(Backbone):
    """A new model with random weights and a tokenizer trained on the collection."""

    __xpmid__ = "xpm_ce.scorers.architecture"
    NAME = "architecture"

    version: Constant[int] = 1
    """Version of how the configuration of the model is made"""

    family: Param[str]
    """Family of the model, by its `model_type`"""

    hidden_size: Param[int]
    """Width of the hidden states"""

    num_layers: Param[int]
    """Transformer layers"""

    num_heads: Param[int]
    """Attention heads, a divisor of the width"""

    intermediate_size: Param[int]
    """Width inside the feed-forward blocks"""

    max_positions: Param[int]
    """Usable positions: the longest pair in tokens, special tokens included"""

    dropout: Param[float] = field(default=0.1)
    """Probability of every dropout of the model, as in BERT (Devlin et al. 2019, appendix A.2)"""

    initializer_range: Param[float] = field(default=0.02)
    """Standard deviation of the initial weights, as in BERT's released code; small models need more"""

    pooling: Param[str] = field(default="cls")
    """What the head reads: the first token (cls) or, where the family can, the mean of all (mean)"""

    seed: Param[int] = field(default=0)
    """Seed of the initial weights, the head's apart"""

    vocab_size: Param[int] = field(default=400)
    """Most entries of the tokenizer's vocabulary"""

    tokenizer: Param[TokenizerFolder]
    """Trained on the collection's text; filled in while a study is planned"""

    def __validate__(self) -> None:
        row = self.row
        if self.pooling not in row.poolings:
            raise ConfigurationError(
                f"pooling {self.pooling!r} does not exist in family {self.family}",
                remedy=f"Give one of: {', '.join(row.poolings)}.",
            )
        if not 0 <= self.dropout < 1:
            raise ConfigurationError(f"dropout is {self.dropout}", remedy="Give a probability from 0 to below 1.")
        if self.num_heads < 1 or self.hidden_size % self.num_heads:
            raise ConfigurationError(
                f"num_heads is {self.num_heads}, which does not divide hidden_size {self.hidden_size}",
                remedy="Give a divisor of hidden_size.",
            )

    @property
    def place(self) -> str:
        return f"a new {self.family}"

    @property
    def row(self) -> Family:
        """The facts of the family; ConfigurationError where there is no such family."""
        return family(self.family, where="Architecture.family")

    def prepare(
        self, submit: Submit, *, store: Optional[DocumentStore] = None, queries: Optional[Queries] = None
    ) -> "Architecture":
        if store is None:
            raise ConfigurationError(
                "an architecture needs a collection, on whose text its tokenizer is trained",
                remedy="Use it as the backbone of a learner.",
            )
        task = TrainWordPiece.C(store=store, queries=queries, vocab_size=self.vocab_size)
        self.tokenizer = submit(task, kind="tokenizer")
        return self

    def settings(self, *, vocabulary: int) -> dict[str, Any]:
        """Keys of config.json for a model with a vocabulary of this size; token ids apart."""
        row = self.row
        named = {key: getattr(self, name) for name, keys in row.settings.items() for key in keys}
        types = {"type_vocab_size": row.token_types} if row.token_types > 1 else {}
        return {**named, **types, **row.fixed, **row.poolings[self.pooling], "vocab_size": vocabulary}

    def load(self, *, head_seed: int) -> "Loaded":
        from xpm_ce.scorers.weights import draw_weights

        return draw_weights(self, head_seed=head_seed)


__all__ = ["FAMILIES", "Architecture", "Backbone", "HubBackbone", "LocalBackbone", "PackageBackbone"]
