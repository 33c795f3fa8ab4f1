"""Heat map, curves, table, queries and ledger in a real browser, against what the command line says."""

import json
import re

import pytest
from waiting import until

pytest_plugins = ("browsing",)
pytestmark = pytest.mark.browser


@pytest.fixture
def tiny(monitors, tiny_workspace, pages):
    """A page of the tiny study, which has run."""
    return lambda path, **options: pages(monitors(tiny_workspace), path, **options)


@pytest.fixture
def grid(monitors, drawn, pages):
    """A page of drawn results: four losses on two backbones, some of them not there yet."""
    return lambda path, **options: pages(monitors(drawn.path), path, **options)


@pytest.fixture
def told(run_command):
    """What a command says with --json of a workspace."""

    def say(workspace, *arguments):
        process = run_command("xpm-ce", *arguments, "--json", "--workdir", workspace)
        assert process.returncode == 0, process.stderr
        return json.loads(process.stdout)

    return say


def test_the_heat_map_has_the_values_of_the_table(grid, drawn, told):
    page = grid("/heatmap")
    cells = page.locator("td.heat")
    cells.first.wait_for()
    shown = {text.split("\n")[0] for text in cells.all_inner_texts()}
    table = told(drawn.path, "table")["tables"][0]
    means = {
        f"{100 * cell['mean']:.1f}"
        for row, cells in table["cells"].items()
        for cell in cells.values()
        if cell["mean"] is not None
    }
    values = {text.split(" ")[0] for text in shown if text[0].isdigit()}
    assert values
    assert values <= means
    page.get_by_role("button", name="− first stage").click()
    until(page, "document.querySelector('td.heat').innerText.match(/^[+−±]/)")


def test_a_cell_of_the_heat_map_leads_to_its_jobs(grid):
    page = grid("/heatmap")
    page.locator("td.heat a").first.click()
    page.wait_for_selector('.grid .body [role="row"]')
    assert "filter=" in page.url
    assert page.locator('.grid .body [role="row"]').count() > 0


def test_curves_are_drawn_and_said(tiny):
    page = tiny("/curves")
    plot = page.get_by_role("img", name=re.compile("training loss of infonce against documents seen"))
    plot.wait_for()
    assert page.locator("canvas").count() == 2
    drawn_pixels = plot.locator("canvas").evaluate(
        "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(each => each > 0)"
    )
    assert drawn_pixels
    page.get_by_text("Where each line stands").click()
    assert page.get_by_role("row", name=re.compile("^infonce")).first.is_visible()
    page.get_by_label("Learner").select_option(index=1)
    until(page, "document.querySelectorAll('canvas').length === 1")
    assert "id=" in page.url


def test_the_table_is_the_one_of_the_command_line(grid, drawn, told):
    page = grid("/table")
    table = page.get_by_role("table").first
    table.wait_for()
    expected = told(drawn.path, "table")["tables"][0]
    assert page.locator("figcaption").first.inner_text().startswith(expected["measure"])
    for name, cells in expected["cells"].items():
        row = table.get_by_role("row", name=re.compile(f"^{re.escape(name)}"))
        shown = row.first.inner_text()
        assert all(f"{100 * cell['mean']:.1f}" in shown for cell in cells.values() if cell["mean"] is not None)


def test_a_baseline_brings_marks_and_a_note_that_names_the_test(grid):
    page = grid("/table")
    compare = page.get_by_label("Compare with")
    compare.wait_for()
    page.locator("tbody tr").first.wait_for()
    compare.select_option(index=3)
    page.get_by_text(re.compile("paired t-test")).first.wait_for()
    assert "baseline=" in page.url


def test_queries_are_compared_and_both_rankings_stand_side_by_side(tiny, tiny_workspace, told):
    page = tiny("/queries?a=BM25")
    page.locator('.grid .body [role="row"]').first.wait_for()
    outcomes = page.get_by_role("img", name=re.compile("^B wins on"))
    wins, ties, losses = map(int, re.findall(r"\d+", outcomes.get_attribute("aria-label")))
    assert wins + ties + losses == 16
    line = told(tiny_workspace, "compare", "BM25", "loss=infonce", "-p", "test", "-m", "nDCG@10")["lines"][0]
    assert (line["wins"], line["ties"], line["losses"]) == (wins, ties, losses)
    page.locator('.grid .body [role="row"]').first.click()
    rankings = page.locator(".ranking")
    rankings.nth(1).wait_for()
    assert rankings.count() == 2
    a, b = (rankings.nth(side).locator("strong").all_inner_texts() for side in (0, 1))
    assert len(a) == len(b) == 10
    places = rankings.nth(0).locator(".places").all_inner_texts()
    found = [re.search(r"(\d+) in the other", text) for text in places]
    there = {document: int(each[1]) for document, each in zip(a, found, strict=True) if each}
    assert there
    assert all(b[rank - 1] == document for document, rank in there.items() if rank <= 10)
    assert len(rankings.nth(0).locator("p.text").first.inner_text().split()) > 3
    assert page.locator(".grade.relevant").count() > 0
    differences = page.locator(".grid .body .cell.difference").all_inner_texts()
    values = [float(text.replace("−", "-").replace("±", "")) for text in differences]
    assert values == sorted(values)


def test_a_shared_address_opens_the_same_query(tiny):
    page = tiny("/queries?a=BM25")
    page.locator('.grid .body [role="row"]').first.click()
    page.locator(".ranking").first.wait_for()
    heading = page.get_by_role("complementary").get_by_role("heading", level=2).inner_text()
    page.reload()
    page.locator(".ranking").first.wait_for()
    assert page.get_by_role("complementary").get_by_role("heading", level=2).inner_text() == heading


def test_the_ledger_of_a_learner_and_what_differs_beside_another(tiny):
    page = tiny("/ledger")
    page.get_by_role("heading", name="Seen").wait_for()
    assert page.locator(".ledger").get_by_text("steps", exact=True).is_visible()
    page.get_by_label("Beside").select_option(index=1)
    page.get_by_role("heading", name="Under study: loss").wait_for()
    assert page.get_by_role("row", name=re.compile("^loss InfoNCE MarginMSE")).is_visible()


@pytest.mark.parametrize("view", ["jobs", "failures", "heatmap", "curves", "table", "ledger"])
def test_every_view_has_its_twin_as_json(tiny, view):
    page = tiny(f"/{view}")
    twin = page.locator("a.twin").first
    twin.wait_for()
    answer = page.request.get(page.url.partition(f"/{view}")[0] + twin.get_attribute("href"))
    assert answer.ok
    assert answer.json()["schema"] == 1
