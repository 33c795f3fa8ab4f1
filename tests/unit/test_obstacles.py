"""What a plan says of backbones that cannot be had here: which jobs are blocked, and what would unblock them."""

import pytest
from studies import plan_of, study

from xpm_ce.errors import ConfigurationError
from xpm_ce.graph.planner import State, Why
from xpm_ce.graph.rendering import rendered_plan
from xpm_ce.scorers.hub import cached_folder
from xpm_ce.scorers.published import PUBLISHED

COMMIT = "d" * 40


def planned(tmp_path, *backbones):
    grid = {"backbone": {str(n): {"learner.scorer.backbone": each} for n, each in enumerate(backbones)}}
    return plan_of(tmp_path / "workspace", file=study(tmp_path, grid={"learner.loss": ["infonce"], **grid}))


def blocked(plan):
    return {job.kind: job.reason for job in plan.jobs if job.state is State.BLOCKED}


def test_a_published_backbone_without_a_commit_blocks_its_jobs_and_says_what_to_add(tmp_path):
    plan = planned(tmp_path, {"type": "published", "name": "electra-base"})
    reasons = blocked(plan)
    assert set(reasons) == {"tokens", "learn", "rerank", "measure"}
    assert reasons["tokens"].why is Why.UNAVAILABLE
    (remedy,) = reasons["tokens"].values
    assert "no commit of google/electra-base-discriminator is on record. Add revision: to this backbone" in remedy
    assert {reasons[kind].why for kind in ("learn", "measure")} == {Why.UPSTREAM_BLOCKED}
    with_commit = planned(tmp_path, {"type": "published", "name": "electra-base", "revision": COMMIT})
    assert not blocked(with_commit)


def test_a_grid_runs_what_it_can(tmp_path):
    published = [{"type": "published", "name": name} for name in PUBLISHED]
    plan = planned(tmp_path, *published)
    learners = [job for job in plan.jobs if job.kind == "learn"]
    assert {job.coordinates["backbone"] for job in learners if job.state is State.BLOCKED} == {
        str(number) for number, row in enumerate(PUBLISHED.values()) if row.revision is None
    }
    assert len(learners) == len(PUBLISHED)


def test_offline_a_repository_that_is_not_cached_blocks_its_jobs(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    backbone = {"type": "hub", "id": "someone/model", "revision": COMMIT}
    assert not blocked(planned(tmp_path, backbone))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (remedy,) = blocked(planned(tmp_path, backbone))["tokens"].values
    assert remedy.endswith(f"hf download someone/model --revision {COMMIT}")
    folder = tmp_path / "hub" / "models--someone--model" / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert cached_folder("someone/model", COMMIT) == folder
    assert not blocked(planned(tmp_path, backbone))


def test_models_and_teachers_come_from_the_hub_too_and_the_printed_plan_says_what_blocks_them(tmp_path):
    model = {"name": "mono", "backbone": {"type": "published", "name": "monoelectra-base"}, "max_length": 64}
    training_set = {"type": "mined", "teacher": {"model": model, "depth": 10}}
    file = study(tmp_path, models=[model], training_set=training_set, grid={"learner.loss": ["margin_mse"]})
    plan = plan_of(tmp_path / "workspace", file=file)
    assert {"tokens", "rerank", "training set", "learn"} <= set(blocked(plan))
    assert rendered_plan(plan).count("Blocked: what it reads cannot be had here: no commit of webis/monoelectra") == 1
    model["backbone"]["revision"] = COMMIT
    file = study(tmp_path, models=[model], training_set=training_set, grid={"learner.loss": ["margin_mse"]})
    assert not blocked(plan_of(tmp_path / "workspace", file=file))


def test_a_training_file_that_nothing_downloads_or_that_is_not_there_blocks_its_training_set(tmp_path):
    def reasons(**keys):
        training_set, sampler = {"type": "triples", **keys}, {"type": "triples", "queries": 2}
        grid = {"n": {"a": {"learner.loss": "bce", "learner.sampler": sampler}}}
        return blocked(plan_of(tmp_path / "ws", file=study(tmp_path, training_set=training_set, grid=grid)))

    (remedy,) = reasons(published="msmarco-triples-1")["training set"].values
    assert "Get qidpidtriples.train.full.tsv.gz from https://" in remedy
    (remedy,) = reasons(published="msmarco-triples-1", path="nowhere.tsv.gz")["training set"].values
    assert "there is no file" in remedy
    assert not reasons(published="msmarco-triples-2")


@pytest.mark.parametrize("places", [{}, {"path": "here", "backbone": {"type": "published", "name": "bert-base"}}])
def test_a_model_comes_from_one_place(tmp_path, places):
    with pytest.raises(ConfigurationError, match=r"Give path or backbone"):
        plan_of(tmp_path / "ws", file=study(tmp_path, models=[{"name": "m", "max_length": 64, **places}]))


def test_the_name_of_a_backbone_is_not_in_its_identity(tmp_path):
    row = PUBLISHED["roberta-base"]
    by_id = {"type": "hub", "id": row.id, "revision": row.revision}
    plan = planned(tmp_path, {"type": "published", "name": "roberta-base"}, by_id)
    assert len([job for job in plan.jobs if job.kind == "learn"]) == 1
