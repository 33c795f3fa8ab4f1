"""The pairs of a query and a document on which libraries are compared: the evaluation's own, or words drawn.

This module does not know what scores them.
"""

import contextlib
import dataclasses
import json
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
from experimaestro import taskglobals
from experimaestro.core.objects.config import ConfigInformation

from xpm_ce.data.runs import cut
from xpm_ce.errors import XpmCeError
from xpm_ce.parameters import Given, read_parameters
from xpm_ce.publish.source import Source
from xpm_ce.workspace import JobFolder

logger = logging.getLogger(__name__)

RERANK = "rerank"
"""Kind of a re-ranking in plan.json"""
SEED = 20260101
WORDS_OF_QUERIES, WORDS_OF_DOCUMENTS = (1, 8), (4, 60)

Pair = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Rescored:
    """A re-ranking that scored with the model that is exported."""

    experiment: str
    job: JobFolder
    coordinates: dict[str, str]


def rescored(source: Source) -> list[Rescored]:
    """The finished re-rankings of a checkpoint, of every plan of its workspace, each once."""
    if source.learner is None or source.workspace is None:
        return []
    found: dict[str, Rescored] = {}
    for experiment in source.workspace.experiments():
        for job in source.workspace.read_plan(experiment)["jobs"]:
            if job["kind"] == RERANK and source.learner.job.identity in job["depends_on"] and job["id"] not in found:
                folder = source.workspace.job(job["task"], job["id"])
                if folder.complete and _rule(folder) == (source.learner.job.identity, source.rule):
                    found[job["id"]] = Rescored(experiment, folder, job["coordinates"])
    return list(found.values())


def _rule(folder: JobFolder) -> tuple[str, str] | None:
    """Learner and rule of the checkpoint that a re-ranking scored with; None where it was no checkpoint."""
    given = read_parameters(folder.path)
    model = given.fields.get("model") if given else None
    return (model.task, str(model.fields.get("rule", "last"))) if isinstance(model, Given) else None


def evaluated_pairs(source: Source, count: int) -> list[Pair]:
    """Up to `count` pairs that the checkpoint was evaluated on, drawn under a seed; none where they cannot be read."""
    for each in rescored(source):
        try:
            return _pairs_of(_task(each.job), count)
        except (OSError, XpmCeError, ImportError, RuntimeError) as error:
            logger.warning("the pairs of %s cannot be read (%s)", each.job.path, error)
    return []


def drawn_pairs(tokenizer: Any, count: int) -> list[Pair]:
    """Pairs of words of a tokenizer's own vocabulary, the same for the same vocabulary."""
    words = sorted(
        {piece.lstrip("Ġ▁#") for piece in tokenizer.get_vocab() if piece not in tokenizer.all_special_tokens}
    )
    words = [word for word in words if word.isalnum()] or ["a"]
    draw = np.random.Generator(np.random.PCG64(SEED))

    def text(shortest: int, longest: int) -> str:
        length = int(draw.integers(shortest, longest + 1))
        return " ".join(words[int(place)] for place in draw.integers(len(words), size=length))

    return [(text(*WORDS_OF_QUERIES), text(*WORDS_OF_DOCUMENTS)) for _ in range(count)]


def _pairs_of(task: Any, count: int) -> list[Pair]:
    """Pairs of a re-ranking, as evenly over its queries as a draw is."""
    queries, store = task.queries.read(), task.store.open()
    candidates = [
        (query, document)
        for query, ranking in cut(task.run.read(), task.depth).items()
        for document in ranking.documents
    ]
    draw = np.random.Generator(np.random.PCG64(SEED))
    chosen = sorted(draw.permutation(len(candidates))[:count].tolist())
    rows = store.rows([candidates[place][1] for place in chosen])
    return [(queries[candidates[place][0]], store.text(row)) for place, row in zip(chosen, rows, strict=True)]


def _task(folder: JobFolder) -> Any:
    """A task as its job saw it."""
    written = json.loads((folder.path / "params.json").read_text())
    with _inside(folder):
        return ConfigInformation.fromParameters(written["objects"], as_instance=True)


@contextlib.contextmanager
def _inside(folder: JobFolder) -> Iterator[None]:
    """Resolve relative paths of params.json as the job does."""
    environment = taskglobals.Env.instance()
    before = environment.wspath, environment.taskpath
    environment.wspath, environment.taskpath = folder.path.parents[2], folder.path
    try:
        yield
    finally:
        environment.wspath, environment.taskpath = before
