"""Tables with tests: what is compared with what, equal to scipy on the per-query files, and what is not compared."""

import json
import shutil

import numpy as np
import pytest
from pyarrow import parquet
from scipy import stats

from xpm_ce.analysis.layouts import Layout
from xpm_ce.analysis.results import read_results
from xpm_ce.analysis.significance import Family, with_tests
from xpm_ce.analysis.statistics.procedure import Procedure
from xpm_ce.analysis.tables import make_tables
from xpm_ce.errors import ConfigurationError, DataError, UnknownKeyError
from xpm_ce.workspace import Workspace

BESIDE = {"rows": ["backbone", "loss"], "columns": ["protocol"]}


def family(workspace, *baselines, layout=None, **asked) -> Family:
    """The comparisons of the first table."""
    results = read_results(workspace, "study")
    table = make_tables(results, layout=Layout.of(results, **(BESIDE if layout is None else layout)))[0]
    made = with_tests(table, results, baselines=baselines, procedure=Procedure(**asked)).tests
    assert made is not None
    return made


def per_query(workspace, protocol: str, **coordinates: str) -> np.ndarray:
    """nDCG@10 by query, seeds averaged, read from the files by other means: [queries]."""
    plan = workspace.read_plan("study")
    found = []
    for result in plan["results"]:
        own = result["coordinates"]
        if result["protocol"] == protocol and all(own.get(axis) == label for axis, label in coordinates.items()):
            path = workspace.job("xpm_ce.evaluate.measure", result["job"]).path / "per_query.parquet"
            if path.exists():
                found.append(parquet.read_table(path)["nDCG@10|1000|given"].to_numpy())
    return np.mean(found, axis=0)


def holm(p_values: list[float]) -> list[float]:
    """By its definition, one comparison at a time."""
    order, adjusted, highest = np.argsort(p_values), [0.0] * len(p_values), 0.0
    for step, index in enumerate(order):
        highest = max(highest, (len(p_values) - step) * p_values[index])
        adjusted[index] = min(1.0, highest)
    return adjusted


def test_comparisons_of_a_table_are_scipys_on_the_per_query_files(drawn):
    made = family(drawn, "loss=BCE")
    expected = {}
    for protocol in ("DL19", "DL20", "SciFact"):
        for backbone in ("BERT", "ELECTRA"):
            ours = per_query(drawn, protocol, backbone=backbone, loss="InfoNCE")
            base = per_query(drawn, protocol, backbone=backbone, loss="BCE")
            expected[f"{backbone}, InfoNCE", protocol] = (ours, base, stats.ttest_rel(ours, base).pvalue)
    del expected["ELECTRA, InfoNCE", "SciFact"]  # a seed of it is not there yet
    assert {(each.row, each.column) for each in made.comparisons} == set(expected)
    adjusted = dict(zip(expected, holm([p for *_, p in expected.values()]), strict=True))
    for each in made.comparisons:
        ours, base, p = expected[each.row, each.column]
        assert each.p == pytest.approx(p, rel=1e-9)
        assert each.adjusted == pytest.approx(adjusted[each.row, each.column], rel=1e-9)
        assert each.difference == pytest.approx(ours.mean() - base.mean())
        assert (each.wins, each.losses) == ((ours - base > 1e-12).sum(), (base - ours > 1e-12).sum())
        assert each.effect == pytest.approx((ours - base).mean() / (ours - base).std(ddof=1))
    assert (made.size, made.incomplete) == (5, 1)


def test_a_baseline_is_a_row_for_all_or_the_one_alike_but_for_an_axis(drawn):
    by_row = {each.row: each.baseline for each in family(drawn, "bm25").comparisons}
    assert set(by_row.values()) == {"BM25"}
    assert set(by_row) == {"BERT, BCE", "BERT, InfoNCE", "ELECTRA, BCE", "ELECTRA, InfoNCE"}
    alike = {each.row: each.baseline for each in family(drawn, "backbone=bert").comparisons}
    assert alike == {"ELECTRA, BCE": "BERT, BCE", "ELECTRA, InfoNCE": "BERT, InfoNCE"}


def test_bounds_scorers_before_training_and_means_are_not_compared(drawn):
    made = family(drawn, "BERT, BCE")
    assert {each.row for each in made.comparisons} == {"BM25", "BERT, InfoNCE", "ELECTRA, BCE", "ELECTRA, InfoNCE"}
    assert {each.column for each in made.comparisons} == {"DL19", "DL20", "SciFact"}


def test_a_mean_over_a_single_protocol_is_not_compared_again(changed):
    workspace, _ = changed
    plan = workspace.read_plan("study")
    plan["table"]["averages"] = {"OOD": ["SciFact"]}
    workspace.plan_file("study").write_text(json.dumps(plan))
    assert {each.column for each in family(workspace, "BM25").comparisons} == {"DL19", "DL20", "SciFact"}


def test_two_baselines_are_compared_with_each_other_once(drawn):
    made = family(drawn, "BM25", "BERT, BCE")
    both = [each for each in made.comparisons if {each.row, each.baseline} == {"BM25", "BERT, BCE"}]
    assert len(both) == 6  # shown in both rows, in three columns
    assert made.size == len(made.comparisons) - 3
    assert {(each.letter, np.sign(each.difference)) for each in both} == {("a", 1), ("b", -1)}


def test_marks_are_arrows_with_the_letters_of_several_baselines(drawn):
    one, two = family(drawn, "BERT, BCE"), family(drawn, "BM25", "ELECTRA, InfoNCE")
    assert (one.marks("BM25", "SciFact"), one.marks("BERT, InfoNCE", "SciFact")) == ("↓", "↑")
    assert one.marks("BERT, BCE", "SciFact") == ""
    assert two.marks("BERT, BCE", "DL19") == "↑a ↓b"
    assert (two.letter_of("BM25"), two.letter_of("BERT, BCE"), one.letter_of("BERT, BCE")) == (" (a)", "", "")


def test_alpha_and_correction_say_what_is_marked(drawn):
    strict = family(drawn, "BERT, BCE", alpha=1e-12)
    assert len([each for each in strict.comparisons if each.adjusted <= 1e-12]) < strict.size
    assert strict.marks("ELECTRA, BCE", "DL19") == ""
    by = {name: family(drawn, "BERT, BCE", correction=name).comparisons for name in ("holm", "bonferroni", "bh")}
    for holm_, bonferroni, bh in zip(*by.values(), strict=True):
        assert bh.adjusted <= holm_.adjusted <= bonferroni.adjusted


def test_a_baseline_that_is_no_row_and_an_alpha_that_is_no_probability_are_refused(drawn):
    with pytest.raises(UnknownKeyError, match=r"unknown row BERT, BEC\n  Did you mean BERT, BCE"):
        family(drawn, "BERT, BEC")
    with pytest.raises(UnknownKeyError, match="unknown value of loss BEC"):
        family(drawn, "loss=BEC")
    with pytest.raises(UnknownKeyError, match="unknown axis of the rows size"):
        family(drawn, "size=2")
    with pytest.raises(ConfigurationError, match="alpha is a probability, not 5"):
        family(drawn, "BM25", alpha=5)


@pytest.fixture
def changed(drawn, tmp_path):
    """A copy of the drawn results whose files may be changed, and the file of the first learner on DL19."""
    shutil.copytree(drawn.path, tmp_path / "copy")
    workspace = Workspace(tmp_path / "copy")
    results = [each for each in workspace.read_plan("study")["results"] if each["system"] == "trained"]
    return workspace, workspace.job("xpm_ce.evaluate.measure", results[0]["job"]).path / "per_query.parquet"


def test_queries_that_a_run_lacks_count_as_zero_and_are_listed(changed):
    workspace, file = changed
    whole = parquet.read_table(file)
    parquet.write_table(whole.slice(3), file)
    made = family(workspace, "BM25")
    assert made.missing == (("BERT, BCE", "DL19", tuple(whole["query_id"].to_pylist()[:3])),)
    (found,) = [each for each in made.comparisons if (each.row, each.column) == ("BERT, BCE", "DL19")]
    first = whole["nDCG@10|1000|given"].to_numpy().copy()
    first[:3] = 0
    second = 2 * per_query_before(workspace, whole, file) - whole["nDCG@10|1000|given"].to_numpy()
    base = per_query(workspace, "DL19", **{"first stage": "BM25"})
    assert found.p == pytest.approx(stats.ttest_rel((first + second) / 2, base).pvalue, rel=1e-9)


def per_query_before(workspace, whole, file) -> np.ndarray:
    """The mean over seeds of the learner whose file was changed, with the file as it was."""
    parquet.write_table(whole, file)
    return per_query(workspace, "DL19", backbone="BERT", loss="BCE")


def test_two_sets_of_queries_in_one_column_are_an_error(changed):
    workspace, file = changed
    whole = parquet.read_table(file)
    other = whole.set_column(0, "query_id", [[f"other-{number}" for number in range(len(whole))]])
    parquet.write_table(other, file)
    with pytest.raises(DataError, match=r"BERT, BCE has values for [\s\S]* Two protocols never share a column"):
        family(workspace, "BM25")


def test_a_damaged_file_is_named(changed):
    workspace, file = changed
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DataError, match=str(file)):
        family(workspace, "BM25")


def test_the_json_form_holds_every_comparison(drawn):
    described = json.loads(json.dumps(family(drawn, "BM25").as_json()))
    assert described["family"] == len(described["comparisons"]) == 11
    assert described["comparisons"][0].keys() >= {"row", "column", "baseline", "p", "adjusted", "effect", "wins"}
