"""The monitor beside a real grid: the link works, closing the terminal ends no job, jobs are stopped and retried."""

import contextlib
import fcntl
import http.cookiejar
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from studies import TINY

from xpm_ce.workspace import JobFolder

pytestmark = pytest.mark.pipeline

LONG = ("-c", "learner.steps=900")
"""A training of some seconds, which can be watched"""


def command(*arguments: object) -> list[str]:
    return [str(Path(sys.executable).with_name("xpm-ce")), *map(str, arguments)]


@pytest.fixture
def environment(home) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XPM", "COV"))}
    return {**kept, "HOME": str(home), "OMP_NUM_THREADS": "1"}


class Page:
    """What a browser does with the monitor: opens its link, keeps the cookies, asks and acts."""

    def __init__(self, link: str, known: set[str]):
        self.known = known
        self.address = link.partition("/?")[0]
        self.cookies = http.cookiejar.CookieJar()
        self.browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        with self.browser.open(link, timeout=20) as answer:
            assert answer.status == 200
            assert answer.headers["content-type"].startswith("text/html")

    def get(self, view: str) -> Any:
        with self.browser.open(f"{self.address}/api/{view}", timeout=20) as answer:
            return json.load(answer)

    def post(self, action: str, identity: str) -> Any:
        token = next(each.value for each in self.cookies if each.name.startswith("xpm_ce_actions_"))
        headers = {"Content-Type": "application/json", "Origin": self.address, "X-XPM-CE-Token": token}
        request = urllib.request.Request(
            f"{self.address}/api/{action}", json.dumps({"id": identity}).encode(), headers, method="POST"
        )
        try:
            with self.browser.open(request, timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)

    def jobs(self, kind: str) -> list[dict[str, Any]]:
        """Those that were not there before the test."""
        return [job for job in self.get("jobs")["jobs"] if job["kind"] == kind and job["id"] not in self.known]


@pytest.fixture
def open_page(environment, workspace_copy) -> Iterator[Callable[[], Page]]:
    """Start the monitor of the workspace and open its link; it ends with the test, by Ctrl-C."""
    started: list[subprocess.Popen[str]] = []

    known = {path.name for path in workspace_copy.glob("jobs/*/*")}

    def opened() -> Page:
        process = subprocess.Popen(
            command("monitor", "--workdir", workspace_copy, "--port", 0, "--json"), stdout=subprocess.PIPE, text=True,
            env=environment,
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        told = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
        return Page(told["link"], known)

    yield opened
    for process in started:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def until(what: Callable[[], Any], *, seconds: float = 240) -> Any:
    """The first value that is true; fails after some time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.2)
    raise AssertionError("it did not come to pass")


def alive(number: int) -> bool:
    return Path(f"/proc/{number}").exists() and "\nState:\tZ" not in Path(f"/proc/{number}/status").read_text()


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # should `nohup` have started the tests


@contextlib.contextmanager
def in_terminal(arguments: list[str], environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process whose controlling terminal is ours to close: gives it and the terminal's other end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True,
        preexec_fn=_take_terminal,
    )  # fmt: skip
    os.close(theirs)
    try:
        yield process, ours
    finally:
        with contextlib.suppress(OSError):
            os.close(ours)
        process.kill()
        process.wait()


@contextlib.contextmanager
def no_job_left(workspace: Path) -> Iterator[None]:
    """End the jobs of a test that failed half-way."""
    try:
        yield
    finally:
        for file in workspace.glob("jobs/*/*/*.pid"):
            number = json.loads(file.read_text())["pid"]
            with contextlib.suppress(ProcessLookupError, OSError):
                if str(workspace).encode() in Path(f"/proc/{number}/cmdline").read_bytes():
                    os.kill(number, signal.SIGKILL)


def test_closing_the_terminal_leaves_a_job_running_which_the_page_stops_and_retries(
    workspace_copy, environment, open_page, run_command
):
    run = command("run", TINY, "--workdir", workspace_copy, *LONG, "-c", "grid.learner.loss=[infonce]")
    with no_job_left(workspace_copy), in_terminal(run, environment) as (process, terminal):
        page = open_page()
        learner = until(lambda: next((job for job in page.jobs("learn") if (job["progress"] or 0) > 0), None))
        assert learner["state"] == "running"
        number = json.loads(next(workspace_copy.glob(f"jobs/*/{learner['id']}/*.pid")).read_text())["pid"]

        os.close(terminal)
        process.wait(20)
        assert alive(number)
        before = next(job for job in page.jobs("learn"))["progress"]
        until(lambda: next(job for job in page.jobs("learn"))["progress"] > before)

        told = json.loads(run_command("xpm-ce", "status", "--json", "--workdir", workspace_copy).stdout)
        shown = page.get("jobs")
        assert {job["id"]: job["state"] for job in told["jobs"]} == {job["id"]: job["state"] for job in shown["jobs"]}
        assert told["kinds"] == shown["kinds"]

        assert page.post("retry", learner["id"])["error"]["what"] == "the job runs"
        assert page.post("stop", learner["id"])["ok"]
        stopped = until(lambda: next((job for job in page.jobs("learn") if job["state"] == "interrupted"), None))
        assert stopped["message"] == "stopped"
        until(lambda: not alive(number))  # it is stopped a moment before it has left
        (rerank,) = page.jobs("rerank")
        assert (rerank["state"], rerank["cause"]) == ("blocked", learner["id"])
        assert "blocked" in page.post("retry", rerank["id"])["error"]["what"]
        assert "does not run" in page.post("stop", learner["id"])["error"]["what"]

        assert page.post("retry", learner["id"])["ok"]
        until(lambda: {job["state"] for kind in ("learn", "rerank", "measure") for job in page.jobs(kind)} == {"done"})
        ended = until(lambda: (found := page.get(f"job?id={learner['id']}")["retry"])["code"] is not None and found)
        assert ended["code"] == 0, ended["text"]
        assert page.get("heatmap")["cells"][0][0]["done"] == 1


def test_a_killed_job_is_retried_while_the_run_it_belongs_to_goes_on(workspace_copy, environment, open_page):
    run = command("run", TINY, "--workdir", workspace_copy, *LONG)
    process = subprocess.Popen(run, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with no_job_left(workspace_copy):
        page = open_page()
        running = until(lambda: (found := page.jobs("learn")) and all(job["progress"] for job in found) and found)
        victim, other = running
        number = json.loads(next(workspace_copy.glob(f"jobs/*/{victim['id']}/*.pid")).read_text())["pid"]
        os.kill(number, signal.SIGKILL)
        until(lambda: page.get(f"job?id={victim['id']}")["state"] == "interrupted")
        (group,) = page.get("failures")["groups"]
        assert group["jobs"] == [victim["id"]]
        assert len(group["blocked"]) == 2

        assert page.post("retry", victim["id"])["ok"]
        until(lambda: page.get(f"job?id={victim['id']}")["state"] in ("running", "done"))
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 1
        assert "Killed" in output
        until(lambda: {job["state"] for job in page.get("jobs")["jobs"]} == {"done"})
        folder = JobFolder(next(workspace_copy.glob(f"jobs/*/{other['id']}")))
        assert len(json.loads((folder.path / "ledger.json").read_text())["executions"]) == 1
