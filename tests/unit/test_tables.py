"""Tables of results: rows, columns, seeds, what is missing."""

import pytest
from conftest import STUDY

from xpm_ce.analysis.layouts import Layout
from xpm_ce.analysis.results import ResultRow, Results
from xpm_ce.analysis.tables import make_tables
from xpm_ce.analysis.tables_csv import long_form
from xpm_ce.analysis.tables_latex import latex
from xpm_ce.analysis.tables_text import markdown
from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.graph.build import planned
from xpm_ce.graph.study import Study
from xpm_ce.workspace import Workspace

LAYOUT = {
    "rows": "loss", "columns": "backbone", "over": "seed", "row_labels": ["BCE", "InfoNCE"],
    "column_labels": ["BERT", "Ettin"], "protocols": ["test"], "measures": ["nDCG@10", "RR@10"], "depths": [20, 100],
}  # fmt: skip


def row(system, mean, order="given", depth=100, measure="nDCG@10", job="j", **coordinates):
    return ResultRow(system, "test", coordinates, order, depth, measure, 50, mean, job)


def table(*rows, **arguments):
    (made,) = make_tables(Results("study", LAYOUT, list(rows), []), **arguments)
    return made


def test_a_cell_is_the_mean_and_the_sample_deviation_over_seeds():
    made = table(
        row("trained", 0.5, loss="BCE", backbone="BERT", seed="1"),
        row("trained", 0.7, loss="BCE", backbone="BERT", seed="2"),
    )
    cell = made.cells["BCE"]["BERT"]
    assert cell.mean == pytest.approx(0.6)
    assert cell.std == pytest.approx(0.1414213562)  # sqrt(((0.1)^2 + (0.1)^2) / (2 - 1))
    assert cell.render() == "60.0 ± 14.1"


def test_the_first_stage_and_its_bounds_come_first_and_fill_every_column():
    made = table(
        row("trained", 0.5, loss="InfoNCE", backbone="BERT", seed="1"),
        row("trained", 0.4, loss="BCE", backbone="BERT", seed="1"),
        row("untrained", 0.1, backbone="Ettin", seed="1"),
        row("first stage", 0.2, order="random", **{"first stage": "BM25"}),
        row("first stage", 0.9, order="ceiling", **{"first stage": "BM25"}),
        row("first stage", 0.3, **{"first stage": "BM25"}),
    )
    assert list(made.cells) == [
        "BM25", "BM25, best order of its documents", "BM25, random order of its documents", "untrained", "BCE",
        "InfoNCE",
    ]  # fmt: skip
    assert {column: cell.mean for column, cell in made.cells["BM25"].items()} == {"BERT": 0.3, "Ettin": 0.3}
    assert list(made.cells["untrained"]) == ["Ettin"]


def test_two_first_stages_are_two_rows_never_two_seeds_of_one():
    made = table(
        row("first stage", 0.3, k1="0.9", **{"first stage": "BM25"}),
        row("first stage", 0.4, k1="1.2", **{"first stage": "BM25"}),
        row("model", 0.5, model="theirs"),
    )
    assert {label: cells["BERT"].values for label, cells in made.cells.items()} == {
        "BM25, 0.9": (0.3,), "BM25, 1.2": (0.4,), "model, theirs": (0.5,),
    }  # fmt: skip


def test_a_missing_cell_is_a_dash_never_a_number():
    made = table(row("trained", 0.5, loss="BCE", backbone="BERT", seed="1"))
    assert made.render().splitlines()[-1] == "| BCE  | 50.0 | –     |"


def test_the_main_measure_at_the_largest_depth_is_shown_unless_another_is_asked_for():
    rows = [
        row("trained", value, depth=depth, measure=measure, loss="BCE", backbone="BERT", seed="1")
        for value, depth, measure in [(0.1, 20, "nDCG@10"), (0.2, 100, "nDCG@10"), (0.3, 20, "RR@10")]
    ]
    assert table(*rows).cells["BCE"]["BERT"].mean == 0.2
    assert table(*rows, measures=["RR@10"], depths=[20]).cells["BCE"]["BERT"].mean == 0.3


def test_two_protocols_never_share_a_table():
    layout = {**LAYOUT, "protocols": ["test", "other"]}
    rows = [
        row("trained", 0.5, loss="BCE", backbone="BERT", seed="1"),
        ResultRow("trained", "other", {"loss": "BCE", "backbone": "BERT"}, "given", 100, "nDCG@10", 9, 0.9, "k"),
    ]
    made = make_tables(Results("study", layout, rows, []))
    assert [(t.protocol, t.cells["BCE"]["BERT"].values) for t in made] == [("test", (0.5,)), ("other", (0.9,))]


def test_an_axis_that_is_neither_row_nor_column_nor_averaged_is_part_of_the_row():
    made = table(
        row("trained", 0.5, loss="BCE", backbone="BERT", seed="1", rate="1e-5"),
        row("trained", 0.7, loss="BCE", backbone="BERT", seed="1", rate="1e-4"),
    )
    assert list(made.cells) == ["BCE, 1e-5", "BCE, 1e-4"]


# -- rows, columns and aggregates as asked ------------------------------------------------------------------


def results(*rows, missing=(), **layout):
    return Results("study", {**LAYOUT, **layout}, list(rows), list(missing))


def trained(mean, protocol="test", queries=50, seed="1", **given):
    coordinates = {"loss": "BCE", "backbone": "BERT", "seed": seed, **given}
    job = f"{protocol} {coordinates}"
    return ResultRow("trained", protocol, coordinates, "given", 100, "nDCG@10", queries, mean, job)


def absent(protocol="test", system="trained", **coordinates):
    return {"job": f"{protocol} {coordinates}", "system": system, "protocol": protocol, "coordinates": coordinates}


def laid_out(found, **asked):
    return make_tables(found, layout=Layout.of(found, **asked))


def test_two_axes_are_two_columns_of_labels_and_the_untrained_stand_with_their_backbone():
    (made,) = laid_out(
        results(
            trained(0.5, loss="InfoNCE"), trained(0.4), row("untrained", 0.1, backbone="BERT", seed="1"),
            row("first stage", 0.3, **{"first stage": "BM25"}), trained(0.6, backbone="Ettin"),
            row("model", 0.7, model="theirs"),
        ),
        rows=["backbone", "loss"],
    )  # fmt: skip
    assert [each.labels for each in made.rows.values()] == [
        ("BM25", ""), ("model, theirs", ""), ("BERT", "untrained"), ("BERT", "BCE"), ("BERT", "InfoNCE"),
        ("Ettin", "BCE"),
    ]  # fmt: skip
    assert made.render().splitlines()[2] == "| backbone      | loss      |      |"


def test_protocols_as_columns_have_a_column_each():
    (made,) = laid_out(
        results(trained(0.5), trained(0.9, "other", 9), protocols=["test", "other"]), columns=["protocol"]
    )
    assert made.columns == ["test", "other"]
    assert made.queries == {"test": 50, "other": 9}
    assert made.protocol is None


@pytest.mark.parametrize("axis", ["protocol", "measure", "depth"])
def test_protocols_measures_and_depths_never_share_a_column(axis):
    found = results(trained(0.5))
    with pytest.raises(ConfigurationError, match=f"two {axis}s never share a column"):
        Layout.of(found, rows=[axis])
    with pytest.raises(ConfigurationError, match="never share a column"):
        Layout.of(found, aggregate=f"{axis}:mean")


def test_sets_of_one_name_and_different_queries_are_tables_of_their_own_and_never_one_column():
    found = results(trained(0.5, queries=50), trained(0.9, queries=9, loss="InfoNCE"))
    assert [made.queries for made in make_tables(found)] == [{"test": 50}, {"test": 9}]
    with pytest.raises(ConfigurationError, match="two protocols are named test, one of 50 queries, one of 9"):
        laid_out(found, columns=["protocol"])


def test_an_axis_that_there_is_not_and_one_in_two_places_are_refused():
    found = results(trained(0.5))
    with pytest.raises(UnknownKeyError, match="unknown axis los"):
        Layout.of(found, rows=["los"])
    with pytest.raises(ConfigurationError, match="loss cannot stand in two places"):
        Layout.of(found, rows=["loss"], columns=["loss"])
    with pytest.raises(ConfigurationError, match=r"--agg seed:median is not understood"):
        Layout.of(found, aggregate="seed:median")


def test_another_axis_can_be_averaged_and_the_deviation_left_out():
    found = results(trained(0.4), trained(0.6, loss="InfoNCE"), trained(0.8, seed="2"))
    (made,) = laid_out(found, rows=["seed"], columns=["backbone"], aggregate="loss:mean")
    assert made.cells["1"]["BERT"].values == (0.4, 0.6)
    assert made.text_of("1", "BERT") == "50.0"


def test_an_axis_of_the_grid_named_depth_is_not_taken_for_the_depth_of_results():
    found = results(trained(0.4, depth="30"), trained(0.6, depth="60"), rows="depth", row_labels=["30", "60"])
    (made,) = make_tables(found)
    assert {label: cells["BERT"].values for label, cells in made.cells.items()} == {
        "30, BCE": (0.4,), "60, BCE": (0.6,),
    }  # fmt: skip


def test_each_protocol_is_shown_with_its_own_main_measure_and_depth_unless_asked_otherwise():
    main = {"test": {"measure": "nDCG@10", "depth": 100}, "other": {"measure": "RR@10", "depth": 20}}
    rows = [
        ResultRow("trained", protocol, {"loss": "BCE", "backbone": "BERT"}, "given", depth, measure, 50, 0.5, "j")
        for protocol in ("test", "other")
        for depth in (20, 100)
        for measure in ("nDCG@10", "RR@10")
    ]
    found = results(*rows, protocols=["test", "other"], main=main)
    assert [(made.protocol, made.measure, made.depth) for made in make_tables(found)] == [
        ("test", "nDCG@10", 100), ("other", "RR@10", 20),
    ]  # fmt: skip
    (beside,) = laid_out(found, columns=["protocol"])
    assert (beside.measure, beside.depth) == ("nDCG@10", None)
    assert {name: cell.measured for name, cell in beside.cells["BCE, BERT"].items()} == {
        "test": ("nDCG@10", 100), "other": ("nDCG@10", 20),
    }  # fmt: skip


# -- what is not there --------------------------------------------------------------------------------------


def test_an_absent_cell_is_a_dash_and_is_listed_and_a_lacking_seed_is_told():
    found = results(
        trained(0.5),
        missing=[absent(loss="BCE", backbone="BERT", seed="2"), absent(loss="InfoNCE", backbone="Ettin", seed="1")],
    )
    (made,) = make_tables(found)
    lines = made.render().splitlines()
    assert "| BCE     | 50.0 (1 of 2) | –     |" in lines
    assert "| InfoNCE | –             | –     |" in lines
    assert lines[-2:] == ["Not there yet: BCE | BERT (seed 2).", "Not there yet: InfoNCE | Ettin (seed 1)."]
    assert [each["over"] for each in made.as_json()["missing"]] == [["2"], ["1"]]
    assert made.as_json()["cells"]["InfoNCE"] == {}


AVERAGED = {"protocols": ["a", "b", "c"], "averages": {"ID": ["a", "b"], "OOD": ["c"], "all": ["a", "b", "c"]}}


def test_a_mean_over_protocols_is_taken_seed_by_seed():
    values = {("a", "1"): 0.2, ("a", "2"): 0.4, ("b", "1"): 0.6, ("b", "2"): 1.0}
    rows = [trained(mean, protocol, seed=seed) for (protocol, seed), mean in values.items()]
    (made,) = laid_out(results(*rows, **AVERAGED), columns=["protocol"])
    cell = made.cells["BCE, BERT"]["ID"]
    assert cell.values == pytest.approx((0.4, 0.7))
    assert cell.std == pytest.approx(0.3 / 2**0.5)
    assert made.columns == ["a", "b", "c", "ID", "OOD", "all"]


def test_a_mean_over_protocols_is_there_only_where_every_one_is_complete():
    rows = [trained(0.2, "a"), trained(0.4, "b"), trained(0.4, "b", seed="2"), trained(0.6, "c")]
    lacking = absent("c", loss="BCE", backbone="BERT", seed="2")
    (made,) = laid_out(results(*rows, missing=[lacking], **AVERAGED), columns=["protocol"])
    # a lacks seed 2 (never planned), c lacks it (planned): neither mean is of the same seeds
    assert not made.cells["BCE, BERT"].keys() & {"ID", "OOD", "all"}
    assert "| – " in made.render()


def test_protocols_are_chosen_by_patterns_and_means_need_all_of_theirs():
    rows = [trained(0.2, "a@x"), trained(0.4, "b@x"), trained(0.6, "a@y")]
    plan = {"protocols": ["a@x", "b@x", "a@y"], "averages": {"x": ["a@x", "b@x"], "all": ["a@x", "b@x", "a@y"]}}
    found = results(*rows, **plan)
    (made,) = make_tables(found, protocols=["*@x"], layout=Layout.of(found, columns=["protocol"]))
    assert made.columns == ["a@x", "b@x", "x"]
    assert [each.protocol for each in make_tables(found, protocols=["a@*"])] == ["a@x", "a@y"]
    with pytest.raises(UnknownKeyError, match=r"--protocol: unknown protocol \*@z"):
        make_tables(found, protocols=["*@z"])


def test_queries_without_a_result_are_listed():
    found = results(trained(0.5))
    found.without_result[found.rows[0].job] = ["q7", "q9"]
    (made,) = make_tables(found)
    assert made.notes() == ["Without a result, counted as 0: 2 queries of test for BCE (q7, q9)."]


# -- best and second ----------------------------------------------------------------------------------------


def test_the_best_and_the_second_are_those_of_the_printed_values_among_systems_that_compete():
    (made,) = make_tables(
        results(
            trained(0.70041), trained(0.70049, loss="InfoNCE"), trained(0.6, loss="Hinge"), trained(0.5, loss="X"),
            row("first stage", 0.9, order="ceiling", **{"first stage": "BM25"}),
            row("untrained", 0.8, backbone="BERT", seed="1"),
        )
    )  # fmt: skip
    assert made.best("BERT") == ({"BCE", "InfoNCE"}, {"Hinge"})
    assert "**70.0**" in markdown(made)
    assert "<u>60.0</u>" in markdown(made)


def test_nothing_is_best_where_all_are_alike_or_something_lacks():
    (alike,) = make_tables(results(trained(0.7), trained(0.7, loss="InfoNCE")))
    assert alike.best("BERT") == (set(), set())
    lacking = absent(loss="InfoNCE", backbone="BERT", seed="1")
    (incomplete,) = make_tables(results(trained(0.7), trained(0.6, loss="Hinge"), missing=[lacking]))
    assert incomplete.best("BERT") == (set(), set())


# -- formats ------------------------------------------------------------------------------------------------


def test_latex_writes_out_what_means_something_else_there():
    found = results(trained(0.5, loss="50% & $x_1$ #{~^}\\"))
    text = latex(make_tables(found), label="my study")
    assert r"50\% \& \$x\_1\$ \#\{\textasciitilde{}\textasciicircum{}\}\textbackslash{}" in text
    assert r"\label{tab:mystudy}" in text


def test_a_protocol_with_a_short_name_has_it_in_print_and_the_caption_says_what_it_is():
    found = results(trained(0.5), trained(0.6, "dl19@bm25-1000", 43), protocols=["test", "dl19@bm25-1000"],
                    abbreviations={"dl19@bm25-1000": "DL19"})  # fmt: skip
    text = latex(laid_out(found, columns=["protocol"]), label="s")
    assert "loss & backbone & test & DL19" in text
    assert "Queries: test 50, DL19 = dl19@bm25-1000 43." in text
    assert "Queries: test 50, dl19@bm25-1000 43." in laid_out(found, columns=["protocol"])[0].render()


def test_the_long_form_has_one_line_a_value_at_full_precision():
    found = results(trained(1 / 3), trained(0.25, seed="2"))
    lines = long_form(make_tables(found), found).splitlines()
    assert lines[0] == "loss,backbone,seed,protocol,query_count,measure,value,identity,depth,system,order"
    assert lines[1].startswith("BCE,BERT,1,test,50,nDCG@10,0.3333333333333333,")
    assert len(lines) == 3


def test_means_over_sets_that_there_are_not_are_refused_with_their_line(tmp_path):
    text = STUDY + "table: {averages: {ID: [test, tset]}}\n"
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(UnknownKeyError, match=rf"study.yaml:{text.count(chr(10))}: unknown evaluation set tset"):
        planned(Study.load(tmp_path / "study.yaml"), Workspace(tmp_path / "workspace"))
    (tmp_path / "study.yaml").write_text(text.replace("tset", "test"))
    plan = planned(Study.load(tmp_path / "study.yaml"), Workspace(tmp_path / "workspace"))
    assert plan.table["averages"] == {"ID": ["test", "test"]}
    assert plan.table["axes"] == {"loss": ["InfoNCE", "MarginMSE", "ADR-MSE"], "seed": ["1", "2"]}


def test_a_table_of_which_nothing_is_there_yet_has_no_number_of_queries_in_its_title():
    planned_only = Results("study", LAYOUT, [], [absent(loss="BCE", backbone="BERT", seed="1")])
    assert make_tables(planned_only) == []
    (made,) = make_tables(planned_only, empty=True)
    assert made.title == "nDCG@10 x 100 on test, depth 100"
