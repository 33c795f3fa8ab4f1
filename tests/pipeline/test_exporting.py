"""A model leaves a finished study: the command, the card's numbers and snippets, and the way back into a study."""

import contextlib
import io
import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from sentence_transformers import CrossEncoder
from studies import TINY, kinds_to_run, plan_of

from xpm_ce.graph.planner import State

pytestmark = pytest.mark.pipeline


@pytest.fixture(scope="module")
def exported(tiny_workspace, run_command, tmp_path_factory):
    """(answer of the command, exported folder) for the learner with InfoNCE."""
    folder = tmp_path_factory.mktemp("exported") / "infonce"
    process = run_command(
        "xpm-ce", "export", "loss=infonce", folder, "--workdir", tiny_workspace, "--language", "en", "--json"
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return json.loads(process.stdout), folder


def card_of(folder: Path) -> str:
    return (folder / "README.md").read_text()


def test_the_report_is_of_pairs_of_the_evaluation(exported):
    answer, _ = exported
    assert (answer["parity"]["pairs"], answer["parity"]["drawn"]) == (200, 0)
    for each in answer["parity"]["libraries"]:
        assert each["max_difference"] <= 1e-5
        assert each["kendall_tau"] >= 0.999
    assert answer["push"] is None


def test_the_scores_of_the_card_are_those_that_its_snippets_print(exported):
    _, folder = exported
    snippets = [code for code in re.findall(r"```python\n(.*?)```", card_of(folder), re.DOTALL) if "print(" in code]
    assert len(snippets) == 2
    for code in snippets:
        promised = json.loads(re.findall(r"# (\[.*\])", code)[-1])
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code.replace('"infonce"', repr(str(folder))), {})
        assert json.loads(printed.getvalue()) == pytest.approx(promised, abs=1.5e-4)


def test_the_numbers_of_the_card_are_those_of_the_table(exported, tiny_workspace, run_command):
    _, folder = exported
    rows = [line.split(" | ") for line in card_of(folder).splitlines() if line.startswith("| test | BM25 |")]
    assert len(rows) == 4
    for _, _, depth, measure, queries, first_stage, value, _, _ in rows:
        asked = ("xpm-ce", "table", "tiny", "-d", depth, "-m", measure, "--json", "--workdir", tiny_workspace)
        (table,) = json.loads(run_command(*asked).stdout)["tables"]
        means = {row: next(iter(cells.values()))["mean"] for row, cells in table["cells"].items()}
        assert value == f"{100 * means['infonce']:.1f}"
        assert first_stage == f"{100 * means['BM25']:.1f}"
        assert queries == str(table["queries"]) == "16"
    matter = yaml.safe_load(card_of(folder).split("---\n")[1])
    assert {result["dataset"]["name"] for result in matter["model-index"][0]["results"]} == {"test"}


def test_the_study_of_the_card_plans_this_very_learner(exported, tiny_workspace, tmp_path):
    _, folder = exported
    plan = plan_of(shutil.copytree(tiny_workspace, tmp_path / "workspace", symlinks=True), file=folder / "study.yaml")
    (learner,) = [job for job in plan.jobs if job.kind == "learn"]
    assert learner.state is State.REUSE
    assert learner.identity in card_of(folder)
    assert learner.identity == json.loads((folder / "xpm_ce.json").read_text())["learner"]
    assert {job.state for job in plan.jobs} == {State.REUSE}
    assert f"xpm-ce run {TINY}" in card_of(folder)


def test_a_push_is_dry_unless_told_otherwise(tiny_workspace, run_command, tmp_path):
    asked = ("xpm-ce", "export", "loss=infonce", tmp_path / "out", "--push", "me/mine", "--workdir", tiny_workspace)
    process = run_command(*asked, HF_ENDPOINT="http://127.0.0.1:1")
    assert process.returncode == 0, process.stderr
    assert re.search(r"nothing was pushed: --yes would push 12 files, \d+ bytes to me/mine", process.stdout)
    assert 'CrossEncoder("me/mine")' in card_of(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    process = run_command(*asked, "--yes", HF_ENDPOINT="http://127.0.0.1:1")
    assert process.returncode == 1
    assert "me/mine could not be pushed" in process.stderr
    assert (tmp_path / "out" / "README.md").exists()


def test_what_cannot_be_exported_is_refused_with_exit_code_2(tiny_workspace, run_command, tmp_path):
    asked = ("xpm-ce", "export", "loss=infonce", tmp_path / "out", "--workdir", tiny_workspace)
    for more, message in [
        (("--rule", "best"), "kept nothing by rule best"),
        (("--push", "mine"), "is no repository of the hub"),
        (("--yes",), "--yes is for --push"),
    ]:
        process = run_command(*asked, *more)
        assert (process.returncode, process.stdout) == (2, "")
        assert message in process.stderr
        assert not (tmp_path / "out").exists()


def test_exported_and_foreign_folders_are_evaluated_without_training(exported, workspace_copy, run_command, tmp_path):
    """The way back: an export, and what sentence-transformers saved, are models like any other."""
    _, folder = exported
    CrossEncoder(str(folder), device="cpu").save_pretrained(str(tmp_path / "theirs"))
    limits = "max_length: 32, max_query_length: 16"
    models = ", ".join(
        f"{{name: {name}, path: {path}, {limits}}}"
        for name, path in [("ours", folder), ("theirs", tmp_path / "theirs")]
    )
    override = f"models=[{models}]"
    assert "learn" not in kinds_to_run(plan_of(workspace_copy, override))
    process = run_command("xpm-ce", "run", TINY, "--workdir", workspace_copy, "-c", override)
    assert process.returncode == 0, process.stdout + process.stderr
    (table,) = json.loads(run_command("xpm-ce", "table", "tiny", "--workdir", workspace_copy, "--json").stdout)[
        "tables"
    ]
    means = {row: next(iter(cells.values()))["mean"] for row, cells in table["cells"].items()}
    assert means["model, ours"] == means["model, theirs"] == pytest.approx(means["infonce"], abs=1e-9)
