"""The monitor's answers over HTTP: one page, its files, and the JSON behind each of its views.

Everything is read when asked for; a request picks among what there is (experiments, jobs, files of the page) by its
whole name. This module does not know who may ask: `guard` does.
"""

import asyncio
import dataclasses
import json
import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from xpm_ce.errors import XpmCeError
from xpm_ce.monitor import learner_views, query_views, table_views
from xpm_ce.monitor.actions import Actions
from xpm_ce.monitor.answers import answer, error_answer
from xpm_ce.monitor.asked import Asked
from xpm_ce.monitor.events import events
from xpm_ce.monitor.guard import Guard, Keys
from xpm_ce.monitor.inside import Inside
from xpm_ce.monitor.job_view import failures, job_in_full
from xpm_ce.monitor.page_files import PAGE, Asset, read_assets
from xpm_ce.monitor.readings import Readings
from xpm_ce.monitor.state import ExperimentState, WorkspaceState
from xpm_ce.workspace import Workspace

logger = logging.getLogger(__name__)

PAGES = (
    "/", "/jobs", "/job", "/failures", "/heatmap", "/curves", "/table", "/systems", "/queries", "/query", "/ledger",
    "/fair",
)  # fmt: skip
"""Addresses of views: all are the same page, which reads its address"""
MOST_READERS = 64
"""Pages that listen for events at a time"""


@dataclasses.dataclass
class Monitor:
    """What all requests share."""

    workspace: Workspace
    state: WorkspaceState
    inside: Inside
    assets: dict[str, Asset]
    readings: Readings
    actions: Actions
    stopping: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    readers: int = 0

    def experiment(self, request: Request) -> ExperimentState:
        return self.state.experiment(request.query_params.get("experiment"))


View = Callable[[Monitor, Request], dict[str, Any]]


class Site(NamedTuple):
    """What a server runs, and what it has to tell when it stops."""

    application: Guard
    monitor: Monitor


def site(workspace: Workspace, keys: Keys, *, hosts: list[str], port: int) -> Site:
    """The guarded ASGI application of a workspace, for a server that answers to these hosts on this port."""
    inside = Inside(workspace.path)
    readings = Readings(workspace, inside)
    monitor = Monitor(workspace, WorkspaceState(workspace), inside, read_assets(), readings, Actions(workspace, inside))
    routes = [
        *(Route(path, _page(monitor), methods=["GET"]) for path in PAGES),
        Route("/assets/{name:path}", _asset(monitor), methods=["GET"]),
        Route("/favicon.ico", _asset(monitor, "favicon.svg"), methods=["GET"]),
        *(Route(f"/api/{name}", _view(monitor, view), methods=["GET"]) for name, view in VIEWS.items()),
        Route("/api/stop", _action(monitor, monitor.actions.stop), methods=["POST"]),
        Route("/api/retry", _action(monitor, monitor.actions.retry), methods=["POST"]),
        Route("/api/events", _events(monitor), methods=["GET"]),
    ]
    inner = Starlette(routes=routes, exception_handlers={404: _not_there, 405: _not_so, 500: _broken})
    inner.router.redirect_slashes = False
    return Site(Guard(inner, keys, hosts=hosts, port=port, pages=PAGES), monitor)


# -- views ----------------------------------------------------------------------------------------------------


def _experiments(monitor: Monitor, request: Request) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    for name in monitor.state.names():
        try:
            state = monitor.state.experiment(name)
        except XpmCeError as error:
            found.append({"name": name, "title": "", "planned": None, "counts": {}, "problem": error.what})
            continue
        found.append({
            "name": name, "title": state.plan.get("title", ""), "planned": state.plan.get("planned"),
            "counts": state.counts,
        })  # fmt: skip
    return {"experiments": found, "workspace": str(monitor.workspace.path)}


def _jobs(monitor: Monitor, request: Request) -> dict[str, Any]:
    return monitor.experiment(request).as_json()


def _job(monitor: Monitor, request: Request) -> dict[str, Any]:
    state = monitor.experiment(request)
    identity = request.query_params.get("id", "")
    found = job_in_full(state, monitor.inside, identity, now=time.time())
    return {**found, "retry": monitor.actions.last_retry(identity)}


def _failures(monitor: Monitor, request: Request) -> dict[str, Any]:
    state = monitor.experiment(request)
    return {"experiment": state.experiment, "version": state.version.jobs, "groups": failures(state)}


def _of_results(view: Callable[[Readings, ExperimentState, Asked], dict[str, Any]]) -> View:
    def made(monitor: Monitor, request: Request) -> dict[str, Any]:
        state = monitor.experiment(request)
        return {
            "experiment": state.experiment,
            **view(monitor.readings, state, Asked(request.query_params.multi_items())),
        }

    return made


VIEWS: dict[str, View] = {
    "experiments": _experiments, "jobs": _jobs, "job": _job, "failures": _failures,
    "heatmap": _of_results(table_views.heat_map), "table": _of_results(table_views.table),
    "systems": _of_results(query_views.systems), "queries": _of_results(query_views.queries),
    "query": _of_results(query_views.query), "curves": _of_results(learner_views.curves),
    "ledger": _of_results(learner_views.ledger), "fair": _of_results(learner_views.fair),
}  # fmt: skip


# -- how they are answered ------------------------------------------------------------------------------------


def _view(monitor: Monitor, view: View) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        def made() -> Response:
            try:
                return answer(view(monitor, request))
            except XpmCeError as error:
                return error_answer(error)

        return await run_in_threadpool(made)

    return endpoint


def _action(monitor: Monitor, act: Callable[[ExperimentState, str], str]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            told = json.loads(await request.body())
        except (ValueError, RecursionError):
            return _error("this is not JSON", 400)
        identity = told.get("id") if isinstance(told, dict) else None
        name = told.get("experiment") if isinstance(told, dict) else None
        if not isinstance(identity, str) or not isinstance(name, str | None):
            return _error('an action is told as {"id": JOB, "experiment": NAME}', 400)

        def done() -> Response:
            try:
                state = monitor.state.experiment(name or request.query_params.get("experiment"), at_most_every=0)
                return answer({"ok": True, "message": act(state, identity)})
            except XpmCeError as error:
                return error_answer(error)

        return await run_in_threadpool(done)

    return endpoint


def _page(monitor: Monitor) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        asset = monitor.assets[PAGE]
        return Response(asset.content, media_type=asset.kind)

    return endpoint


def _asset(monitor: Monitor, fixed: str | None = None) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        asset = monitor.assets.get(fixed or request.path_params["name"])
        return _not_there(request) if asset is None else Response(asset.content, media_type=asset.kind)

    return endpoint


def _events(monitor: Monitor) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        if monitor.readers >= MOST_READERS:
            return _error("too many pages listen", 503, "Close some of them.")
        since = _number(request.query_params.get("since") or request.headers.get("last-event-id"))
        job = request.query_params.get("id") or None
        try:
            state = await run_in_threadpool(monitor.experiment, request)
            if job is not None:
                state.job(job)
        except XpmCeError as error:
            return error_answer(error)

        async def counted() -> Any:
            monitor.readers += 1
            try:
                async for each in events(state, monitor.inside, since=since, job=job, stopping=monitor.stopping):
                    yield each
            finally:
                monitor.readers -= 1

        return StreamingResponse(counted(), media_type="text/event-stream")

    return endpoint


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and text.isascii() and len(text) < 16 else None


def _error(what: str, status: int, remedy: str = "") -> Response:
    return answer({"error": {"what": what, "where": "", "remedy": remedy}}, status)


def _not_there(request: Request, error: Exception | None = None) -> Response:
    return _error("there is nothing at this address", 404, "The views are listed in docs/monitor.md.")


def _not_so(request: Request, error: Exception | None = None) -> Response:
    return _error("this address is not asked in this way", 405)


def _broken(request: Request, error: Exception) -> Response:
    logger.error("a request failed", exc_info=error)
    return _error("the monitor met a fault of its own", 500, "Its terminal shows it; please report it.")
