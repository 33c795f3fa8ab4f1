"""What is exported: a learner's checkpoint by its rule, or any folder with a cross-encoder.

This module does not load the model; it reads the files of the learner's job.
"""

import dataclasses
from pathlib import Path
from typing import Any

from xpm_ce.analysis.fair import LEARNER, ComparedLearner, find_learner
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.identity import file_sha256
from xpm_ce.scorers.models import BEST, LAST
from xpm_ce.workspace import PRUNED, JobFolder, Workspace, read_json

FOLDERS = {LAST: "checkpoint", BEST: "best"}
"""Where a learner keeps the model of each rule"""
CONFIG, KEPT = "config.json", "kept.json"


@dataclasses.dataclass(frozen=True)
class Source:
    """A model folder and, where a learner made it, that learner and the rule that chose the step."""

    folder: Path
    """The transformers folder"""

    learner: ComparedLearner | None = None
    """None for a folder that no learner of a workspace made"""

    rule: str = LAST
    """last or best"""

    step: int | None = None
    """Updates after which the weights were kept"""

    @property
    def workspace(self) -> Workspace | None:
        """The workspace of the learner."""
        return Workspace(self.learner.job.path.parents[2]) if self.learner else None

    def plan(self) -> dict[str, Any] | None:
        """The last plan that holds the learner; None where there is none."""
        if self.workspace is None or self.learner is None:
            return None
        plans = (self.workspace.read_plan(experiment) for experiment in self.workspace.experiments())
        identity = self.learner.job.identity
        return next((plan for plan in plans if any(job["id"] == identity for job in plan["jobs"])), None)


def find_source(workspace: Workspace, text: str, *, rule: str | None = None) -> Source:
    """What `text` means: a folder with a model, or a learner as `xpm-ce compare` takes it.

    ConfigurationError where there is no such learner, where it kept nothing by this rule, or where a rule is given for
    a folder that is not a learner's; DataError where the checkpoint is not what the training wrote.
    """
    if (Path(text) / CONFIG).exists():
        return _of_folder(Path(text).absolute(), rule)
    if Path(text).is_dir() and Path(text).absolute().parent.name != LEARNER:
        raise DataError(
            f"no model is here: {CONFIG} is missing",
            where=text,
            remedy="Give the folder that save_pretrained() wrote, or a learner by its identity.",
        )
    learner = find_learner(workspace, text)
    return _of_learner(learner, rule or LAST)


def _of_folder(folder: Path, rule: str | None) -> Source:
    """A folder; where it is a checkpoint in a learner's job, that learner is known with it."""
    rules = {name: each for each, name in FOLDERS.items()}
    if folder.parent.parent.name == LEARNER and folder.name in rules:
        own = rules[folder.name]
        if rule not in (None, own):
            raise ConfigurationError(
                f"this folder is the checkpoint by rule {own}, not {rule}",
                where=str(folder),
                remedy="Leave --rule out.",
            )
        workspace = Workspace(folder.parents[3])
        return _of_learner(find_learner(workspace, str(folder.parent)), own)
    if rule is not None:
        raise ConfigurationError(
            "a rule chooses between the checkpoints of a learner, and this is a folder with one model",
            where=str(folder),
            remedy="Leave --rule out.",
        )
    return Source(folder)


def _of_learner(learner: ComparedLearner, rule: str) -> Source:
    kept: dict[str, Any] | None = read_json(learner.job.path / KEPT)
    if kept is None or learner.ledger is None:
        raise ConfigurationError(
            f"the learner {learner.job.identity[:12]} has not ended ({learner.job.state})",
            where=str(learner.job.path),
            remedy="Run its experiment to the end first.",
        )
    if rule not in kept:
        raise ConfigurationError(
            f"the learner {learner.job.identity[:12]} kept nothing by rule {rule}",
            where=str(learner.job.path),
            remedy=f"It has no validation. Use --rule {LAST}.",
        )
    folder = learner.job.path / FOLDERS[rule]
    _check(learner.job, folder, kept[rule]["files"])
    return Source(folder, learner, rule, kept[rule]["step"])


def _check(job: JobFolder, folder: Path, files: dict[str, str]) -> None:
    """DataError where a file of a checkpoint is missing or is not what the training wrote."""
    for name, sha256 in files.items():
        if not (folder / name).is_file() and job.freed:
            raise DataError(
                f"{name} of this checkpoint was freed by `xpm-ce clean`",
                where=str(folder),
                remedy=f"To train it again: delete {job.path / PRUNED} and run its experiment.",
            )
        if not (folder / name).is_file():
            raise DataError(
                f"{name} of this checkpoint is missing",
                where=str(folder),
                remedy=f"Delete the job's folder {job.path} and run its experiment again.",
            )
        if file_sha256(folder / name) != sha256:
            raise DataError(
                f"{name} of this checkpoint is not what the training wrote",
                where=str(folder),
                remedy=f"Delete the job's folder {job.path} and run its experiment again, or export a copy of the "
                "checkpoint elsewhere, which then is a model without a history.",
            )
