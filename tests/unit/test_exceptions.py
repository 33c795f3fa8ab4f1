"""Cells of a grid that differ from the product of its axes."""

import pytest

from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.graph.study import Study
from xpm_ce.settings.document import load

STUDY = """
id: grid
collection: {type: generated}
first_stage: {type: bm25}
training_set: {type: mined}
learner: {steps: 5}
evaluation: {}
grid:
  loss: {BCE: {learner.loss: bce}, InfoNCE: {learner.loss: infonce}}
  backbone: {small: {learner.scorer: s}, large: {learner.scorer: l}}
  learner.seed: [1, 2]
"""


def study(tmp_path, exceptions):
    (tmp_path / "study.yaml").write_text(f"{STUDY}exceptions: {exceptions}\n")
    return Study.of(load(tmp_path / "study.yaml"))


def steps(of):
    return {
        tuple(coordinates.values()): document.require("learner.steps").text for coordinates, document in of.points()
    }


def test_an_exception_sets_values_in_its_cells_and_in_no_other(tmp_path):
    found = steps(study(tmp_path, "[{where: {loss: BCE, backbone: [small]}, set: {learner.steps: 9}}]"))
    assert {cell for cell, value in found.items() if value == "9"} == {("BCE", "small", "1"), ("BCE", "small", "2")}
    assert len(found) == 8


def test_exceptions_come_after_the_axes_and_the_later_of_two_holds(tmp_path):
    of = study(
        tmp_path,
        "[{where: {backbone: small}, set: {learner.seed: 7, learner.steps: 8}}, "
        "{where: {loss: [BCE, InfoNCE], seed: 2}, set: {learner.steps: 9}}]",
    )
    assert steps(of)["InfoNCE", "small", "1"] == "8"
    assert steps(of)["InfoNCE", "small", "2"] == "9"
    assert {document.require("learner.seed").text for _, document in of.points()} == {"1", "2", "7"}


def test_an_axis_touches_what_exceptions_set_depending_on_it(tmp_path):
    of = study(tmp_path, "[{where: {seed: 1}, set: {first_stage.k1: 1.2}}]")
    assert of.axes_of_data() == ["seed"]
    assert study(tmp_path, "[]").axes_of_data() == []


@pytest.mark.parametrize(
    ("exceptions", "kind", "message"),
    [
        (
            "[{where: {los: BCE}, set: {learner.steps: 9}}]",
            UnknownKeyError,
            r"axis of the grid los\n  Did you mean loss",
        ),
        ("[{where: {loss: BCD}, set: {learner.steps: 9}}]", UnknownKeyError, "Did you mean BCE"),
        ("[{where: {loss: BCE}, set: {lerner.steps: 9}}]", UnknownKeyError, "Did you mean learner"),
        ("[{where: {loss: BCE}, sets: {learner.steps: 9}}]", UnknownKeyError, "Did you mean exceptions.0.set"),
        ("[{where: {loss: BCE}}]", ConfigurationError, "says where it holds and what it sets"),
        ("{where: {loss: BCE}}", ConfigurationError, "exceptions is a list"),
    ],
)
def test_what_names_nothing_is_refused_with_its_line(tmp_path, exceptions, kind, message):
    with pytest.raises(kind, match=message) as refused:
        study(tmp_path, exceptions)
    assert "study.yaml:12" in refused.value.where
