"""Cross-fitting through the real scheduler, looked at from the files that its jobs left."""

import json
import math
import shutil

import pytest
import yaml
from studies import TINY, plan_of, study

from xpm_ce.data.runs import read_run
from xpm_ce.data.training_set import StoredGroups

pytestmark = pytest.mark.pipeline

TEACHER = {
    "cross_fitted": {
        "folds": 2,
        "learner": {
            "loss": "infonce", "sampler": {"type": "groups", "queries": 4, "negatives": 1}, "steps": 2,
            "learning_rate": 1e-3,
        },
    }
}  # fmt: skip


class CrossFitted:
    """A finished study whose only learner is taught by two teachers: its jobs and their files."""

    def __init__(self, file, workspace):
        self.workspace = workspace
        self.jobs = plan_of(workspace, file=file).jobs
        self.by_identity = {job.identity: job for job in self.jobs}

    def folder(self, kind, **coordinates):
        (job,) = [job for job in self.jobs if job.kind == kind and job.coordinates == coordinates]
        return self.workspace / "jobs" / job.task / job.identity

    def teacher(self, kind, fold):
        return self.folder(kind, set="train", system="teacher", fold=str(fold))

    def queries_that_a_teacher_saw(self, fold):
        """Those of the training set that its learner took, by the learner's own dependencies."""
        learner = self.by_identity[self.teacher("learn", fold).name]
        inputs = [self.by_identity[identity] for identity in learner.depends_on]
        (training_set,) = [job for job in inputs if job.kind == "training set"]
        folder = self.workspace / "jobs" / training_set.task / training_set.identity
        return set((folder / "training_set" / "query_ids.txt").read_text().split())


@pytest.fixture(scope="module")
def finished(tiny_workspace, tmp_path_factory, run_command):
    """The tiny study with teachers, in a copy of its workspace: what both have in common is not computed again."""
    folder = tmp_path_factory.mktemp("cross-fitting")
    shutil.copytree(tiny_workspace, folder / "workspace", symlinks=True)
    (checkpoint, _) = sorted(tiny_workspace.glob("jobs/xpm_ce.learn.learner/*/checkpoint"))
    learner = yaml.safe_load(TINY.read_text())["learner"]
    file = study(
        folder, training_set={"type": "mined", "last_rank": 6, "random_documents": 2, "teacher": TEACHER},
        learner={**learner, "scorer": {**learner["scorer"], "backbone": {"type": "local", "path": str(checkpoint)}}},
        grid={"learner.loss": ["margin_mse"]},
        evaluation={"sets": [{"split": "test"}], "depths": [5], "measures": ["nDCG@10"], "untrained": False},
    )  # fmt: skip
    process = run_command("xpm-ce", "run", file, "--workdir", folder / "workspace")
    assert process.returncode == 0, process.stdout + process.stderr
    return CrossFitted(file, folder / "workspace")


def test_no_query_is_scored_by_a_teacher_that_saw_it(finished):
    seen = {fold: finished.queries_that_a_teacher_saw(fold) for fold in (1, 2)}
    scored = {fold: set(read_run(finished.teacher("rerank", fold) / "run.gz")) for fold in (1, 2)}
    assert all(seen.values())
    assert all(scored.values())
    for fold in (1, 2):
        assert not seen[fold] & scored[fold]
    # what a teacher did not see is exactly what it scored
    assert (seen[2], seen[1]) == (scored[1], scored[2])


def test_the_joined_run_holds_the_scores_of_both_folds(finished):
    joined = read_run(finished.folder("join", set="train", system="teacher") / "run.gz")
    folds = [read_run(finished.teacher("rerank", fold) / "run.gz") for fold in (1, 2)]
    assert len(joined) == sum(map(len, folds)) > 30
    for ranking, query in ((ranking, query) for fold in folds for query, ranking in fold.items()):
        assert joined[query].documents == ranking.documents
        assert joined[query].scores.tolist() == ranking.scores.tolist()


def test_every_document_of_the_training_set_has_its_score_and_the_set_is_otherwise_as_without(finished):
    taught = finished.folder("training set", set="train")
    assert json.loads((taught / "counts.json").read_text())["without_teacher_score"] == 0
    groups = StoredGroups(taught / "training_set")
    untaught = StoredGroups(finished.folder("training set", set="train", system="untaught") / "training_set")
    assert len(groups) == len(untaught)
    for query in range(len(groups)):
        assert groups.query_id(query) == untaught.query_id(query)
        assert groups.documents(query).tolist() == untaught.documents(query).tolist()
        assert groups.labels(query).tolist() == untaught.labels(query).tolist()
        assert not any(map(math.isnan, groups.teacher_scores(query).tolist()))
        assert len(set(groups.teacher_scores(query).tolist())) > 1
