"""`xpm-ce table` as it is called: formats, files, baselines, the jobs behind a cell, and what is refused."""

import csv
import io
import json

import pytest
from click.testing import CliRunner

from xpm_ce.cli.table import command
from xpm_ce.errors import ConfigurationError, UnknownKeyError

BESIDE = ("--rows", "backbone,loss", "--cols", "protocol")


def call(workspace, *arguments: str) -> str:
    result = CliRunner().invoke(
        command, ["study", *arguments, "--workdir", str(workspace.path)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("a.tex", "% Needs \\usepackage{booktabs}"),
        ("a.csv", "backbone,loss,seed"),
        ("a.md", "nDCG@10 x 100"),
        ("a.json", "{"),
    ],
)
def test_the_ending_of_the_file_says_the_format(name, begin, drawn, tmp_path):
    assert call(drawn, *BESIDE, "--output", str(tmp_path / name)) == ""
    assert (tmp_path / name).read_text().startswith(begin)
    assert (tmp_path / name).read_text().endswith("\n")


def test_a_format_that_is_named_goes_before_the_ending(drawn, tmp_path):
    call(drawn, "--format", "csv", "--output", str(tmp_path / "a.tex"))
    assert (tmp_path / "a.tex").read_text().startswith("backbone,loss,seed")


def test_json_and_format_json_are_the_same(drawn):
    assert json.loads(call(drawn, *BESIDE, "--json")) == json.loads(call(drawn, *BESIDE, "--format", "json"))


def test_the_csv_holds_every_value_that_the_table_is_made_of(drawn):
    rows = list(csv.DictReader(io.StringIO(call(drawn, *BESIDE, "--format", "csv"))))
    table = json.loads(call(drawn, *BESIDE, "--json"))["tables"][0]
    own = [
        float(row["value"])
        for row in rows
        if (row["backbone"], row["loss"], row["protocol"]) == ("BERT", "BCE", "DL20")
    ]
    assert own == table["cells"]["BERT, BCE"]["DL20"]["values"]
    assert {row["identity"] for row in rows} >= set(table["cells"]["BERT, BCE"]["DL20"]["jobs"])


def test_a_test_without_a_baseline_compares_with_nothing(drawn):
    with pytest.raises(ConfigurationError, match="--test t compares with nothing"):
        call(drawn, "--test", "t")
    assert "↑" not in call(drawn, "--baseline", "BCE", "--test", "none")


def test_too_few_draws_for_a_family_are_told(drawn):
    few = call(drawn, *BESIDE, "--baseline", "BM25", "--test", "randomisation", "--draws", "200")
    assert "200 draws give no p below 0.005, too few for any mark over 11 comparisons" in few
    assert "too few" not in call(drawn, *BESIDE, "--baseline", "BM25", "--test", "randomisation")


def test_a_cell_is_explained_by_its_jobs(drawn):
    (cell,) = json.loads(call(drawn, *BESIDE, "--explain", "electra,infonce,scifact", "--json"))["cells"]
    assert (cell["row"], cell["column"]) == ("ELECTRA, InfoNCE", "SciFact")
    assert [each["value"] is None for each in cell["values"]] == [False, True]  # the second seed is not there yet
    assert [job["kind"] for job in cell["values"][0]["jobs"]] == ["measure", "rerank", "retrieve", "learn"]
    assert all(job["folder"].endswith(job["id"]) for each in cell["values"] for job in each["jobs"])


def test_a_cell_that_there_is_not_is_refused(drawn):
    with pytest.raises(UnknownKeyError, match=r"--explain: unknown row BERTA"):
        call(drawn, *BESIDE, "--explain", "BERTA,BCE,DL19")
    with pytest.raises(ConfigurationError, match=r"no such cell\n  Columns: DL19, DL20, SciFact, DL"):
        call(drawn, *BESIDE, "--explain", "BERT,BCE,DL18")
