"""Chromium, a monitor of a workspace in a process of its own, and pages that report every error of theirs.

Fixtures are here and not in a conftest.py: other rings import theirs by that name. Playwright keeps an event loop
running in this thread, so the browser is closed after each module, before others run loops of their own.
"""

import json
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from synthetic_workspace import Synthetic

ROOT = Path(__file__).parent.parent.parent
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDE = {"width": 1400, "height": 900}
STARTS_IN = 60
"""Seconds in which a monitor prints its link on a loaded machine"""
PATIENCE = 20_000
"""Milliseconds in which a page shows what is expected of it"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Chromium; tests that need it are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra `dev`)")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Monitor:
    """`xpm-ce monitor` on a workspace; its link works once."""

    def __init__(self, workspace: Path, home: Path, *, port: int = 0):
        command = [Path(sys.executable).with_name("xpm-ce"), "monitor", "--workdir", workspace, "--json"]
        command += ["--port", str(port)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XPM", "COV"))}
        self.process = subprocess.Popen(
            [str(each) for each in command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
            env={**kept, "HOME": str(home)},
        )  # fmt: skip
        told = self._told()
        self.link, self.bearer = told["link"], told["bearer"]
        self.address = self.link.partition("/?")[0]

    def _told(self) -> dict[str, str]:
        assert self.process.stdout is not None
        text = b""
        while select.select([self.process.stdout], [], [], STARTS_IN)[0]:
            line = self.process.stdout.readline()
            text += line
            if line.rstrip() == b"}":
                return json.loads(text)
            if not line:
                break
        raise AssertionError(f"the monitor did not start: {text!r} {self.process.stderr.read()!r}")

    def end(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=20)


@pytest.fixture(scope="module")
def monitors(home) -> Iterator[Callable[..., Monitor]]:
    """Start a monitor of a workspace; all are ended after the tests."""
    started: dict[Path, Monitor] = {}

    def monitor(workspace: Path, *, port: int = 0) -> Monitor:
        """The monitor of a workspace; a new one where the earlier has ended."""
        if workspace not in started or started[workspace].process.poll() is not None:
            started[workspace] = Monitor(workspace, home, port=port)
        return started[workspace]

    yield monitor
    for each in started.values():
        if each.process.poll() is None:
            each.end()


@pytest.fixture
def pages(chromium) -> Iterator[Callable[..., Any]]:
    """Open pages of a monitor. A script's error, a refused style or script, or a failed request fails the test.

    `excused` is a pattern of what a test itself brings about.
    """
    contexts, errors = [], []

    def page(
        monitor: Monitor, path: str | None = "/", *, viewport: dict = WIDE, scheme: str = "light", excused: str = "^$"
    ) -> Any:
        def note(text: str) -> None:
            if not re.search(excused, text):
                errors.append(text)

        headers = {} if path is None else {"Authorization": f"Bearer {monitor.bearer}"}
        context = chromium.new_context(viewport=viewport, color_scheme=scheme, extra_http_headers=headers)
        contexts.append(context)
        opened = context.new_page()
        opened.set_default_timeout(PATIENCE)
        opened.on("pageerror", lambda error: note(str(error)))
        opened.on("console", lambda said: note(said.text) if said.type == "error" else None)
        opened.goto(monitor.link if path is None else monitor.address + path)
        return opened

    yield page
    for context in contexts:
        context.close()
    assert not errors


@pytest.fixture(scope="session")
def thousands(tmp_path_factory) -> Iterator[Path]:
    """A workspace of 5 000 synthetic jobs; texts in it hold markup. It is not kept: it has some 16 000 files."""
    path = tmp_path_factory.mktemp("thousands")
    Synthetic(path, jobs=5000)
    yield path
    subprocess.Popen(["rm", "-rf", str(path)], start_new_session=True)  # takes long on a busy disk: nobody waits for it
