"""One learner of a planned study as a YAML of its own, and the command that runs the study, from plan.json.

What files imported and `-c` set is in it; the grid is not. This module does not know jobs.
"""

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Any

import yaml

from xpm_ce.graph.study import Study
from xpm_ce.settings.document import Document
from xpm_ce.settings.nodes import Node
from xpm_ce.workspace import coordinates_text

NOT_OF_ONE = ("grid", "exceptions", "table")
"""Sections that a study of one learner has no use for"""


@dataclasses.dataclass(frozen=True)
class Resolved:
    """How one learner of a study is trained again."""

    command: str | None
    """The study's command; None where it was declared in Python"""

    text: str | None
    """A study of this learner alone; None where the plan does not say where it stands"""


def resolved(plan: Mapping[str, Any], coordinates: Mapping[str, str]) -> Resolved:
    """What a plan says of the learner at a place of its grid; nothing where it was written by an earlier version."""
    if "document" not in plan:
        return Resolved(None, None)
    files = plan["files"]
    overrides = [word for each in plan["overrides"] for word in ("-c", each)]
    command = shlex.join(["xpm-ce", "run", files[-1], *overrides]) if files else None
    study = Study.of(Document(Node.of(plan["document"], where="plan.json")))
    place = next((point for at, point in study.points() if at == dict(coordinates)), None)
    if place is None:
        return Resolved(command, None)
    plain = place.root.without(*NOT_OF_ONE).plain()
    origin = f"# {plan['experiment']}: " + coordinates_text(coordinates)
    return Resolved(command, f"{origin.rstrip(': ')}\n{yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)}")
