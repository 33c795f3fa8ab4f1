"""What the views of results tell, beside what the commands tell of the same files."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from fixtures.asking import ask
from synthetic_workspace import Synthetic

from xpm_ce.analysis.comparison import compare_systems
from xpm_ce.analysis.results import read_results
from xpm_ce.cli.main import cli
from xpm_ce.monitor.guard import Keys
from xpm_ce.monitor.server import VIEWS, site
from xpm_ce.workspace import Workspace


class Views:
    """The views of a workspace, asked as a script asks."""

    def __init__(self, workspace: Workspace):
        self.workspace, keys = workspace, Keys()
        self.headers = {"authorization": f"Bearer {keys.bearer}"}
        self.application = site(workspace, keys, hosts=["127.0.0.1"], port=8642).application

    def __call__(self, view: str, *, status: int = 200):
        answer = ask(self.application, f"/api/{view}", headers=self.headers)
        assert answer.status == status, answer.body
        return answer.json

    def printed(self, *words: str):
        """What a command prints as JSON."""
        result = CliRunner().invoke(cli, [*words, "--workdir", str(self.workspace.path)], catch_exceptions=False)
        return json.loads(result.stdout)


@pytest.fixture(scope="module")
def views(drawn) -> Views:
    return Views(drawn)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory) -> Views:
    return Views(Synthetic(tmp_path_factory.mktemp("views") / "workspace", jobs=400).workspace)


WORDS = {
    "table": ("table", "--json"),
    "table?measure=RR%4010&depth=1000": ("table", "--json", "-m", "RR@10", "-d", "1000"),
    "table?cols=protocol&rows=loss,backbone&protocol=DL*": (
        "table", "--json", "--cols", "protocol", "--rows", "loss,backbone", "-p", "DL*"
    ),
    "table?baseline=loss%3DBCE&correction=bh&alpha=0.1": (
        "table", "--json", "--baseline", "loss=BCE", "--correction", "bh", "--alpha", "0.1"
    ),
}  # fmt: skip


@pytest.mark.parametrize("address", WORDS)
def test_a_table_is_the_one_that_the_command_prints(views, address):
    printed, told = views.printed(*WORDS[address]), views(address)
    assert {name: told[name] for name in printed} == printed
    assert len(told["shown"]) == len(printed["tables"])


def test_the_cells_shown_are_those_of_the_printed_table(views):
    from xpm_ce.analysis.table_request import TableRequest

    request = TableRequest(baselines=("loss=BCE",))
    (table, *_) = request.tables(read_results(views.workspace, "study"))
    (shown, *_) = views("table?baseline=loss%3DBCE")["shown"]
    assert [row["text"] for row in shown["rows"]] == list(table.rows)
    for row in shown["rows"]:
        texts = [table.text_of(row["text"], column) for column in table.column_keys]
        assert [cell["text"] for cell in row["cells"]] == texts
    marked = {
        (row["text"], at): cell["mark"] for row in shown["rows"] for at, cell in enumerate(row["cells"]) if cell["mark"]
    }
    for at, column in enumerate(table.column_keys):
        best, second = table.best(column)
        assert {row for (row, place), mark in marked.items() if (place, mark) == (at, "best")} == best
        assert {row for (row, place), mark in marked.items() if (place, mark) == (at, "second")} == second


def test_a_heat_map_has_the_cells_of_the_table_and_those_that_are_missing(views):
    (table, *_) = views.printed("table", "--json", "-p", "SciFact")["tables"]
    told = views("heatmap?protocol=SciFact")
    assert (told["rows"], told["cols"]) == (["BCE", "InfoNCE"], ["BERT", "ELECTRA"])
    for row, cells in zip(told["rows"], told["cells"], strict=True):
        for column, cell in zip(told["cols"], cells, strict=True):
            found = table["cells"][row].get(column, {"mean": None, "values": []})
            assert cell["value"] == found["mean"]
            assert (cell["done"], cell["expected"]) == (len(found["values"]), 2)
            assert len(cell["jobs"]) == 2
    assert sum(cell["expected"] - cell["done"] for cells in told["cells"] for cell in cells) == 1
    assert told["first_stage"] == table["cells"]["BM25"]["BERT"]["mean"]


def test_a_heat_map_of_what_has_no_result_yet_shows_what_is_planned(synthetic):
    told = synthetic("heatmap?protocol=ArguAna&measure=RR%4010")
    assert told["measure"] == "RR@10"
    assert told["rows"]
    assert any(cell["expected"] and not cell["done"] for cells in told["cells"] for cell in cells if cell)


def test_systems_can_be_compared_by_their_keys_and_the_test_is_that_of_compare(views):
    keys = [each["key"] for each in views("systems")["systems"]]
    assert {"BM25", "loss=BCE backbone=BERT"} <= {" ".join(sorted(key.split(), reverse=True)) for key in keys}
    a, b = keys[0], keys[-1]
    told = views(f"queries?a={quoted(a)}&b={quoted(b)}&protocol=DL19")
    assert [told["a"], told["b"]] == [a, b]
    results = read_results(views.workspace, "study")
    (line,) = compare_systems(
        results, "BM25", "loss=InfoNCE,backbone=ELECTRA", protocols=("DL19",), measures=("nDCG@10",)
    ).lines
    assert told["test"] == json.loads(json.dumps(line.as_json()))
    assert (told["wins"], told["ties"], told["losses"]) == (line.wins, line.ties, line.losses)
    differences = [each["difference"] for each in told["queries"]]
    assert len(differences) == 43
    assert differences == sorted(differences, reverse=True)
    assert told["mean_b"] - told["mean_a"] == pytest.approx(sum(differences) / 43)


def test_queries_are_sorted_as_asked(views):
    a, b = "BM25", quoted(views("systems")["systems"][-1]["key"])
    wins, losses, ids = (
        views(f"queries?a={a}&b={b}&protocol=DL19&sort={order}")["queries"] for order in ("wins", "losses", "id")
    )
    assert wins == losses[::-1]
    assert [each["id"] for each in ids] == sorted(each["id"] for each in wins)
    views(f"queries?a={a}&b={b}&sort=colour", status=400)


def test_a_query_whose_run_is_not_kept_is_told_without_documents(views):
    a, b = "BM25", quoted(views("systems")["systems"][-1]["key"])
    told = views(f"query?a={a}&b={b}&protocol=DL19&query=dl19-000003")
    assert [each["documents"] for each in told["rankings"]] == [[], []]
    views(f"query?a={a}&b={b}&protocol=DL19&query=nothing", status=404)


def test_curves_are_those_of_the_plot(synthetic):
    from xpm_ce.analysis.plots.training import training

    told = synthetic("curves")
    drawn = training(read_results(synthetic.workspace, "synthetic"))
    points = [
        (group["row"], group["column"], group["quantity"], *values, group["seeds"])
        for group in told["groups"]
        for values in zip(group["documents"], group["mean"], group["low"], group["high"], strict=True)
    ]
    assert points == [tuple(row) for row in drawn.rows]
    one = told["learners"][0]["id"]
    assert [each["id"] for each in synthetic(f"curves?id={one}")["learners"]] == [one]
    synthetic("curves?id=nothing", status=404)


def test_a_ledger_is_told_in_sections_and_whole(synthetic):
    learner = synthetic("curves")["learners"][0]["id"]
    told = synthetic(f"ledger?id={learner}")
    fields = {each["field"]: each["value"] for section in told["sections"] for each in section["fields"]}
    assert fields == {"steps": 60, "documents": 3840, "seconds": 60.0}


def test_status_prints_what_the_page_shows(synthetic):
    printed, told = synthetic.printed("status", "--json"), synthetic("jobs")
    for jobs in (printed["jobs"], told["jobs"]):
        for job in jobs:
            job.pop("seconds")
    assert {**printed, "version": 0} == {**told, "version": 0}


def quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text)


def test_no_view_loads_torch_and_the_start_loads_neither_experimaestro_nor_numpy(drawn):
    views = [*VIEWS, "queries?a=BM25&b=BM25&protocol=DL19", "table?baseline=loss%3DBCE"]
    code = f"""
import asyncio, sys
sys.path.insert(0, "tests")
from pathlib import Path
from fixtures.asking import asked
from xpm_ce.cli import monitor, status
from xpm_ce.monitor import serving
from xpm_ce.monitor.guard import Keys
from xpm_ce.monitor.server import site
from xpm_ce.workspace import Workspace
keys = Keys()
application = site(Workspace(Path({str(drawn.path)!r})), keys, hosts=["127.0.0.1"], port=8642).application
headers = {{"authorization": f"Bearer {{keys.bearer}}"}}
asyncio.run(asked(application, "/api/jobs", headers=headers))
early = {{"experimaestro", "numpy", "pydantic", "torch", "pyarrow", "matplotlib"}} & set(sys.modules)
for view in {views!r}:
    assert asyncio.run(asked(application, f"/api/{{view}}", headers=headers)).status < 500
late = {{"torch", "transformers", "tokenizers", "matplotlib"}} & set(sys.modules)
print("LOADED", sorted(early), sorted(late))
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip().endswith("LOADED [] []")


def test_an_empty_workspace_is_served_and_fills(tmp_path):
    views = Views(Workspace(tmp_path / "workspace"))
    assert views("experiments")["experiments"] == []
    assert "xpm-ce run" in views("jobs", status=404)["error"]["remedy"]
    Synthetic(tmp_path / "workspace", jobs=30)
    assert [each["name"] for each in views("experiments")["experiments"]] == ["synthetic"]
    assert len(views("jobs")["jobs"]) == 30
    views("jobs?experiment=other", status=404)
