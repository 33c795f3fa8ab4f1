"""A re-ranking job: shards that a killed one goes on from, complete results, and the sidecar of its run."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import yaml
from experimaestro import DirectoryContext, GracefulTimeout
from experimaestro.core.context import SerializationContext
from experimaestro.taskglobals import Env, LauncherInformation

from xpm_ce.data.run_metadata import COMPONENTS, metadata_path, read_metadata
from xpm_ce.data.runs import Ranking, cut
from xpm_ce.errors import DataError
from xpm_ce.evaluate import reranking
from xpm_ce.evaluate.reranking import check_complete, rerank
from xpm_ce.graph.build import planned
from xpm_ce.graph.planner import State
from xpm_ce.graph.study import Study
from xpm_ce.workspace import Workspace

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = 25


@pytest.fixture
def job(trained_study):
    """The re-ranking of a trained model; its inputs are there, it is not."""
    coordinates = {"loss": "InfoNCE", "seed": "1", "set": "test"}
    (found,) = [job for job in trained_study.plan.jobs if job.kind == "rerank" and job.coordinates == coordinates]
    return found


def opened(job, folder: Path):
    """The task as its job sees it, in a folder with its params.json."""
    folder.mkdir(parents=True, exist_ok=True)
    objects = job.config.__xpm__.__get_objects__([], SerializationContext())
    (folder / "params.json").write_text(json.dumps({"objects": objects}))
    task = job.config.instance(DirectoryContext(folder))
    for name, value in vars(task).items():  # a planned task writes where the plan says
        if isinstance(value, Path) and value.is_relative_to(job.folder):
            setattr(task, name, folder / value.relative_to(job.folder))
    return task


def killed(task, *, after: int) -> None:
    """Execute in another process, killed when so many shards are finished."""
    child = os.fork()
    if child == 0:
        finished = []

        def progress(share: float, words: str) -> None:
            finished.append(share)
            if len(finished) == after:
                os.kill(os.getpid(), signal.SIGKILL)

        rerank(task, progress=progress)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


def counts_of(folder: Path) -> dict:
    return json.loads((folder / "counts.json").read_text())


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(reranking, "PAIRS_PER_SHARD", SMALL)


@pytest.fixture
def whole(job, tmp_path, small_shards) -> Path:
    """The folder of a job that was not interrupted."""
    folder = tmp_path / "whole" / job.identity
    rerank(opened(job, folder))
    return folder


def test_a_killed_job_goes_on_from_its_finished_shards_with_equal_results(job, whole, tmp_path):
    folder = tmp_path / "killed" / job.identity
    killed(opened(job, folder), after=2)
    assert not (folder / "run.gz").exists()
    first = list(folder.glob("shards/*/*.npz"))
    assert len(first) == 2
    killed(opened(job, folder), after=1)
    assert len(list(folder.glob("shards/*/*.npz"))) == 3
    shares = []
    rerank(opened(job, folder), progress=lambda share, words: shares.append(share))

    for name in ("scores.npy", "run.gz"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    differing = {"pairs_resumed", "seconds"}
    one, other = counts_of(folder), counts_of(whole)
    assert {key for key in one if one[key] != other[key]} == differing
    assert other["pairs_resumed"] == 0
    assert SMALL * 3 <= one["pairs_resumed"] < one["pairs_scored"] == sum(one["candidates"])
    assert shares[0] > one["pairs_resumed"] / one["pairs_scored"]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert not (folder / "shards").exists()


@pytest.mark.parametrize("damage", [lambda content: content[:-40], lambda content: b"", lambda content: b"no zip"])
def test_a_damaged_shard_is_scored_again(job, whole, tmp_path, damage):
    folder = tmp_path / "killed" / job.identity
    killed(opened(job, folder), after=3)
    shard = sorted(folder.glob("shards/*/*.npz"))[1]
    shard.write_bytes(damage(shard.read_bytes()))
    rerank(opened(job, folder))
    assert (folder / "run.gz").read_bytes() == (whole / "run.gz").read_bytes()
    assert 2 * SMALL <= counts_of(folder)["pairs_resumed"] < 3 * SMALL + 10


def test_shards_of_another_state_of_the_code_are_not_gone_on_from(job, whole, tmp_path):
    folder = tmp_path / "killed" / job.identity
    killed(opened(job, folder), after=3)
    (shards,) = folder.glob("shards/*")
    for shard in shards.glob("*.npz"):
        with np.load(shard) as found:
            wrong = {**found, "scores": found["scores"] + 1}
        np.savez(shard, **wrong)
    shards.rename(shards.with_name("0" * 8))
    rerank(opened(job, folder))
    assert counts_of(folder)["pairs_resumed"] == 0
    assert (folder / "run.gz").read_bytes() == (whole / "run.gz").read_bytes()
    assert not (folder / "shards").exists()


def test_a_job_lists_its_run_and_sidecar_and_no_shards(job, tmp_path):
    folder = tmp_path / job.identity
    opened(job, folder).execute()
    listed = {file["path"] for file in json.loads((folder / "outputs.json").read_text())["files"]}
    assert listed == {"run.gz", "run.ir-metadata.yaml", "scores.npy", "counts.json"}


def test_an_old_job_without_a_sidecar_is_still_done(job, trained_study, tmp_path):
    workspace = Workspace(tmp_path / "workspace")
    folder = workspace.path / "jobs" / job.task / job.identity
    opened(job, folder).execute()
    (folder / f"{job.task.rpartition('.')[2]}.done").touch()
    listing = json.loads((folder / "outputs.json").read_text())
    metadata_path(folder / "run.gz").unlink()
    listing["files"] = [file for file in listing["files"] if not file["path"].endswith(".yaml")]
    (folder / "outputs.json").write_text(json.dumps(listing))
    plan = planned(Study.load(trained_study.workspace.path.parent / "study.yaml"), workspace)
    assert [each.identity for each in plan.jobs if each.state is State.REUSE] == [job.identity]


# -- completeness -------------------------------------------------------------------------------------------

FIRST = {
    "q1": Ranking(["a", "b", "c"], np.array([3, 2, 1], np.float32)),
    "q2": Ranking(["d"], np.array([1], np.float32)),
}


def ranked(documents, scores=None):
    given = scores if scores is not None else np.arange(len(documents), 0, -1)
    return Ranking(list(documents), np.array(given, np.float32))


def test_the_first_documents_in_another_order_are_complete():
    check_complete({"q1": ranked("cab"), "q2": ranked("d")}, FIRST)
    check_complete({"q1": ranked("ba"), "q2": ranked("d")}, cut(FIRST, 2))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"q1": ranked("abc")}, "queries are not those"),
        ({"q1": ranked("ab"), "q2": ranked("d")}, "2 re-ranked documents of query q1 are not the 3"),
        ({"q1": ranked("abx"), "q2": ranked("d")}, "documents of query q1 are not"),
        ({"q1": ranked("abb"), "q2": ranked("d")}, "documents of query q1 are not"),
        ({"q1": ranked("abc", [2, 1, np.nan]), "q2": ranked("d")}, "a document of query q1 has no score"),
    ],
)
def test_what_is_not_the_first_stages_set_is_refused(wrong, message):
    with pytest.raises(DataError, match=message):
        check_complete(wrong, FIRST)


# -- the sidecar --------------------------------------------------------------------------------------------


def test_the_sidecar_says_what_made_the_run(job, whole, trained_study):
    described = read_metadata(whole / "run.gz")
    assert set(COMPONENTS) <= set(described)
    tag = f"xpm-ce-{job.identity[:8]}"
    assert described["tag"] == tag
    assert described["research goal"]["description"] == "small"
    assert described["data"]["test collection"]["name"] == "test"
    assert described["data"]["training data"][0]["name"] == "MineTrainingSet"
    (learner,) = [each for each in trained_study.plan.jobs if each.identity in job.depends_on and each.kind == "learn"]
    first, second = described["method"]["retrieval"]
    assert (first["method"], first["params"]["k1"], first["params"]["depth"]) == ("Retrieve", 0.9, 30)
    assert (second["name"], second["identity"], second["params"]["depth"]) == (tag, job.identity, 10)
    assert second["reranks"] == first["name"] == described["research goal"]["evaluation"]["baseline"][0]
    assert second["model"]["task"] == learner.identity
    assert second["model"]["loss"]["type"] == "InfoNCE"
    libraries = described["platform"]["software"]["libraries"]["python"]
    assert {library.partition("==")[0] for library in libraries} >= {"python", "torch", "transformers", "numpy"}


def test_the_actor_is_who_the_environment_names(job, tmp_path, monkeypatch):
    monkeypatch.setenv("XPM_CE_ACTOR", "A. Author")
    rerank(opened(job, tmp_path / job.identity))
    assert read_metadata(tmp_path / job.identity / "run.gz")["actor"] == {"name": "A. Author", "role": "experimenter"}


def test_the_first_stages_run_has_a_sidecar_too(trained_study):
    for job in trained_study.plan.jobs:
        if job.kind == "retrieve":
            described = read_metadata(job.folder / "run.gz")
            assert described["tag"] == "bm25"
            (stage,) = described["method"]["retrieval"]
            assert (stage["name"], stage["params"]["b"]) == ("bm25", 0.4)
            assert described["data"]["test collection"]["topics"]["type"] == "GeneratedQueries"
            assert described["data"]["test collection"]["source"]["type"] == "StoreDocuments"


def test_a_sidecar_is_not_asked_for_and_not_believed(tmp_path):
    assert read_metadata(tmp_path / "run.gz") is None
    (tmp_path / "run.ir-metadata.yaml").write_text("tag: x\n")
    with pytest.raises(DataError, match=r"no ir-metadata: actor, platform"):
        read_metadata(tmp_path / "run.gz")
    (tmp_path / "run.ir-metadata.yaml").write_text("tag: [\n")
    with pytest.raises(DataError, match="no YAML"):
        read_metadata(tmp_path / "run")


def test_the_run_itself_has_no_header(whole):
    import gzip

    with gzip.open(whole / "run.gz", "rt") as stream:
        assert all(len(line.split()) == 6 and not line.startswith("#") for line in stream)
    assert yaml.safe_load(metadata_path(whole / "run.gz").read_text())


def test_a_job_without_time_for_another_shard_leaves_and_goes_on_to_equal_results(job, tmp_path, whole, monkeypatch):
    class Walltime(LauncherInformation):
        seconds = 1.0

        def remaining_time(self):
            return self.seconds

    monkeypatch.setattr(Env.instance(), "launcher_info", Walltime())
    folder = tmp_path / "limited" / job.identity
    with pytest.raises(GracefulTimeout, match="no time for another shard after"):
        rerank(opened(job, folder))
    assert len(list(folder.glob("shards/*/*.npz"))) == 1
    monkeypatch.setattr(Walltime, "seconds", 1000.0)
    rerank(opened(job, folder))
    assert counts_of(folder)["pairs_resumed"] >= SMALL
    assert np.array_equal(np.load(folder / "scores.npy"), np.load(whole / "scores.npy"))
