"""The states from which a training goes on: the last two, each in a folder that is complete or absent.

    step-00000200/       after 200 updates
        state.pt         weights and optimiser, as torch saves them
        state.json       {"schema": 2, "position": {...}}, see `Position`
        best/            the best checkpoint so far, where there is one (hard links, which take no room)
        checksums.json   {file: sha256}
    damaged-1/           a state whose files are not what was written, kept aside until the training ends

This module does not know how a step is computed.
"""

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from xpm_ce import atomic
from xpm_ce.identity import file_sha256
from xpm_ce.learn.optimisation import Optimisation
from xpm_ce.learn.position import Position

logger = logging.getLogger(__name__)

SCHEMA = 2
TENSORS, POSITION, BEST, CHECKSUMS = "state.pt", "state.json", "best", "checksums.json"
GENERATIONS = 2
"""States that are kept: the last, and the one before it for when the last is damaged"""


class DamagedStateError(Exception):
    """A state whose files are not what was written; the message names the file."""


class SavedState(NamedTuple):
    """A state as it was read."""

    folder: Path
    tensors: dict[str, Any]
    position: Position

    def check(self, model: nn.Module) -> None:
        """DamagedStateError where these are not the weights of such a model; to be asked before anything is changed."""
        ours = {name: value.shape for name, value in model.state_dict().items()}
        if ours != {name: value.shape for name, value in self.tensors["model"].items()}:
            raise DamagedStateError(f"{self.folder / TENSORS} holds the weights of another model")

    def restore(self, model: nn.Module, optimisation: Optimisation) -> None:
        """Set weights and optimiser."""
        model.load_state_dict(self.tensors["model"])
        optimisation.restore(self.tensors["optimiser"])

    def restore_best(self, folder: Path) -> None:
        """Put the best checkpoint where it was, which a later one may have replaced since."""
        if self.position.best_step:
            with atomic.writing_folder(folder) as temporary:
                _link(self.folder / BEST, temporary)


def write_state(folder: Path, model: nn.Module, optimisation: Optimisation, position: Position, *, best: Path) -> None:
    """Write a state; `best` is the folder of the best checkpoint, read where the position has one."""
    with atomic.writing_folder(folder) as temporary:
        torch.save({"model": model.state_dict(), "optimiser": optimisation.state()}, temporary / TENSORS)
        atomic.write_json(temporary / POSITION, {"schema": SCHEMA, "position": position.as_json()})
        if position.best_step:
            (temporary / BEST).mkdir()
            _link(best, temporary / BEST)
        atomic.write_json(temporary / CHECKSUMS, _checksums(temporary))


def read_state(folder: Path) -> SavedState:
    """Read a state; DamagedStateError where a file is missing, changed, or of another version."""
    written = _read_json(folder / CHECKSUMS)
    found = _checksums(folder)
    for name in sorted(written.keys() | found.keys()):
        if name not in found:
            raise DamagedStateError(f"{folder / name} is missing")
        if found[name] != written.get(name):
            raise DamagedStateError(f"{folder / name} has not the sha256 that {CHECKSUMS} gives it")
    description = _read_json(folder / POSITION)
    try:
        if description["schema"] != SCHEMA:
            raise ValueError(f"schema {description['schema']}")
        position = Position.read(description["position"])
        tensors = torch.load(folder / TENSORS, map_location="cpu", weights_only=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError) as error:
        raise DamagedStateError(f"{folder} is of another version ({error})") from error
    if position.best_step and not (folder / BEST).is_dir():
        raise DamagedStateError(f"{folder / BEST} is missing")
    return SavedState(folder, tensors, position)


class States:
    """The last states of a training, in a folder; only one process writes there."""

    def __init__(self, folder: Path):
        self.folder = folder

    def save(self, model: nn.Module, optimisation: Optimisation, position: Position, *, best: Path) -> None:
        """Add a state, and drop those that are too old to be of use."""
        folder = self.folder / f"step-{position.counts.steps:08d}"
        write_state(folder, model, optimisation, position, best=best)
        for old in self._generations()[GENERATIONS:]:
            shutil.rmtree(old)

    def newest(self, model: nn.Module) -> SavedState | None:
        """The newest state that is as it was written; damaged ones are reported and kept aside.

        None where there is none. Beginning again costs time only: the same steps give the same weights.
        """
        for unfinished in self.folder.glob(".*.tmp"):
            shutil.rmtree(unfinished)
        for folder in self._generations():
            try:
                saved = read_state(folder)
                saved.check(model)
            except DamagedStateError as error:
                aside = self._aside()
                os.rename(folder, aside)
                logger.warning("%s: going on from the state before it; what is left of this one is in %s", error, aside)
            else:
                return saved
        if self.folder.is_dir() and any(self.folder.glob("damaged-*")):
            logger.warning("no state in %s can be read: beginning again", self.folder)
        return None

    def remove(self) -> None:
        """Remove all states, which nobody needs any more."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _generations(self) -> list[Path]:
        """Folders of the states, newest first."""
        return sorted(self.folder.glob("step-*"), key=lambda folder: int(folder.name.partition("-")[2]), reverse=True)

    def _aside(self) -> Path:
        number = 1
        while (self.folder / f"damaged-{number}").exists():
            number += 1
        return self.folder / f"damaged-{number}"


def _checksums(folder: Path) -> dict[str, str]:
    """sha256 of each file below a folder, by its path in it."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file != folder / CHECKSUMS]
    try:
        return {file.relative_to(folder).as_posix(): file_sha256(file) for file in files}
    except OSError as error:
        raise DamagedStateError(f"{error.filename} cannot be read ({error.strerror})") from error


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedStateError(f"{file} cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise DamagedStateError(f"{file} is not what was written")
    return content


def _link(source: Path, target: Path) -> None:
    """Have the files of a flat folder in another one too, without copying where the file system has hard links."""
    for file in source.iterdir():
        try:
            os.link(file, target / file.name)
        except OSError:
            shutil.copyfile(file, target / file.name)
