"""The page is quick with 5 000 jobs and everybody can use it: axe-core on every view, light and dark, and narrow."""

import sys
from pathlib import Path

import pytest

pytest_plugins = ("browsing",)
pytestmark = pytest.mark.browser
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FIRST_PAINT_IN = 1.0
"""Seconds: what a reader waits at most"""

VIEWS = {
    "/jobs": ".grid .body .row",
    "/jobs?as=tree": ".grid .body .row",
    "/jobs?as=graph": ".box",
    "/failures": ".heading",
    "/heatmap": "td.heat",
    "/curves": "canvas, .nothing",
    "/table": "tbody tr",
    "/table?baseline=InfoNCE": ".results",
    "/queries?a=BM25": ".outcomes",
    "/ledger": ".ledger, .nothing",
}


def faults(page, *rules: str) -> list[str]:
    """What axe-core finds that is serious or critical, each with the first element that it is about."""
    page.evaluate(AXE.read_text())  # through the debugger: the page's policy lets no foreign script in
    found = page.evaluate(f"axe.run(document, {{runOnly: {list(rules) or RULES}, resultTypes: ['violations']}})")
    assert found["passes"], "axe-core looked at nothing"
    return [
        f"{each['id']} ({each['impact']}): {each['help']}: {each['nodes'][0]['html'][:160]} "
        f"{each['nodes'][0]['any'][0]['message'] if each['nodes'][0]['any'] else ''}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_in_any_view(monitors, tiny_workspace, pages, scheme):
    monitor = monitors(tiny_workspace)
    page = pages(monitor, scheme=scheme)
    rules = () if scheme == "light" else ("color-contrast",)  # nothing but colours depends on the scheme
    for view, sign in VIEWS.items():
        page.goto(monitor.address + view)
        page.locator(sign).first.wait_for()
        assert not faults(page, *rules), view
    page.goto(f"{monitor.address}/queries?a=BM25")
    page.locator(".grid .body .row").first.click()
    page.locator(".ranking").first.wait_for()
    assert not faults(page, *rules), "a query"
    page.goto(f"{monitor.address}/jobs")
    page.locator(".grid .body .row").first.click()
    page.locator(".panel .log").wait_for()
    assert not faults(page, *rules), "a job"


def test_axe_finds_no_serious_fault_among_failures_and_in_questions(monitors, thousands, pages):
    monitor = monitors(thousands)
    page = pages(monitor, "/failures", scheme="dark")
    page.locator(".failure").first.wait_for()
    assert not faults(page)
    page.goto(f"{monitor.address}/jobs?state=failed,interrupted,blocked")
    page.locator(".grid .body .row").first.click()
    page.get_by_role("button", name="Retry").click()
    page.get_by_role("dialog").wait_for()
    assert not faults(page)


def test_no_view_is_scrolled_sideways_on_a_narrow_screen_and_all_can_be_touched(monitors, tiny_workspace, pages):
    monitor = monitors(tiny_workspace)
    page = pages(monitor, viewport={"width": 360, "height": 740})
    for view, sign in VIEWS.items():
        page.goto(monitor.address + view)
        page.locator(sign).first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, view
        assert not faults(page, "target-size", "color-contrast", "scrollable-region-focusable"), view


def test_the_first_paint_of_5000_jobs_comes_within_a_second(monitors, thousands, pages):
    monitor = monitors(thousands)
    page = pages(monitor)
    page.locator(".grid .body .row").first.wait_for()  # the monitor has read the workspace once
    paints, tables = [], []
    for _ in range(5):
        page.goto(f"{monitor.address}/jobs")
        page.locator(".grid .body .row").first.wait_for()
        paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000)
        tables.append(page.evaluate("performance.getEntriesByName('xpm-ce jobs shown')[0].startTime") / 1000)
    sys.stdout.write(
        f"first paint {sorted(paints)[2]:.2f} s, table of 5 000 jobs {sorted(tables)[2]:.2f} s (medians)\n"
    )
    assert min(paints) < FIRST_PAINT_IN  # other work on a loaded machine delays some, never all
    assert min(tables) < 2 * FIRST_PAINT_IN
