"""What re-ranking takes: timed by part, on the evaluation's own pairs, for any model; asked for in the YAML."""

import json
import shutil

import pytest
from click.testing import CliRunner
from conftest import plan_of, run_as_job
from experimaestro.xpmutils import DirectoryContext
from learners import make_world, tiny, validation_set

from xpm_ce.cli.show import command as show
from xpm_ce.errors import ConfigurationError
from xpm_ce.evaluate.efficiency import Efficiency
from xpm_ce.evaluate.timing import PARTS, TimedQuery, spread, summary, time_query
from xpm_ce.graph.build import planned
from xpm_ce.graph.study import Study
from xpm_ce.identity import HashCache
from xpm_ce.scorers.backbones import LocalBackbone
from xpm_ce.scorers.cross_encoder import CrossEncoder
from xpm_ce.scorers.folders import content_sha256
from xpm_ce.scorers.loading import LoadedModel
from xpm_ce.scorers.models import InitialModel, PretrainedModel
from xpm_ce.workspace import Workspace

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


def timed(world, folder, *, family="bert", model=None, **parameters):
    """The report of an efficiency job."""
    texts = validation_set(world, "timed", seed=0)
    if model is None:
        scorer = CrossEncoder.C(backbone=tiny(world, family=family), max_length=32, max_query_length=8)
        model = InitialModel.C(scorer=scorer)
    given = {"depth": 6, "timed_queries": 5, "warmup_queries": 1, **parameters}
    config = Efficiency.C(model=model, run=texts.run, queries=texts.queries, store=texts.store, **given)
    folder.mkdir()
    task = config.instance(DirectoryContext(folder))
    task.compute()
    return json.loads((folder / "efficiency.json").read_text())


@pytest.mark.parametrize("family", ["bert", "deberta-v2"])
def test_the_parts_are_the_whole_and_the_counts_are_those_of_the_pairs(family, world, tmp_path):
    report = timed(world, tmp_path / "job", family=family)
    assert (report["schema"], report["queries"], report["pairs"], report["depth"]) == (1, 5, 30, 6)
    latency = report["latency_ms"]
    assert latency.keys() == {*PARTS, "total"}
    assert all(0 < latency[name]["median"] <= latency[name]["p90"] for name in latency)
    assert sum(latency[name]["mean"] for name in PARTS) == pytest.approx(latency["total"]["mean"])
    assert report["pairs_per_second"] == pytest.approx(1000 * 6 / latency["total"]["mean"])
    assert 5 < report["tokens_per_pair"] <= report["padded_tokens_per_pair"] <= 32
    assert (report["tokens_per_pair"] == report["padded_tokens_per_pair"]) == (family == "bert")


def test_the_model_and_the_machine_are_described(world, tmp_path):
    scorer = CrossEncoder.C(backbone=tiny(world), max_length=32, max_query_length=8)
    model = scorer.instance().build().model
    report = timed(world, tmp_path / "job")
    weights = sum(each.numel() for each in model.parameters())
    tables = model.bert.embeddings
    embedded = sum(each.weight.numel() for each in (
        tables.word_embeddings, tables.position_embeddings, tables.token_type_embeddings,
    ))  # fmt: skip
    assert report["parameters"] == {"all": weights, "embeddings": embedded}
    assert report["weights_mib"] == pytest.approx(4 * weights / 2**20)
    assert report["peak_memory_mib"] > 100
    assert report["peak_device_memory_mib"] is None
    machine = report["computing"]
    assert (machine["precision"], machine["device"], machine["threads"]) == ("fp32", "cpu", 1)
    assert machine["environment"]["packages"]["torch"]
    assert machine["environment"]["processor"]


def test_a_model_from_elsewhere_is_timed_too(world, tmp_path):
    scorer = CrossEncoder.C(backbone=tiny(world), max_length=32, max_query_length=8)
    scorer.instance().build().eval().save(tmp_path / "model")
    sha256 = content_sha256(tmp_path / "model", HashCache())
    model = PretrainedModel.C(backbone=LocalBackbone.C(path=tmp_path / "model", sha256=sha256), max_length=16)
    report = timed(world, tmp_path / "job", model=model)
    assert report["padded_tokens_per_pair"] <= 16
    assert report["truncated_pairs"] > 0


def test_no_text_is_found_among_those_that_were_tokenised_before(world):
    """Documents come back in other queries' lists, and the encoder keeps what it has met."""
    scorer = CrossEncoder.C(backbone=tiny(world), max_length=32, max_query_length=8)
    model = LoadedModel(scorer.instance().build())
    time_query(model, "kara", ["good", "bad"], tokens_per_batch=64)
    time_query(model, "lose", ["good", "mira"], tokens_per_batch=64)
    assert set(model.scorer.encoder._cache) == {"lose", "good", "mira"}


def test_seconds_are_summed_up_as_said():
    query = TimedQuery(10, (0.001, 0.002, 0.003), 100, 120, 4)
    slower = TimedQuery(10, (0.003, 0.002, 0.007), 300, 330, 0)
    found = summary([query, slower])
    assert found["latency_ms"]["total"] == pytest.approx({"mean": 9, "median": 9, "p90": 11.4})
    assert found["latency_ms"]["forward"]["mean"] == pytest.approx(5)
    assert found["pairs_per_second"] == pytest.approx(20 / 0.018)
    assert (found["tokens_per_pair"], found["padded_tokens_per_pair"], found["truncated_pairs"]) == (20, 22.5, 4)


def test_queries_are_spread_over_the_run():
    queries = [f"q{number}" for number in range(10)]
    assert spread(queries, 3) == ["q0", "q4", "q9"]
    assert spread(queries, 99) == queries


def test_what_cannot_be_timed_is_refused(world, tmp_path):
    with pytest.raises(ConfigurationError, match="timed_queries is 0"):
        Efficiency.__validate__(Efficiency.C(depth=5, timed_queries=0))


# -- in a study -----------------------------------------------------------------------------------------------------


def test_it_is_asked_for_and_changes_no_other_job(workspace):
    without, asked = plan_of(workspace), plan_of(workspace, "evaluation.efficiency=true")
    added = [job for job in asked.jobs if job.kind == "efficiency"]
    assert [job for job in asked.jobs if job not in added] != []
    assert [job.identity for job in asked.jobs if job.kind != "efficiency"] == [job.identity for job in without.jobs]
    learners = [job for job in asked.jobs if job.kind == "learn"]
    assert len(added) == len(learners) == 6  # trained ones on one set; untrained ones cost the same
    assert all("system" not in job.coordinates and job.coordinates["set"] == "test" for job in added)


def test_show_tells_it_to_a_reader(trained_study, tmp_path):
    workspace = Workspace(shutil.copytree(trained_study.workspace.path, tmp_path / "ws", symlinks=True))
    study = Study.load(trained_study.workspace.path.parent / "study.yaml", ["evaluation.efficiency=true"])
    plan = planned(study, workspace)
    job = next(each for each in plan.jobs if each.kind == "efficiency" and each.coordinates["seed"] == "1")
    retrieve = next(each for each in plan.jobs if each.identity in job.depends_on and each.kind == "retrieve")
    if not retrieve.folder.exists():
        run_as_job(retrieve)
    run_as_job(job)
    result = CliRunner().invoke(show, [job.identity[:12], "--workdir", str(workspace.path)])
    assert result.exit_code == 0, result.output
    assert "a query of 10 documents:" in result.output
    assert "of it, in ms: tokenisation " in result.output
    assert "fp32 on cpu, 1 threads, load " in result.output
