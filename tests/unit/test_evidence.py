"""What a card says of a checkpoint is what the files of its workspace say, and of no other checkpoint."""

import json
import shutil
import statistics

import pytest
from conftest import TrainedStudy, run_as_job
from scipy import stats

from xpm_ce.analysis.results import read_results
from xpm_ce.graph.build import planned
from xpm_ce.graph.study import Study
from xpm_ce.publish.evidence import evaluation
from xpm_ce.publish.pairs import evaluated_pairs
from xpm_ce.publish.source import find_source
from xpm_ce.workspace import JobFolder, Workspace

KINDS = ("retrieve", "learn", "rerank", "measure")


def done(job) -> None:
    """Execute a planned task and mark it as experimaestro does."""
    if not job.folder.exists():
        run_as_job(job)
    folder = JobFolder(job.folder)
    folder.done_marker.touch()


@pytest.fixture(scope="module")
def evaluated(trained_study, tmp_path_factory):
    """The plan of the study and its workspace, in which InfoNCE of both seeds and BM25 are measured."""
    folder = tmp_path_factory.mktemp("evaluated")
    workspace = Workspace(shutil.copytree(trained_study.workspace.path, folder / "workspace", symlinks=True))
    study = Study.load(trained_study.workspace.path.parent / "study.yaml", ["evaluation.untrained=false"])
    plan = planned(study, workspace)
    plan.write(workspace)
    for job in plan.jobs:
        if job.kind in KINDS and job.coordinates.get("loss", "InfoNCE") == "InfoNCE":
            done(job)
    return TrainedStudy(workspace, plan)


def test_every_result_of_the_checkpoint_is_quoted_with_what_it_depends_on(evaluated):
    learner = evaluated.job("InfoNCE")
    (row,) = evaluation(find_source(evaluated.workspace, learner.identity))
    results = read_results(evaluated.workspace, "small")
    trained = {each.coordinates["seed"]: each for each in results.rows if each.system == "trained"}
    first = next(each for each in results.rows if each.system == "first stage" and each.order == "given")
    assert trained["1"].mean != trained["2"].mean
    assert (row.protocol, row.first_stage, row.depth, row.measure, row.queries) == ("test", "BM25", 10, "nDCG@10", 16)
    assert (row.mean, row.first_stage_mean) == (trained["1"].mean, first.mean)
    assert sorted(row.seeds) == sorted(each.mean for each in trained.values())
    assert row.over_seeds == pytest.approx((statistics.fmean(row.seeds), statistics.stdev(row.seeds)))
    values = results.query_values(trained["1"]).values
    low, high = stats.bootstrap(
        (values,), lambda drawn, axis: drawn.mean(axis=axis), n_resamples=9999, random_state=0
    ).confidence_interval
    assert row.interval == pytest.approx((low, high), abs=0.02)
    assert row.interval[0] < row.mean < row.interval[1]


def test_results_of_another_rule_are_not_quoted(evaluated, tmp_path):
    workspace = Workspace(shutil.copytree(evaluated.workspace.path, tmp_path / "workspace", symlinks=True))
    learner = evaluated.job("InfoNCE")
    rerank = next(
        job for job in evaluated.plan.jobs if job.kind == "rerank" and learner.identity in job.depends_on
    )  # fmt: skip
    file = workspace.job(rerank.task, rerank.identity).path / "params.json"
    content = json.loads(file.read_text())
    (rule,) = [each["fields"] for each in content["objects"] if each["fields"].get("rule") == "last"]
    rule["rule"] = "best"
    file.write_text(json.dumps(content))
    source = find_source(workspace, learner.identity)
    assert evaluation(source) == []
    assert evaluated_pairs(source, 10) == []


def test_pairs_are_those_that_were_re_ranked_wherever_the_workspace_is(evaluated, tmp_path):
    workspace = Workspace(shutil.copytree(evaluated.workspace.path, tmp_path / "elsewhere", symlinks=True))
    source = find_source(workspace, evaluated.job("InfoNCE").identity)
    pairs = evaluated_pairs(source, 25)
    assert len(set(pairs)) == 25
    documents = evaluated.documents()
    texts = {documents.text(row) for row in range(len(documents))}
    assert {document for _, document in pairs} <= texts
    assert len({query for query, _ in pairs}) > 5
    assert pairs == evaluated_pairs(source, 25)


def test_a_learner_that_was_not_evaluated_has_no_results(evaluated):
    assert evaluation(find_source(evaluated.workspace, evaluated.job("MarginMSE").identity)) == []
