"""A user's own folder: what a change of one line runs again, planned on a finished run."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from studies import folder_study, kinds_to_run, plan_of, small_collection, to_run

pytestmark = pytest.mark.pipeline


@pytest.fixture(scope="module")
def finished(tmp_path_factory, run_command) -> tuple[Path, Path, Path]:
    """(study, folder, workspace) of a finished run on a small folder, with a long query and an unknown document."""
    place = tmp_path_factory.mktemp("folder")
    folder = small_collection(place / "data")
    replaced("queries.jsonl", '"grey things"', f'"{"grey things " * 40}"')(folder)
    with open(folder / "qrels" / "test.tsv", "a") as judgements:
        judgements.write("q4\telsewhere\t1\n")
    study = folder_study(place, folder)
    process = run_command("xpm-ce", "run", study, "--workdir", place / "ws")
    assert process.returncode == 0, process.stdout + process.stderr
    return study, folder, place / "ws"


@pytest.fixture
def planned_after(finished, tmp_path) -> Callable:
    """Plans the study on a changed copy of its folder."""
    study, folder, workspace = finished

    def plan(change: Callable[[Path], None]):
        copy = tmp_path / "elsewhere"
        shutil.copytree(folder, copy)
        change(copy)
        return plan_of(workspace, f"collection.path={copy}", file=study)

    return plan


def replaced(file: str, before: str, after: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / file).read_text()
        assert text.count(before) == 1
        (folder / file).write_text(text.replace(before, after))

    return change


def test_judgements_of_unknown_documents_and_long_queries_are_counted_not_fatal(finished):
    study, _, workspace = finished
    jobs = plan_of(workspace, file=study).jobs
    summaries = [json.loads((job.folder / "summary.json").read_text()) for job in jobs if job.kind == "measure"]
    assert [summary["judgements_of_unknown_documents"] for summary in summaries] == [1] * len(summaries)
    counts = [json.loads((job.folder / "counts.json").read_text()) for job in jobs if job.kind == "rerank"]
    assert len(counts) == 2
    assert all(count["queries_truncated"] > 0 for count in counts)


def test_moving_the_folder_changes_nothing(planned_after):
    assert not to_run(planned_after(lambda folder: None))


def test_changing_one_test_judgement_runs_measure_only(planned_after):
    plan = planned_after(replaced("qrels/test.tsv", "q5\td5\t1", "q5\td5\t2"))
    assert kinds_to_run(plan) == {"measure": 3}


def test_changing_one_test_query_runs_that_splits_retrieval_and_below_but_no_training(planned_after):
    plan = planned_after(replaced("queries.jsonl", '"q5", "text": "brown things"', '"q5", "text": "brown matters"'))
    assert kinds_to_run(plan) == {"retrieve": 1, "rerank": 2, "measure": 3}
    assert {job.coordinates["set"] for job in to_run(plan)} == {"test"}


def test_changing_one_training_judgement_runs_the_training_set_and_below_but_no_index(planned_after):
    plan = planned_after(replaced("qrels/train.tsv", "q1\td1\t1", "q1\td2\t1"))
    assert kinds_to_run(plan) == {"training set": 1, "learn": 1, "rerank": 1, "measure": 1}


def test_changing_one_document_runs_everything(planned_after):
    plan = planned_after(replaced("corpus.jsonl", "a text about red things", "a text about reddish things"))
    assert plan.counts["reuse"] == 0


def test_a_folder_that_changes_between_plan_and_job_fails_the_job_with_the_reason(run_command, tmp_path):
    """The plan hashes by size and time of modification first; the job reads and compares the content."""
    folder = small_collection(tmp_path / "data")
    study = folder_study(tmp_path, folder)
    plan_of(tmp_path / "ws", file=study)
    hashes = tmp_path / "ws" / "cache" / "hashes.json"
    known = json.loads(hashes.read_text())
    hashes.write_text(json.dumps({key: "0" * 64 if "content" in key else value for key, value in known.items()}))
    process = run_command("xpm-ce", "run", study, "--workdir", tmp_path / "ws")
    assert process.returncode == 1
    assert process.stdout.count("this file changed since it was planned") == 1


def test_an_existing_model_and_a_run_from_elsewhere_are_measured_without_training(finished, run_command, tmp_path):
    study, _, workspace = finished
    checkpoint = next(workspace.glob("jobs/xpm_ce.learn.learner/*/checkpoint"))
    (tmp_path / "theirs.run").write_text("".join(f"q{n} Q0 d{n} 1 1.0 theirs\n" for n in range(4, 8)))
    more = [
        f"models=[{{name: mine, path: {checkpoint}, max_length: 32}}]",
        f"runs=[{{name: theirs, path: {tmp_path / 'theirs.run'}}}]",
    ]
    assert kinds_to_run(plan_of(workspace, *more, file=study)) == {"tokens": 1, "rerank": 1, "measure": 2}
    process = run_command("xpm-ce", "run", study, "--workdir", workspace, "-c", more[0], "-c", more[1])
    assert process.returncode == 0, process.stdout + process.stderr
    tables = json.loads(run_command("xpm-ce", "table", "tiny", "--workdir", workspace, "--json").stdout)["tables"]
    cells = {row: next(iter(cells.values()))["mean"] for row, cells in tables[0]["cells"].items()}
    # of q4 a relevant document is not in the collection, nor found by anybody
    assert cells["run, theirs"] == pytest.approx((3 + 1 / (1 + 1 / math.log2(3))) / 4)
    assert cells["model, mine"] == pytest.approx(cells["infonce"], abs=1e-6)


def test_a_validation_split_is_carved_from_the_training_queries(finished):
    study, _, workspace = finished
    plan = plan_of(
        workspace, "validation={fraction: 0.5, seed: 1}", "evaluation.sets=[{split: validation}]", file=study
    )
    sets = {job.coordinates.get("set") for job in plan.jobs if job.kind == "retrieve"}
    assert sets == {"train", "validation"}
    assert kinds_to_run(plan)["training set"] == 1


def test_a_re_ranked_run_is_a_training_set_with_teacher_scores(finished):
    study, _, workspace = finished
    checkpoint = next(workspace.glob("jobs/xpm_ce.learn.learner/*/checkpoint"))
    teacher = f"{{model: {{name: t, path: {checkpoint}, max_length: 32}}, depth: 5}}"
    plan = plan_of(
        workspace, f"training_set={{type: run, depth: 5, teacher: {teacher}}}", "grid.learner.loss=[margin_mse]",
        "learner.sampler={type: lists, queries: 2, documents: 3}", file=study,
    )  # fmt: skip
    wanted = kinds_to_run(plan)
    wanted.pop("tokens", None)  # an earlier test may have read the checkpoint's tokenizer
    assert wanted == {"rerank": 2, "training set": 1, "learn": 1, "measure": 1}
