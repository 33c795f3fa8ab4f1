"""Published numbers beside planted results: what counts as reproduced, what deviates, what is not run."""

import json
from collections import Counter
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from fixtures.planted_results import PlantedStudy

from xpm_ce.analysis.expected import read_expected
from xpm_ce.analysis.verify import Verdict, expected_file, verify
from xpm_ce.cli.verify import command
from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.workspace import Workspace

ROOT = Path(__file__).parents[2]
SETS = ["dl19@bm25-100", "dl20@bm25-100"]

NUMBERS = {
    "schema": 1, "experiment": "planted", "title": "A paper", "source": "table 1", "measure": "nDCG@10",
    "columns": {
        "DL19": {"sets": SETS[0], "tolerance": 0.01},
        "DL19+20": {"sets": SETS, "tolerance": 0.01},
        "Col": {"unavailable": "no such first stage", "tolerance": 0.01},
    },
    "recipes": {
        "r": {"steps": 100, "scorer.max_length": 288, "learning_rate": 1.0e-5, "ledger.documents_per_step": 32},
    },
    "known": ["the paper's seeds are others"],
    "rows": [
        {"at": {"loss": "BCE"}, "recipe": "r", "values": [0.5, 0.6, 0.7]},
        {"at": {"loss": "Hinge"}, "recipe": "r", "values": [0.4, None, None]},
        {"label": "an LLM", "values": [0.9, None, None]},
    ],
}  # fmt: skip

FIELDS = {"steps": 100, "scorer.max_length": 288, "learning_rate": 1e-5}


def written(path: Path, content=NUMBERS, **changed) -> Path:
    file = path / "expected.yaml"
    file.write_text(yaml.safe_dump({**content, **changed}, sort_keys=False))
    return file


def study(path: Path, *, dl19=(0.5, 0.5), dl20=(0.7, 0.7), fields=FIELDS, there=True) -> PlantedStudy:
    """BCE with two seeds on both sets."""
    planted = PlantedStudy(path / "ws")
    for seed, (first, second) in enumerate(zip(dl19, dl20, strict=True)):
        at = {"loss": "BCE", "seed": str(seed)}
        learner = planted.learner(at, fields=fields, ledger={"documents_per_step": 32.0})
        planted.result(at, {"nDCG@10": [first, first]}, protocol=SETS[0], learner=learner)
        planted.result(at, {"nDCG@10": [second, second]}, protocol=SETS[1], learner=learner, there=there or not seed)
    return planted


def cells(path: Path, planted: PlantedStudy, **changed):
    verification = verify(planted.write(), read_expected(written(path, **changed)))
    return {(cell.row.name, cell.column.name): cell for cell in verification.cells}, verification


def test_a_number_within_its_tolerance_is_reproduced(tmp_path):
    found, verification = cells(tmp_path, study(tmp_path, dl19=(0.50, 0.52)))
    assert found["BCE", "DL19"].verdict is Verdict.REPRODUCED
    assert found["BCE", "DL19"].measured == pytest.approx(0.51)
    assert found["BCE", "DL19"].seeds == 2
    assert found["BCE", "DL19"].differences == ()
    assert found["BCE", "DL19+20"].measured == pytest.approx((0.51 + 0.7) / 2)
    assert found["BCE", "DL19+20"].verdict is Verdict.REPRODUCED
    assert verification.counts == {"reproduced": 2, "deviates": 0, "not run": 3}
    assert "50.0 = 51.0" in verification.render()


def test_a_number_outside_its_tolerance_deviates_with_the_fields_that_differ(tmp_path):
    changed = {"steps": 50, "scorer.max_length": 288, "learning_rate": 1e-5}
    found, verification = cells(tmp_path, study(tmp_path, dl19=(0.50, 0.5202), fields=changed))
    cell = found["BCE", "DL19"]
    assert cell.verdict is Verdict.DEVIATES
    assert [(each.field, each.a, each.b) for each in cell.differences] == [("steps", 100, 50)]
    rendered = verification.render()
    assert "BCE, DL19 (nDCG@10): 0.5000 published, 0.5101 measured over 2 seeds, +0.0101 (tolerance 0.01)" in rendered
    assert "steps" in rendered
    assert "-50 %" in rendered
    assert "the paper's seeds are others" in rendered


def test_a_deviation_that_no_recorded_field_explains_says_so(tmp_path):
    _, verification = cells(tmp_path, study(tmp_path, dl19=(0.3, 0.3)))
    assert "no recorded field of the published training differs" in verification.render()
    bare = [{**row, "recipe": None} for row in NUMBERS["rows"]]
    bare = [{key: value for key, value in row.items() if value is not None} for row in bare]
    verification = verify(Workspace(tmp_path / "ws"), read_expected(written(tmp_path, rows=bare)))
    assert "nothing is recorded of how the published number came to be" in verification.render()


def test_fields_of_nested_configurations_and_of_the_ledger_are_compared(tmp_path):
    recipe = {"r": {"scorer.max_length": 512, "ledger.documents_per_step": 64, "ledger.absent": 1, "absent.too": 2}}
    found, _ = cells(tmp_path, study(tmp_path, dl19=(0.3, 0.3)), recipes=recipe)
    assert {each.field: each.b for each in found["BCE", "DL19"].differences} == {
        "scorer.max_length": 288, "ledger.documents_per_step": 32.0, "ledger.absent": None, "absent.too": None,
    }  # fmt: skip


def test_the_training_of_a_teacher_does_not_explain_the_students_deviation(tmp_path):
    planted = PlantedStudy(tmp_path / "ws")
    at = {"loss": "BCE"}
    teacher = planted.learner({"teacher": "0"}, fields={**FIELDS, "steps": 7})
    student = planted.learner(at, fields=FIELDS, ledger={"documents_per_step": 16.0}, after=[teacher])
    planted.result(at, {"nDCG@10": [0.3, 0.3]}, protocol=SETS[0], learner=student)
    found, _ = cells(tmp_path, planted)
    differences = [(each.field, each.a, each.b) for each in found["BCE", "DL19"].differences]
    assert differences == [("ledger.documents_per_step", 32, 16.0)]


def test_a_cell_of_which_a_seed_is_not_there_is_not_run(tmp_path):
    found, _ = cells(tmp_path, study(tmp_path, there=False))
    assert found["BCE", "DL19"].verdict is Verdict.REPRODUCED
    assert found["BCE", "DL19+20"].verdict is Verdict.NOT_RUN
    assert found["BCE", "DL19+20"].reason == "3 of its 4 results are there"
    assert found["BCE", "DL19+20"].measured is None


def test_reasons_for_not_run(tmp_path):
    planted = study(tmp_path)
    found, verification = cells(tmp_path, planted)
    assert found["BCE", "Col"].reason == "no such first stage"
    assert found["Hinge", "DL19"].reason == "the plan holds no such system"
    assert found["an LLM", "DL19"].reason == "no recipe here makes this system"
    assert ("Hinge", "Col") not in found  # nothing is published
    columns = {"X": {"sets": "dl19@splade-100", "tolerance": 0.01}, "Y": {"sets": SETS[0], "tolerance": 0.01}}
    rows = [{"at": {"loss": "BCE"}, "values": [0.5, 0.5]}]
    columns["Y"]["measure"] = "AP(rel=2)"
    found, _ = cells(tmp_path, planted, columns=columns, rows=rows)
    assert found["BCE", "X"].reason == "the plan does not measure dl19@splade-100"
    assert found["BCE", "Y"].reason == "the plan does not measure AP(rel=2) on dl19@bm25-100"
    assert "1  the plan holds no such system" in verification.render()


def test_an_experiment_that_was_never_planned_has_no_cell_that_is_run(tmp_path):
    verification = verify(Workspace(tmp_path), read_expected(written(tmp_path)))
    assert verification.counts == {"reproduced": 0, "deviates": 0, "not run": 5}


def test_the_numbers_of_another_experiment_are_not_compared(tmp_path):
    with pytest.raises(ConfigurationError, match="published numbers of planted, not of other"):
        verify(Workspace(tmp_path), read_expected(written(tmp_path)), experiment="other")


def test_a_place_that_means_two_systems_is_refused(tmp_path):
    planted = PlantedStudy(tmp_path / "ws")
    for rate in ("1e-5", "2e-5"):
        planted.result({"loss": "BCE", "rate": rate, "seed": "1"}, {"nDCG@10": [0.5]}, protocol=SETS[0])
        planted.result({"loss": "BCE", "rate": rate, "seed": "1"}, {"nDCG@10": [0.5]}, protocol=SETS[1])
    with pytest.raises(ConfigurationError, match="BCE means 2 systems of the plan"):
        cells(tmp_path, planted)


def test_the_first_stage_and_models_are_systems_too(tmp_path):
    planted = PlantedStudy(tmp_path / "ws")
    planted.result({"first stage": "BM25"}, {"nDCG@10": [0.48]}, protocol=SETS[0], system="first stage")
    planted.result({"model": "theirs"}, {"nDCG@10": [0.7]}, protocol=SETS[0], system="model")
    rows = [
        {"at": {"system": "first stage"}, "label": "BM25", "values": [0.48, None, None]},
        {"at": {"model": "theirs"}, "values": [0.6, None, None]},
    ]
    found, _ = cells(tmp_path, planted, rows=rows)
    assert found["BM25", "DL19"].verdict is Verdict.REPRODUCED
    assert found["theirs", "DL19"].verdict is Verdict.DEVIATES


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"schema": 2}, ConfigurationError, "schema 2 is not 1"),
        ({"colums": {}}, UnknownKeyError, "Did you mean columns"),
        ({"rows": []}, ConfigurationError, "at least one entry"),
        ({"columns": {"A": {"sets": "dl19@bm25-100"}}}, ConfigurationError, "column A: tolerance is missing"),
        ({"columns": {"A": {"sets": "dl18@bm25-100", "tolerance": 0.1}}}, UnknownKeyError, "dl18"),
        ({"columns": {"A": {"sets": "t", "tolerance": 1}}}, ConfigurationError, "the tolerance is 1"),
        ({"columns": {"A": {"tolerance": 0.1}}}, ConfigurationError, "has sets, or says why"),
        ({"rows": [{"at": {"loss": "BCE"}, "values": [0.5]}]}, ConfigurationError, "row 1: values is a list of 3"),
        ({"rows": [{"at": {"a": "b"}, "values": [50.1, None, None]}]}, ConfigurationError, "50.1 is not a value"),
        ({"rows": [{"values": [0.5, None, None]}]}, ConfigurationError, "a place .at:. or a label"),
        ({"rows": [{"label": "x", "values": [None] * 3, "recipe": "q"}]}, UnknownKeyError, "unknown recipe q"),
        ({"rows": [NUMBERS["rows"][0]] * 2}, ConfigurationError, "the row BCE stands twice"),
        ({"source": ""}, ConfigurationError, "the numbers have no source"),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_refused(tmp_path, changed, error, message):
    with pytest.raises(error, match=message):
        read_expected(written(tmp_path, **changed))


def test_a_file_that_is_not_there_or_no_yaml_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_expected(tmp_path / "expected.yaml")
    (tmp_path / "expected.yaml").write_text("a: [")
    with pytest.raises(ConfigurationError, match="no YAML"):
        read_expected(tmp_path / "expected.yaml")


def test_the_command_prints_the_table_and_the_same_as_json(tmp_path):
    study(tmp_path, dl19=(0.3, 0.3)).write()
    file = written(tmp_path)
    arguments = [str(tmp_path), "--workdir", str(tmp_path / "ws")]
    text = CliRunner().invoke(command, arguments)
    assert text.exit_code == 0, text.output
    assert "5 published numbers, 0 reproduced, 2 deviates, 3 not run" in text.output
    data = json.loads(CliRunner().invoke(command, [*arguments, "--json"]).output)
    assert (data["schema"], data["experiment"], data["expected"]) == (1, "planted", str(file))
    assert data["counts"] == {"reproduced": 0, "deviates": 2, "not run": 3}
    assert Counter(cell["verdict"] for cell in data["cells"]) == {"deviates": 2, "not run": 3}
    (deviating,) = [cell for cell in data["cells"] if cell["column"] == "DL19" and cell["verdict"] == "deviates"]
    assert len(deviating["jobs"]) == 2
    assert deviating["measured"] == pytest.approx(0.3)


def test_the_file_of_a_planned_experiment_is_found_beside_its_yaml(tmp_path):
    planted = study(tmp_path)
    workspace = planted.write()
    assert expected_file(workspace, str(tmp_path / "a.yaml")) == tmp_path / "expected.yaml"
    with pytest.raises(ConfigurationError, match=r"no expected\.yaml stands beside"):
        expected_file(workspace, "planted")
    plan = workspace.plan_file("planted")
    plan.write_text(plan.read_text().replace('"files": []', f'"files": ["{tmp_path}/a.yaml"]'))
    written(tmp_path)
    assert expected_file(workspace, "planted") == tmp_path / "expected.yaml"


# -- the numbers that we ship -------------------------------------------------------------------------------


def test_the_numbers_of_the_distillation_paper_are_all_there():
    expected = read_expected(ROOT / "experiments" / "ce_distillation" / "expected.yaml")
    table = [row for row in expected.rows if "loss" in row.at]
    places = Counter((row.at["backbone"], row.at["loss"]) for row in table)
    backbones = {backbone for backbone, _ in places}
    assert len(backbones) == 9
    assert set(places) == {(backbone, loss) for backbone in backbones for loss in {loss for _, loss in places}}
    assert {place for place, times in places.items() if times == 2} == {
        place for place in places if place[0] == "DeBERTa-v3"
    }
    assert all("V1" in row.version or "V2" in row.version for row in table if row.at["backbone"] == "DeBERTa-v3")
    columns = {column.name: column for column in expected.columns}
    assert all(set(row.values) == set(columns) - {"ID"} for row in table)
    assert len(columns["BEIR-13"].sets) == 13
    assert len(columns["LoTTE-S"].sets) == 5
    assert "touche2020-v2@splade-1000" in columns["BEIR-13"].sets


@pytest.mark.parametrize(
    "recipe", ["ce_distillation/as_published.yaml", "rank_distillm/as_published.yaml", "scifact.yaml"]
)
def test_every_place_is_one_of_the_recipe_and_every_field_one_of_a_learner(recipe):
    from xpm_ce.graph.study import Study
    from xpm_ce.learn.learner import Learner
    from xpm_ce.scorers.cross_encoder import CrossEncoder

    file = ROOT / "experiments" / recipe
    expected = read_expected(file.with_name("expected.yaml"))
    grid = Study.load(file)
    assert grid.id == expected.experiment
    labels = {axis.name: {point.label for point in axis.points} for axis in grid.axes}
    for row in expected.rows:
        for axis, value in row.at.items():
            assert (axis, value) == ("system", "first stage") or value in labels[axis]
        for path in row.recipe:
            head, _, rest = path.partition(".")
            known = {"ledger": {"documents_per_step"}, "scorer": set(CrossEncoder.__getxpmtype__().arguments)}
            assert rest in known[head] if rest else head in Learner.__getxpmtype__().arguments
