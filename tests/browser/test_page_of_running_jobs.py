"""A training watched on the page while the real scheduler runs it: it goes on, is stopped, is retried, and ends."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from waiting import until

pytest_plugins = ("browsing",)
pytestmark = [pytest.mark.browser, pytest.mark.pipeline]
TINY = Path(__file__).parent.parent / "studies" / "tiny.yaml"
MINUTE = 60_000
LEARNER = '.grid .body [role="row"]:has(.cell.kind:text-is("learn"))'


@pytest.fixture
def running(workspace_copy, home, tmp_path):
    """The tiny study with one learner of more steps, started; the rest of its jobs is reused."""
    command = [
        Path(sys.executable).with_name("xpm-ce"), "run", TINY, "--workdir", workspace_copy,
        "-c", "learner.steps=600", "-c", "grid={learner.loss: [infonce], learner.seed: [1]}",
    ]  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XPM", "COV"))}
    with (tmp_path / "run.txt").open("wb") as said:
        process = subprocess.Popen(
            [str(each) for each in command], stdout=said, stderr=said, env={**kept, "HOME": str(home)}, cwd=tmp_path
        )
        plan = workspace_copy / "plans" / "tiny" / "plan.json"
        before = plan.stat().st_mtime_ns
        while plan.stat().st_mtime_ns == before and process.poll() is None:
            time.sleep(0.05)
        yield workspace_copy
        process.terminate()
        process.wait(timeout=30)


def test_a_training_goes_on_is_stopped_is_retried_and_ends(running, monitors, pages):
    page = pages(monitors(running), None)
    page.set_default_timeout(MINUTE)
    page.locator(f"{LEARNER}.running .figure", has_text=re.compile(r"[1-9]\d* %")).wait_for()
    page.locator(".summary-line", has_text=re.compile(r"\d+ of \d+ jobs done, about .* left")).wait_for()
    first = float(page.locator(f"{LEARNER} .bar").get_attribute("aria-valuenow"))
    until(page, f"Number(document.querySelector('.row.running .bar')?.ariaValueNow) > {first}", within=MINUTE)
    page.locator(LEARNER).click()
    panel = page.get_by_role("complementary")
    panel.get_by_role("log").get_by_text("[xpm] Running task").wait_for()

    panel.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop it").click()
    page.locator(f"{LEARNER}.interrupted").wait_for()
    assert page.locator(".row.blocked, .row.waiting").count() == 2  # its re-ranking and measures

    panel.get_by_role("button", name="Retry").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry it").click()
    page.locator(f"{LEARNER}.running").wait_for()
    page.locator(f"{LEARNER}.done").wait_for()
    until(page, "document.querySelectorAll('.grid .body .row:not(.done)').length === 0", within=MINUTE)
    until(page, "!document.querySelector('.summary-line').textContent.includes('left')", within=MINUTE)
    page.get_by_role("link", name="Table").click()
    page.get_by_role("row", name=re.compile("^infonce .*\\d")).wait_for()
