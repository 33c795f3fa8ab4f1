"""Tables say where their rows were computed with different versions, processors or threads."""

from pathlib import Path

import pytest
from fixtures.planted_results import PlantedStudy

from xpm_ce import atomic
from xpm_ce.analysis.results import read_results
from xpm_ce.analysis.tables import make_tables
from xpm_ce.analysis.tables_latex import latex

ALIKE = {"python": "3.11.7", "packages": {"torch": "2.13.0", "numpy": "2.4.6"}, "processor": "A", "threads": 1}


def table(path: Path, *environments):
    """Of one learner for each environment, a loss each."""
    planted = PlantedStudy(path, axes={"loss": [f"loss{number}" for number in range(len(environments))]})
    for number, environment in enumerate(environments):
        learner = planted.learner({"loss": f"loss{number}"})
        atomic.write_json(learner / "outputs.json", {"schema": 1, "environment": environment, "files": []})
        planted.result({"loss": f"loss{number}"}, {"nDCG@10": [0.5]}, learner=learner)
    planted.write()
    (made,) = make_tables(read_results(planted.workspace, planted.experiment))
    return made


def test_rows_that_were_computed_alike_have_no_note(tmp_path):
    made = table(tmp_path, ALIKE, ALIKE)
    assert made.differing == {}
    assert made.as_json()["environments"] == {}
    assert "environments" not in made.render()


def test_a_note_names_the_versions_and_the_rows_of_each(tmp_path):
    made = table(tmp_path, ALIKE, {**ALIKE, "packages": {**ALIKE["packages"], "torch": "2.12.1"}})
    assert made.differing == {"torch": {"2.13.0": ("loss0",), "2.12.1": ("loss1",)}}
    assert "Computed in different environments: torch 2.13.0 (loss0), 2.12.1 (loss1)." in made.render()
    assert made.as_json()["environments"] == made.differing
    assert "Computed in different environments" in latex([made], label="t")


@pytest.mark.parametrize(("field", "value"), [("processor", "B"), ("threads", 2), ("python", "3.12.1")])
def test_processor_threads_and_python_count_too(tmp_path, field, value):
    assert list(table(tmp_path, ALIKE, {**ALIKE, field: value}).differing) == [field]


def test_of_many_rows_the_note_gives_the_number(tmp_path):
    made = table(tmp_path, *[ALIKE] * 4, {**ALIKE, "processor": "B"})
    assert "processor A (4 rows), B (loss4)." in made.render()
