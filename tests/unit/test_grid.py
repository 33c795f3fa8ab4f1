"""Axes of the grid: what they set, how they are called, what they refuse."""

import pytest

from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.graph.grid import grid_points, read_axes
from xpm_ce.settings.document import load

SECTIONS = ("learner", "collection")


def document(tmp_path, text):
    file = tmp_path / "study.yaml"
    file.write_text(text)
    return load(file)


def axes_of(tmp_path, text):
    read = document(tmp_path, text)
    return read, read_axes(read.get("grid"), sections=SECTIONS)


def test_a_list_axis_sets_every_path_before_the_comma_and_after(tmp_path):
    read, axes = axes_of(tmp_path, "learner: {seed: 0}\ngrid:\n  learner.seed, learner.scorer.head_seed: [1, 2]\n")
    points = list(grid_points(read, axes))
    assert [coordinates for coordinates, _ in points] == [{"seed": "1"}, {"seed": "2"}]
    assert points[1][1].plain()["learner"] == {"seed": 2, "scorer": {"head_seed": 2}}


def test_named_points_set_several_paths_under_one_label(tmp_path):
    text = "grid:\n  loss:\n    A: {learner.loss: bce, learner.steps: 3}\n    B: {learner.loss: {type: hinge}}\n"
    read, axes = axes_of(tmp_path, text)
    points = list(grid_points(read, axes))
    assert [coordinates["loss"] for coordinates, _ in points] == ["A", "B"]
    assert points[0][1].plain()["learner"] == {"loss": "bce", "steps": 3}
    assert points[1][1].plain()["learner"] == {"loss": {"type": "hinge"}}


def test_the_grid_is_the_product_of_its_axes_in_the_order_written(tmp_path):
    read, axes = axes_of(tmp_path, "grid:\n  learner.loss: [a, b]\n  learner.seed: [1, 2, 3]\n")
    labels = [(point["loss"], point["seed"]) for point, _ in grid_points(read, axes)]
    assert labels == [("a", "1"), ("a", "2"), ("a", "3"), ("b", "1"), ("b", "2"), ("b", "3")]


def test_a_value_of_the_grid_keeps_the_line_that_wrote_it(tmp_path):
    read, axes = axes_of(tmp_path, "learner: {}\ngrid:\n  learner.loss:\n    - bce\n    - nonsense\n")
    changed = [point for _, point in grid_points(read, axes)][1]
    assert changed.require("learner.loss").where.endswith("study.yaml:5")


def test_without_a_grid_there_is_one_point(tmp_path):
    read, axes = axes_of(tmp_path, "learner: {steps: 3}\n")
    assert [coordinates for coordinates, _ in grid_points(read, axes)] == [{}]


def test_a_path_into_an_unknown_section_names_the_nearest_one(tmp_path):
    with pytest.raises(UnknownKeyError, match=r"unknown section in a grid path lerner\n  Did you mean learner\?"):
        axes_of(tmp_path, "grid:\n  lerner.loss: [a]\n")


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("learner.loss: []", "the axis learner.loss has no value"),
        ("learner.loss: bce", "the axis learner.loss has no value"),
        ("learner.loss: [bce, bce]", "the axis loss has two points bce"),
        ("loss: {A: bce}", "loss.A must say what it sets"),
        ("{learner.loss: [a], collection.loss: [b]}", "two axes are named loss"),
    ],
)
def test_a_misshapen_axis_is_refused_with_its_line(tmp_path, grid, message):
    text = f"grid: {grid}\n" if grid.startswith("{") else f"grid:\n  {grid}\n"
    with pytest.raises(ConfigurationError, match=message) as caught:
        axes_of(tmp_path, text)
    assert "study.yaml:" in caught.value.where
