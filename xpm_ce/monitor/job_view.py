"""One job in full, and failures by their cause: what the side panel and the list of failures show.

Reads the job's own folder, without links that lead out of the workspace. This module does not know who asks.
"""

import json
from typing import Any

from xpm_ce.monitor.inside import Inside
from xpm_ce.monitor.observed import UNREADABLE, ObservedFolder
from xpm_ce.monitor.state import ExperimentState
from xpm_ce.monitor.watched_job import FAILED, IN_THE_WAY, WatchedJob

LOG_BYTES = 65_536
"""Of a log's end that are shown"""
LEVELS = 2
"""Depth of the parameters that are shown"""


def job_in_full(state: ExperimentState, inside: Inside, identity: str, *, now: float) -> dict[str, Any]:
    """A JOB with its folder, failure, logs, files, parameters, and the jobs around it."""
    job = state.job(identity)
    folder = ObservedFolder(job.path)
    found: dict[str, Any] = {
        **job.as_json(now),
        "folder": str(job.path), "log": "", "output_log": "", "files": [], "resources": None,
        "outputs_record": None, "parameters": None,
        "blocked_by": _in_the_way_of(state, job), "needed_by": state.needed_by(identity),
    }  # fmt: skip
    if not inside.holds(job.path):
        return found
    found["log"], found["log_offset"] = inside.tail(folder.log, LOG_BYTES)
    found["output_log"], _ = inside.tail(folder.output_log, LOG_BYTES)
    try:
        record = folder.record
        found["files"] = [{"path": str(each.path), "bytes": each.bytes} for each in folder.files]
        if record is not None:
            found["outputs_record"] = {"environment": record.get("environment"), "seconds": record.get("seconds")}
            found["resources"] = record.get("resources")
        found["parameters"] = _parameters(folder)
    except UNREADABLE:
        pass  # its state says that its files are damaged
    return found


def failures(state: ExperimentState) -> list[dict[str, Any]]:
    """Jobs that failed or were killed, those of one cause together, with those that wait for them."""
    groups: dict[tuple[str, ...], dict[str, Any]] = {}
    for job in state.jobs.values():
        if job.seen not in IN_THE_WAY:
            continue
        cause = _cause(job)
        key = (cause["exception"], cause["what"], cause["where"])
        group = groups.setdefault(key, {**cause, "jobs": [], "blocked": []})
        group["jobs"].append(job.id)
        group["blocked"] += state.blocked_by(job.id)
    return sorted(groups.values(), key=lambda group: -len(group["jobs"]) - len(group["blocked"]))


def _cause(job: WatchedJob) -> dict[str, str]:
    if job.failure is not None:
        told = {name: str(job.failure.get(name) or "") for name in ("exception", "what", "remedy", "where", "frame")}
        return told
    if job.seen == FAILED:
        what, remedy = "the job failed without recording why", "Its log says more."
    elif job.seen == "interrupted" and job.words == "stopped":
        what, remedy = "the job was stopped", "Retry it: it continues from its last checkpoint where it keeps one."
    elif job.seen == "interrupted":
        what, remedy = "the process ended without a word: killed, or out of memory", "Retry it, or run again."
    else:
        what, remedy = job.words or "listed outputs are missing", "Run its experiment again: it is computed anew."
    return {"exception": job.seen.capitalize(), "what": what, "remedy": remedy, "where": "", "frame": ""}


def _in_the_way_of(state: ExperimentState, job: WatchedJob) -> list[str]:
    """Identities of the direct inputs that a job waits for."""
    above = [state.jobs[each] for each in job.plan["depends_on"] if each in state.jobs]
    return [each.id for each in above if each.state not in ("done", "pruned")]


def _parameters(folder: ObservedFolder) -> dict[str, Any] | None:
    from xpm_ce.parameters import PARAMETERS, read_parameters

    if PARAMETERS not in folder.entries:
        return None
    given = read_parameters(folder.path)
    if given is None:
        return None
    described = given.described(levels=LEVELS)
    json.dumps(described)
    return described
