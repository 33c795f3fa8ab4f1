"""One job of a plan and what was last seen of it. This module does not know how it is looked at."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RUNNING, WAITING, BLOCKED, FAILED = "running", "waiting", "blocked", "failed"
SETTLED = ("done", "pruned")
"""States that a job leaves only when somebody changes its files: looked at in turn"""
IN_THE_WAY = ("failed", "interrupted", "damaged")
"""States of a job for which those that depend on it have to wait until somebody acts"""


@dataclasses.dataclass
class WatchedJob:
    """One job of the plan, and what was last seen of it."""

    plan: Mapping[str, Any]
    path: Path
    seen: str = WAITING
    """State by its own files"""
    cause: str | None = None
    """Of a blocked job: the one that has to be mended first"""
    stamp: int | None = None
    """Time stamp of the folder when it was read; None where there is none, or the reading is not to be trusted"""
    exists: bool = False
    queued: bool = False
    """Whether it was started and waits for its turn"""
    progress: float | None = None
    words: str = ""
    started: float | None = None
    ended: float | None = None
    failure: dict[str, Any] | None = None
    version: int = 0

    @property
    def id(self) -> str:
        return str(self.plan["id"])

    @property
    def open(self) -> bool:
        """Whether its folder is looked at each time: it is there, and what it says is not the last word."""
        return self.exists and self.seen not in SETTLED

    @property
    def state(self) -> str:
        """What is shown: that of its files, unless it waits for what will not come by itself."""
        if self.seen == WAITING and (self.cause is not None or self.plan["state"] == BLOCKED):
            return BLOCKED
        return self.seen

    def as_json(self, now: float) -> dict[str, Any]:
        """The documented form, a JOB of docs/monitor.md."""
        end = now if self.seen == RUNNING else self.ended
        seconds = None if self.started is None or end is None else round(max(0.0, end - self.started), 1)
        return {
            "id": self.id, "kind": self.plan["kind"], "task": self.plan["task"],
            "coordinates": self.plan["coordinates"], "state": self.state, "reason": self.plan.get("reason"),
            "progress": self.progress, "message": self.words, "started": self.started, "ended": self.ended,
            "seconds": seconds, "cost": self.plan.get("cost"), "depends_on": self.plan["depends_on"],
            "cause": self.cause, "reused": self.plan["state"] == "reuse",
            "failure": self.failure,
        }  # fmt: skip
