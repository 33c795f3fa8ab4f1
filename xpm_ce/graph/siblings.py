"""Finished re-rankings of the same model and first stage at another depth, whose scores a planned one takes over.

Identity says what is wanted; the path found here only saves work, and the result is the same without it.
"""

from typing import Any

from xpm_ce.evaluate.rerank import Rerank
from xpm_ce.graph.planner import Planner, State
from xpm_ce.workspace import Workspace, read_json


def finished_depths(workspace: Workspace, task: str) -> set[int]:
    """Every depth at which something was re-ranked in this workspace."""
    depths = set()
    for counts in (workspace.path / "jobs" / task).glob("*/counts.json"):
        depths.add(read_json(counts)["depth"])
    return depths


def take_over_other_depths(planner: Planner) -> int:
    """Point each re-ranking that must run to a finished one at another depth, deeper ones first; how many there are."""
    missing = [job for job in planner.of_kind("rerank") if job.state is State.RUN]
    if not missing:
        return 0
    depths = finished_depths(planner.workspace, missing[0].task)
    found = 0
    for job in missing:
        wanted = job.config.__xpm__.values["depth"]
        # Deeper ones first, the shallowest of them: it is cut. Else the deepest shallower one: it is extended.
        for depth in sorted(depths - {wanted}, key=lambda depth: (depth < wanted, abs(depth - wanted))):
            folder = planner.workspace.job(job.task, _identity_at(job.config, depth))
            if folder.complete:
                job.config.__xpm__.values["finished"] = folder.path
                found += 1
                break
    return found


def _identity_at(rerank: Any, depth: int) -> str:
    values = {
        name: value
        for name, value in rerank.__xpm__.values.items()
        if not rerank.__xpmtype__.arguments[name].generator and not rerank.__xpmtype__.arguments[name].constant
    }
    sibling = Rerank.C(**{**values, "depth": depth})
    return sibling.__xpm__.identifier.all.hex()
