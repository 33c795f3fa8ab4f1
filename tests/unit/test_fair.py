"""What two learners differ in besides the factor under study."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from xpm_ce.analysis.differences import Difference, group
from xpm_ce.analysis.fair import compare_fairly
from xpm_ce.cli.main import cli
from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.workspace import Workspace


def fields(differences):
    return {each.field: each for each in differences}


def compare(study, a, b, **arguments):
    return compare_fairly(study.workspace, f"loss={a},seed=1", f"loss={b},seed=1", **arguments)


@pytest.fixture
def changed_study(trained_study, tmp_path):
    """A copy of the workspace, and the folders of its learners by loss."""
    copy = Workspace(tmp_path / "workspace")
    shutil.copytree(trained_study.workspace.path, copy.path)
    folders = {
        loss: copy.path / trained_study.job(loss).folder.relative_to(trained_study.workspace.path)
        for loss in ("InfoNCE", "MarginMSE", "ADR-MSE")
    }
    return copy, folders


# -- what differs -------------------------------------------------------------------------------------------


def test_two_losses_on_the_same_data_and_budget_differ_in_nothing_else(trained_study):
    comparison = compare(trained_study, "InfoNCE", "MarginMSE")
    assert comparison.factor == ("loss",)
    assert [each.field for each in comparison.under_study] == ["loss"]
    assert comparison.beside == []
    assert comparison.notes == []


def test_what_only_one_loss_has_and_the_teacher_that_it_needs_follow_from_it(trained_study):
    (loss,) = compare(trained_study, "InfoNCE", "MarginMSE").under_study
    followers = fields(loss.follows)
    assert (loss.a, loss.b) == ("InfoNCE", "MarginMSE")
    assert (followers["loss.temperature"].a, followers["loss.temperature"].b) == (1.0, None)
    assert (followers["ledger.teacher"].a, followers["ledger.teacher"].b) == (None, "GeneratedTeacher")


def test_other_negatives_another_budget_and_another_sampler_are_listed(trained_study):
    comparison = compare(trained_study, "InfoNCE", "ADR-MSE")
    beside = fields(comparison.beside)
    assert {"sampler", "training_set.last_rank", "tokens_per_batch"} <= set(beside)
    assert {"ledger.documents_per_step", "ledger.queries_per_step"} <= set(beside)
    assert (beside["ledger.documents_per_step"].a, beside["ledger.documents_per_step"].b) == (8, 12)
    assert beside["ledger.documents_per_step"].relative == pytest.approx(0.5)
    assert beside["training_set.last_rank"].relative == pytest.approx(-1 / 3)


def test_totals_are_grouped_with_what_they_follow_from(trained_study):
    beside = fields(compare(trained_study, "InfoNCE", "ADR-MSE").beside)
    per_step = fields(beside["ledger.documents_per_step"].follows)
    assert (per_step["ledger.documents"].a, per_step["ledger.documents"].b) == (80, 120)
    assert "ledger.padded_tokens" in fields(per_step["ledger.tokens"].follows)
    assert "sampler.negatives" in fields(beside["sampler"].follows)
    assert not {"ledger.documents", "ledger.tokens", "ledger.tokens_per_batch"} & set(beside)


def test_what_any_two_trainings_differ_in_is_apart(trained_study):
    comparison = compare(trained_study, "InfoNCE", "ADR-MSE")
    assert {"ledger.seconds", "ledger.examples_per_second"} <= set(fields(comparison.cost))
    assert not set(fields(comparison.cost)) & set(fields(comparison.beside))


def test_another_factor_makes_the_loss_a_difference_like_others(trained_study):
    comparison = compare(trained_study, "InfoNCE", "ADR-MSE", factor="sampler")
    assert [each.field for each in comparison.under_study] == ["sampler"]
    assert "loss" in fields(comparison.beside)


def test_a_factor_below_the_learner_is_found_by_its_last_name_or_its_path(trained_study):
    by_name = compare(trained_study, "InfoNCE", "ADR-MSE", factor="last_rank")
    by_path = compare(trained_study, "InfoNCE", "ADR-MSE", factor="learner.training_set.last_rank")
    assert [each.field for each in by_name.under_study] == ["training_set.last_rank"]
    assert by_path.under_study == by_name.under_study


def rewritten(folder):
    """The objects of a learner's parameters, to be changed: each has another identity, and all are written then."""
    file = folder / "params.json"
    written = json.loads(file.read_text())
    for entry in written["objects"]:
        entry["identifier"] = entry["identifier"][::-1]
        yield entry
    file.write_text(json.dumps(written))


def test_a_difference_that_stands_at_several_places_is_listed_once(changed_study):
    """The store is read by tokens, training set and first stage; the tokenizer by tokens and backbone."""
    workspace, folders = changed_study
    for entry in rewritten(folders["MarginMSE"]):
        if entry["type"] == "StoreDocuments":
            entry["fields"]["text"] = "{text}"
    beside = compare_fairly(workspace, str(folders["InfoNCE"]), str(folders["MarginMSE"]), factor="loss").beside
    assert [(each.field, each.b) for each in beside] == [("tokens.store.text", "{text}")]


def test_what_differs_below_two_classes_is_not_lost(changed_study):
    workspace, folders = changed_study
    for entry in rewritten(folders["MarginMSE"]):
        if entry["type"] == "MineTrainingSet":
            entry["type"] = "AnotherTrainingSet"
            entry["fields"]["more"] = entry["fields"].pop("random_documents")
        if entry["type"] == "Retrieve":
            entry["fields"]["k1"] = 1.2
    beside = fields(compare_fairly(workspace, "loss=infonce", "loss=marginmse").beside)
    assert set(beside) == {"training_set", "training_set.run.k1"}
    assert beside["training_set"].b == "AnotherTrainingSet"
    assert set(fields(beside["training_set"].follows)) == {"training_set.random_documents", "training_set.more"}


def test_a_learner_has_nothing_that_it_differs_in_from_itself(trained_study):
    comparison = compare(trained_study, "InfoNCE", "InfoNCE")
    assert not [*comparison.under_study, *comparison.beside, *comparison.cost]


def test_a_cause_of_a_cause_holds_both():
    names = ("ledger.padded_tokens", "ledger.tokens", "ledger.documents_per_step", "ledger.threads")
    made = group([Difference(name, 1, 2) for name in names])
    assert [each.field for each in made] == ["ledger.documents_per_step", "ledger.threads"]
    assert made[0].follows[0].field == "ledger.tokens"
    assert made[0].follows[0].follows[0].field == "ledger.padded_tokens"


@pytest.mark.parametrize(
    ("a", "b", "relative"), [(2, 3, 0.5), (-2, -1, 0.5), (0, 3, None), (None, 3, None), (True, 3, None), ("a", 3, None)]
)
def test_a_share_is_given_of_numbers_only(a, b, relative):
    assert Difference("x", a, b).relative == relative


# -- which learners -----------------------------------------------------------------------------------------


def test_a_learner_is_named_by_its_place_its_identity_or_its_folder(trained_study):
    job = trained_study.job("ADR-MSE")
    wanted = compare(trained_study, "InfoNCE", "ADR-MSE").as_json()
    for name in (job.identity[:10], str(job.folder), "loss=adr-mse", "loss=adr_mse"):
        assert compare_fairly(trained_study.workspace, "loss=InfoNCE", name).as_json() == wanted


def test_the_second_learner_is_taken_at_the_places_of_the_first(trained_study):
    comparison = compare_fairly(trained_study.workspace, "seed=1,loss=infonce", "loss=marginmse")
    assert comparison.b.coordinates == {"loss": "MarginMSE", "seed": "1"}


def test_the_places_of_a_learner_are_those_of_the_last_plan_that_holds_it(changed_study):
    workspace, folders = changed_study
    later = workspace.plan_file("later")
    later.parent.mkdir()
    later.write_text(json.dumps({**json.loads(workspace.plan_file("small").read_text()), "jobs": []}))
    os.utime(workspace.plan_file("small"), (0, 0))
    comparison = compare_fairly(workspace, folders["InfoNCE"].name[:9], folders["MarginMSE"].name[:9])
    assert comparison.factor == ("loss",)
    with pytest.raises(UnknownKeyError, match="last plan"):
        compare_fairly(workspace, "loss=infonce", "loss=marginmse")


def test_learners_that_cannot_be_compared_are_refused(trained_study):
    with pytest.raises(ConfigurationError, match="was never started"):
        compare_fairly(trained_study.workspace, "loss=infonce,seed=2", "loss=infonce,seed=1")
    with pytest.raises(UnknownKeyError, match="loss=InfoNCE"):
        compare_fairly(trained_study.workspace, "loss=infonec", "loss=marginmse")
    store = next(trained_study.workspace.path.glob("jobs/xpm_ce.data.store_documents/*"))
    with pytest.raises(ConfigurationError, match="not a learner"):
        compare_fairly(trained_study.workspace, store.name, "loss=infonce")
    with pytest.raises(UnknownKeyError, match="sampler"):
        compare(trained_study, "InfoNCE", "ADR-MSE", factor="samplr")


def test_a_learner_without_ledger_is_compared_by_its_configuration(changed_study):
    workspace, folders = changed_study
    (folders["ADR-MSE"] / "ledger.json").unlink()
    comparison = compare_fairly(workspace, "loss=infonce", "loss=adr-mse")
    assert comparison.notes == ["No ledger of B yet: what was really seen is not compared."]
    assert "training_set.last_rank" in fields(comparison.beside)
    assert not any(each.field.startswith("ledger.") for each in [*comparison.beside, *comparison.cost])


def test_ledgers_of_different_versions_are_compared_where_both_have_a_field(changed_study):
    workspace, folders = changed_study
    file = folders["MarginMSE"] / "ledger.json"
    ledger = json.loads(file.read_text())
    del ledger["processes"]
    file.write_text(json.dumps({**ledger, "schema": 1, "threads": 7}))
    comparison = compare_fairly(workspace, "loss=infonce", "loss=marginmse")
    assert [each.field for each in comparison.beside] == ["ledger.threads"]
    assert len(comparison.notes) == 1


# -- the command --------------------------------------------------------------------------------------------


def test_the_command_prints_what_its_json_twin_holds(trained_study):
    arguments = ["compare", "--fair", "loss=infonce", "loss=adr-mse", "--workdir", str(trained_study.workspace.path)]
    text, twin = CliRunner().invoke(cli, arguments), CliRunner().invoke(cli, [*arguments, "--json"])
    assert (text.exit_code, twin.exit_code) == (0, 0)
    record = json.loads(twin.stdout)
    shown = {line.split()[0] for line in text.stdout.splitlines() if line.startswith("  ")}

    def names(differences):
        return {name for each in differences for name in (each["field"], *names(each["follows"]))}

    assert shown == names([*record["under_study"], *record["beside"], *record["cost"]])
    assert "+50 %" in text.stdout


def test_results_of_learners_that_are_not_measured_yet_are_not_compared(trained_study):
    arguments = ["compare", "loss=infonce", "loss=adr-mse", "--workdir", str(trained_study.workspace.path)]
    with pytest.raises(ConfigurationError, match="loss=infonce is not measured yet"):
        CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False)


def test_comparing_reads_files_only(trained_study):
    code = (
        "import sys; from xpm_ce.analysis.fair import compare_fairly; from xpm_ce.workspace import Workspace\n"
        "from pathlib import Path\n"
        f"compare_fairly(Workspace(Path({str(trained_study.workspace.path)!r})), 'loss=infonce', 'loss=adr-mse')\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "numpy", "experimaestro", "pydantic"} & set(loaded)
