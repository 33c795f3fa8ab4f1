"""A cross-encoder leaves: a folder that other libraries load by name, with its parity report and its card.

    model.safetensors, config.json, tokenizer.json, tokenizer_config.json      what transformers loads
    modules.json, config_sentence_transformers.json, sentence_bert_config.json what sentence-transformers 6 adds
    xpm_ce.json        limits in tokens, identity of the learner, rule
    parity.json        the same scores elsewhere, see `parity.ParityReport`
    ledger.json        what the training has seen and cost, for a learner's checkpoint
    study.yaml         the configuration of this model alone, where the plan is known
    README.md          the model card

This module does not know how any of them is made.
"""

import dataclasses
import shutil
from importlib import metadata
from pathlib import Path

import torch

from xpm_ce import atomic
from xpm_ce.analysis.results import LEDGER
from xpm_ce.errors import ConfigurationError
from xpm_ce.publish import parity
from xpm_ce.publish.card import Card, Training
from xpm_ce.publish.evidence import evaluation
from xpm_ce.publish.history import history
from xpm_ce.publish.pairs import drawn_pairs, evaluated_pairs
from xpm_ce.publish.side_files import write_side_files
from xpm_ce.publish.snippets import SHOWN
from xpm_ce.publish.source import Source
from xpm_ce.scorers.loading import saved_scorer
from xpm_ce.workspace import coordinates_text

PAIRS = 200
"""Pairs of the parity report"""
CANDIDATES = 2 * PAIRS
"""Pairs that they are chosen from: some are read otherwise elsewhere"""
PARITY, STUDY, README = "parity.json", "study.yaml", "README.md"


@dataclasses.dataclass(frozen=True)
class Origin:
    """How a learner is trained again."""

    command: str | None = None
    """The command of its study"""

    resolved: str | None = None
    """The YAML of the learner alone"""


@dataclasses.dataclass(frozen=True)
class Naming:
    """What the user says of a model that nothing else knows."""

    name: str
    """How it will be loaded: a repository of the hub, or a folder"""

    language: str | None = None
    """ISO 639-1, for the card"""

    licence: str | None = None
    """SPDX identifier, for the card; by default that of a published backbone"""


@dataclasses.dataclass(frozen=True)
class Exported:
    """What was written."""

    folder: Path
    report: parity.ParityReport
    files: list[Path]


def export(source: Source, folder: Path, naming: Naming, *, origin: Origin = Origin()) -> Exported:
    """Write a folder, complete or absent, that scores in other libraries as the model does here.

    ConfigurationError where `folder` holds something; DataError where the model is damaged, incomplete or no
    cross-encoder with one output, or where a library's scores differ by more than rounding.
    """
    check_free(folder)
    with torch.random.fork_rng(devices=[]):
        scorer = saved_scorer(source.folder).eval()
    limits = scorer.limits
    with atomic.writing_folder(folder) as temporary:
        described = {"learner": source.learner.job.identity, "rule": source.rule} if source.learner else {}
        scorer.save(temporary, description=described)
        write_side_files(temporary)
        report = parity.compare(
            temporary,
            scorer,
            evaluated=evaluated_pairs(source, CANDIDATES),
            drawn=drawn_pairs(scorer.tokenizer, CANDIDATES),
            count=PAIRS,
        )
        atomic.write_json(temporary / PARITY, report.as_json())
        if source.learner is not None:
            shutil.copyfile(source.learner.job.path / LEDGER, temporary / LEDGER)
        if origin.resolved is not None:
            (temporary / STUDY).write_text(origin.resolved, encoding="utf-8")
        card = Card(
            name=naming.name,
            model_type=scorer.family.model_type,
            parameters=sum(each.numel() for each in scorer.model.parameters()),
            max_length=limits.max_length,
            max_query_length=limits.max_query_length,
            shown=parity.transformers_scores(temporary, SHOWN).tolist(),
            parity=report,
            history=history(source.learner.given if source.learner else None),
            evaluation=evaluation(source),
            training=_training(source, origin),
            version=metadata.version("xpm-ce"),
            language=naming.language,
            licence=naming.licence,
        )
        (temporary / README).write_text(card.render(), encoding="utf-8")
    return Exported(folder, report, sorted(folder.iterdir()))


def check_free(folder: Path) -> None:
    """ConfigurationError where a folder holds something, which an export would replace."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ConfigurationError(
            "there is something here already", where=str(folder), remedy="Give a new folder, or delete this one first."
        )


def _training(source: Source, origin: Origin) -> Training | None:
    if source.learner is None:
        return None
    place = coordinates_text(source.learner.coordinates)
    return Training(
        source.learner.job.identity,
        source.rule,
        source.step,
        place,
        source.learner.ledger or {},
        origin.command,
        origin.resolved,
    )
