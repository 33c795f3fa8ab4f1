"""The page of jobs in a real browser: the link, filters, order, tree and graph, keys, 5 000 jobs."""

import json
import re

import pytest
from synthetic_workspace import Synthetic
from waiting import until

NARROW = {"width": 360, "height": 740}
pytest_plugins = ("browsing",)
pytestmark = pytest.mark.browser
ROW = '.grid .body [role="row"]'


@pytest.fixture
def many(monitors, thousands, pages):
    """A page of 5 000 jobs, once they are shown."""

    def open_(path: str = "/", **options):
        page = pages(monitors(thousands), path, **options)
        page.wait_for_selector(ROW)
        return page

    return open_


def shown(page, cell: str) -> list[str]:
    return page.locator(f"{ROW} .cell.{cell}").all_inner_texts()


def test_the_link_opens_the_page_and_leaves_no_secret_in_the_address(monitors, tiny_workspace, pages):
    page = pages(monitors(tiny_workspace), None)
    page.get_by_role("heading", name="A tiny study").wait_for()
    assert "token" not in page.url
    page.reload()
    page.get_by_role("grid", name="Jobs of tiny").wait_for()
    assert page.get_by_text("17 of 17 jobs done").is_visible()


def test_words_axes_and_states_narrow_the_jobs_down_and_stand_in_the_address(many):
    page = many()
    status = page.get_by_role("main").get_by_role("status")
    page.keyboard.press("/")
    page.keyboard.type("loss=bce backbone=electra set=fiqa")
    until(page, "document.querySelectorAll('.grid .body .row').length < 20")
    places = shown(page, "place")
    assert places
    assert all("BCE · ELECTRA" in place and "FiQA" in place for place in places)
    assert "filter=loss%3Dbce" in page.url
    assert re.match(r"\d+ of 5 000 jobs", status.inner_text())
    page.get_by_label("Filter the jobs").fill("")
    page.get_by_role("button", name=re.compile("^failed")).click()
    until(page, "document.querySelectorAll('.grid .body .row').length < 10")
    assert set(shown(page, "state")) == {"failed"}
    page.get_by_label("Kind").select_option("measure")
    page.get_by_text("No job matches.").wait_for()
    page.go_back()
    until(page, "document.querySelectorAll('.grid .body .row').length > 1")
    assert set(shown(page, "state")) == {"failed"}


def test_a_shared_address_shows_the_same(many):
    page = many("/jobs?kind=learn&state=done&sort=-time&filter=seed%3D1")
    times = page.locator(f"{ROW} .cell.time").all_inner_texts()
    assert page.get_by_label("Filter the jobs").input_value() == "seed=1"
    assert set(shown(page, "kind")) == {"learn"}
    assert page.get_by_role("columnheader", name="Time").get_attribute("aria-sort") == "descending"
    seconds = [float(time.removesuffix(" s")) if " s" in time else 60.0 for time in times]
    assert seconds == sorted(seconds, reverse=True)


def test_a_header_sorts_and_what_needs_a_look_comes_first(many):
    page = many()
    assert shown(page, "state")[0] == "failed"
    page.get_by_role("button", name="Place").click()
    until(page, "new URLSearchParams(location.search).get('sort') === 'place'")
    page.wait_for_timeout(200)
    assert page.get_by_role("columnheader", name="Place").get_attribute("aria-sort") == "ascending"


def test_only_rows_in_sight_are_drawn_and_arrows_reach_all_of_them(many):
    page = many()
    assert page.locator(ROW).count() < 80
    page.locator(ROW).first.focus()
    page.keyboard.press("End")
    until(page, "document.activeElement.getAttribute('aria-rowindex') === '5001'")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    until(page, "document.activeElement.getAttribute('aria-rowindex') === '3'")


def test_enter_opens_a_job_arrows_go_on_and_escape_closes(many):
    page = many()
    page.locator(ROW).first.focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("complementary")
    first = panel.get_by_role("heading", level=2).inner_text()
    page.keyboard.press("ArrowDown")
    until(page, f"document.querySelector('.panel h2').innerText !== {json.dumps(first)}")
    assert "id=" in page.url
    page.keyboard.press("Escape")
    panel.wait_for(state="detached")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "row"


def test_markup_in_names_and_messages_stays_text(monitors, thousands, pages):
    page = pages(monitors(thousands), "/failures")
    page.get_by_text("<i>not finite</i>").first.wait_for()
    page.goto(page.url.replace("/failures", "/jobs?filter=script&kind=learn"))
    page.wait_for_selector(ROW)
    assert '<script>alert("loss")</script>' in shown(page, "place")[0]
    assert page.locator("main script, main i, main b").count() == 0


def test_the_tree_has_each_job_once_below_what_it_follows(many):
    page = many("/jobs?as=tree&filter=loss%3DBCE+backbone%3DELECTRA+seed%3D1")
    kinds = page.locator(f"{ROW} .branch > .twig + span").all_inner_texts()
    assert kinds[:2] == ["collection", "store"]
    assert kinds.count("learn") == 1
    assert kinds.count("measure") == kinds.count("rerank") > 1
    learner = page.locator(f"{ROW}[aria-level='3']", has_text="BCE · ELECTRA · seed 1").first
    assert learner.get_attribute("aria-expanded") == "true"
    learner.focus()
    page.keyboard.press("ArrowLeft")
    until(page, "document.activeElement.getAttribute('aria-expanded') === 'false'")
    assert "toggled=" in page.url


def test_the_graph_has_a_box_per_kind_and_shows_one_alone(many):
    page = many()
    page.get_by_role("button", name="Graph").click()
    boxes = page.locator(".box")
    boxes.first.wait_for()
    assert [text.split("\n")[0] for text in boxes.all_inner_texts()] == [
        "collection", "store", "retrieve", "learn", "rerank", "measure"
    ]  # fmt: skip
    boxes.filter(has_text="learn").click()
    until(page, "location.search.includes('kind=learn')")


def test_failures_stand_under_their_root_cause_with_what_they_block(monitors, thousands, pages):
    page = pages(monitors(thousands), "/failures")
    causes = page.locator(".failure")
    causes.first.wait_for()
    assert causes.first.get_by_role("heading", level=2).inner_text().startswith("DataError")
    assert causes.first.get_by_text("Lower learner.learning_rate.").is_visible()
    assert causes.first.get_by_role("heading", name=re.compile("jobs blocked by them")).is_visible()
    causes.first.get_by_role("link", name=re.compile("^failed learn")).first.click()
    page.get_by_role("button", name="Retry").wait_for()


def test_a_narrow_screen_shows_jobs_without_scrolling_sideways(many):
    page = many(viewport=NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator(ROW).first.click()
    panel = page.get_by_role("complementary")
    panel.wait_for()
    assert panel.bounding_box()["width"] == 360
    panel.get_by_role("button", name="Close").click()
    panel.wait_for(state="detached")


def test_changes_arrive_by_themselves(monitors, tmp_path, pages):
    synthetic = Synthetic(tmp_path / "workspace", jobs=600)
    with synthetic.live():
        page = pages(monitors(synthetic.workspace.path), "/jobs?state=running")
        page.locator(f"{ROW} .bar").first.wait_for()
        synthetic.tell(0.5)
        page.get_by_text("50 %").first.wait_for()
        synthetic.tell(0.9)
        page.get_by_text("90 %").first.wait_for()


def test_a_monitor_that_goes_away_is_said_calmly_and_what_was_shown_stays(monitors, tmp_path, pages):
    workspace = Synthetic(tmp_path / "workspace", jobs=200).workspace.path
    monitor = monitors(workspace)
    page = pages(monitor, None, excused="ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|ERR_EMPTY|401")
    page.locator(ROW).first.wait_for()
    monitor.end()
    page.get_by_text("reconnecting").wait_for()
    assert page.locator(ROW).count() > 0
    assert page.get_by_role("alert").count() == 0
    monitors(workspace, port=int(monitor.address.rpartition(":")[2]))  # which lets in nobody with an old cookie
    page.get_by_role("alert").get_by_text("Run `xpm-ce monitor` again").wait_for()
    assert page.locator(ROW).count() > 0


def test_an_empty_workspace_says_what_to_do_and_shows_the_first_plan_when_it_comes(monitors, tmp_path, pages):
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    page = pages(monitors(workspace), "/heatmap", excused="404")
    page.get_by_role("alert").get_by_text("no experiment was planned here yet").wait_for()
    page.get_by_text("nothing yet").wait_for()
    Synthetic(workspace, jobs=200)
    page.get_by_role("navigation").get_by_role("link", name="Jobs").click()
    page.locator(ROW).first.wait_for()
    assert page.get_by_role("alert").count() == 0
