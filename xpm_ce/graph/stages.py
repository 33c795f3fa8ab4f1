"""Training in stages: a learner that starts where another one ended, which its own `start_from` describes.

    learner:
      loss: distill_ranknet
      start_from: {loss: infonce, steps: 20000, training_set: {...}}

`start_from` holds what differs from the learner around it, and a training set where that differs too. This module does
not know how jobs are made.
"""

import dataclasses
from types import MappingProxyType

from xpm_ce.errors import ConfigurationError
from xpm_ce.graph.study import DATA_SECTIONS
from xpm_ce.settings import Document

START_FROM = "start_from"
TRAINING_SET = "training_set"


def stage_before(document: Document) -> Document | None:
    """The same study with the learner that a document's learner starts from; None where it starts from its backbone.

    ConfigurationError where `start_from` says what only the learner around it can.
    """
    learner = document.require("learner")
    start = learner.get(START_FROM)
    if start is None or (start.kind == "scalar" and start.value is None):
        return None
    if start.kind != "mapping":
        raise ConfigurationError(
            f"{start.path} is {start.described}, but it describes a training",
            where=start.where,
            remedy="For example: start_from: {loss: infonce, steps: 20000}",
        )
    if (scorer := start.get("scorer")) is not None:
        raise ConfigurationError(
            f"{scorer.path} cannot be given: both stages train one scorer",
            where=scorer.where,
            remedy="Describe it in learner.scorer.",
        )
    keys = {**learner.without(START_FROM).nodes, **start.without(TRAINING_SET).nodes}
    changed = document.with_value("learner", dataclasses.replace(learner, value=MappingProxyType(keys)))
    own = start.get(TRAINING_SET)
    return changed if own is None else changed.with_value(TRAINING_SET, own)


def paths_before(document: Document) -> tuple[str, ...]:
    """Dotted paths of everything that the stage before a document's learner depends on."""
    learner = document.require("learner")
    start = learner.nodes[START_FROM]
    inherited = [f"learner.{key}" for key in learner.nodes if key not in start.nodes]
    own_data = start.get(TRAINING_SET) is not None
    return (*DATA_SECTIONS, *inherited, f"learner.{START_FROM}", *(() if own_data else (TRAINING_SET,)))
