"""Tables of results: rows, columns, seeds, what is missing."""

import pytest

from xpm_ce.analysis.results import ResultRow, Results
from xpm_ce.analysis.tables import make_tables

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
