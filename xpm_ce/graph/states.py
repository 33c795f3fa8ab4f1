"""What a run would do with a job, and why: closed sets, with the values that go with them.

This module does not know how a state is found.
"""

import dataclasses
import enum
from typing import Any


class State(enum.StrEnum):
    """What a run would do with a job."""

    REUSE = "reuse"
    RUN = "run"
    BLOCKED = "blocked"


class Why(enum.StrEnum):
    """Why a job has its state: a closed set."""

    DONE = "done"
    NEVER_RUN = "never run"
    CHANGED = "changed"
    FAILED = "failed before"
    INTERRUPTED = "interrupted"
    DAMAGED = "outputs missing"
    PRUNED = "pruned"
    NO_CAPABILITY = "machine lacks a capability"
    UNAVAILABLE = "what it reads cannot be had here"
    UPSTREAM_BLOCKED = "an input is blocked"


ABSENT = "–"


@dataclasses.dataclass(frozen=True)
class Change:
    """A field in which a job differs from the finished one that is nearest; None where one of them lacks it."""

    field: str
    """Dotted path from the job's own configuration; below an input it begins with the section that describes that"""

    before: Any
    """Value of the finished job"""

    after: Any
    """Value of the job that must run"""

    def __str__(self) -> str:
        before, after = (ABSENT if value is None else shown(value) for value in (self.before, self.after))
        return f"{self.field}: {before} -> {after}"

    def as_json(self) -> dict[str, Any]:
        return {"field": self.field, "before": self.before, "after": self.after}


LONGEST = 48
"""Characters of a value that are shown; the JSON form has it whole"""


def shown(value: Any) -> str:
    """A value as it would stand in YAML, cut where it is long."""
    if isinstance(value, bool):
        return str(value).lower()
    text = f"[{', '.join(shown(each) for each in value)}]" if isinstance(value, (list, tuple)) else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


@dataclasses.dataclass(frozen=True)
class Reason:
    """Why, and the values that go with it.

    Those are: the changes (changed), damaged files, the jobs that need what was pruned, the missing capability, what
    cannot be had, the blocked inputs.
    """

    why: Why
    values: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    sibling: str = ""
    """Identity of the finished job that the changes are from"""

    @classmethod
    def changed(cls, changes: tuple[Change, ...], sibling: str) -> "Reason":
        """The reason of a job that differs from a finished one."""
        return cls(Why.CHANGED, tuple(str(each) for each in changes), changes, sibling)

    def __str__(self) -> str:
        if self.why is Why.CHANGED:
            return ", ".join(self.values)
        if self.why is Why.PRUNED and self.values:
            return f"pruned, and needed by {', '.join(self.values)}"
        return f"{self.why.value}: {', '.join(self.values)}" if self.values else self.why.value

    def as_json(self) -> dict[str, Any]:
        plain: dict[str, Any] = {"kind": self.why.value, "values": list(self.values)}
        if self.changes:
            plain |= {"changes": [each.as_json() for each in self.changes], "sibling": self.sibling}
        return plain
