"""Server-sent events: what changed since a reader last heard, while it listens.

Each reader asks the shared state, which looks at the disk at most once a second for all of them. This module does not
know what a page does with the events.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.concurrency import run_in_threadpool

from xpm_ce.errors import XpmCeError
from xpm_ce.monitor.answers import as_bytes
from xpm_ce.monitor.inside import Inside
from xpm_ce.monitor.observed import ObservedFolder
from xpm_ce.monitor.state import ExperimentState

BUSY, IDLE = 1.0, 2.0
"""Seconds between two looks while a job runs, and otherwise"""
HEARTBEAT = 15.0
LOG_BYTES = 65_536
"""Of a log, sent at once"""


async def events(
    state: ExperimentState, inside: Inside, *, since: int | None, job: str | None, stopping: asyncio.Event
) -> AsyncIterator[bytes]:
    """The events of an experiment, and of one job's log where `job` is given, until the reader or the server leaves.

    `since` is the version that the reader has; without one it hears what changes from now on.
    """
    told, results = (state.version.jobs if since is None else since), state.version.results
    offset: int | None = None
    last = time.monotonic()
    yield b"retry: 2000\n\n"
    while not stopping.is_set():
        try:
            version = await run_in_threadpool(state.refresh, at_most_every=BUSY * 0.9)
            if version.jobs > told:
                yield event("jobs", await run_in_threadpool(_changes, state, told), number=version.jobs)
                told, last = version.jobs, time.monotonic()
            if version.results > results:
                results, last = version.results, time.monotonic()
                yield event("results", {"version": results})
            if job is not None:
                text, after = await run_in_threadpool(_log, state, inside, job, offset)
                if text or offset is None or after < offset:
                    yield event("log", {"id": job, "text": text, "offset": after})
                    last = time.monotonic()
                offset = after
        except XpmCeError as error:
            yield event("problem", {"what": error.what, "where": error.where, "remedy": error.remedy})
        if time.monotonic() - last > HEARTBEAT:
            last = time.monotonic()
            yield b": still here\n\n"
        try:
            await asyncio.wait_for(stopping.wait(), BUSY if state.busy or job is not None else IDLE)
        except TimeoutError:
            continue


def event(name: str, data: dict[str, Any], *, number: int | None = None) -> bytes:
    """One event in the form that browsers read."""
    numbered = b"" if number is None else f"id: {number}\n".encode()
    return b"event: " + name.encode() + b"\n" + numbered + b"data: " + as_bytes({"schema": 1, **data}) + b"\n\n"


def _changes(state: ExperimentState, told: int) -> dict[str, Any]:
    anew = told < state.replanned
    return {
        "experiment": state.experiment, "version": state.version.jobs, "counts": state.counts,
        "seconds_left": state.seconds_left(), "reload": anew, "changed": [] if anew else state.jobs_as_json(since=told),
    }  # fmt: skip


def _log(state: ExperimentState, inside: Inside, identity: str, offset: int | None) -> tuple[str, int]:
    log = ObservedFolder(state.job(identity).path).log
    return inside.tail(log, LOG_BYTES) if offset is None else inside.from_offset(log, offset, LOG_BYTES)
