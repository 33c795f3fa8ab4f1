"""Plans of studies that name protocols: labels, measures, depths, policies, what is shared, and what is refused."""

import json
import re
from pathlib import Path

import pytest
from studies import folder_study, plan_of, small_collection

from xpm_ce.analysis.results import ResultRow, Results
from xpm_ce.analysis.tables import make_tables
from xpm_ce.errors import ConfigurationError, XpmCeError
from xpm_ce.experiment import Configuration, prepare
from xpm_ce.graph.planner import State, Why
from xpm_ce.graph.study import Study
from xpm_ce.workspace import Workspace

MODEL = {"name": "m", "backbone": {"type": "hub", "id": "a/b", "revision": "d" * 40}, "max_length": 64}


@pytest.fixture(autouse=True)
def nothing_here(tmp_path, monkeypatch):
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "irds"))
    for name in ("XPM_CE_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def evaluating(tmp_path, *names, evaluation=None, **keys):
    file = tmp_path / "study.yaml"
    sections = {"id": "s", "models": [MODEL], "evaluation": {"protocols": list(names), **(evaluation or {})}, **keys}
    file.write_text(json.dumps(sections))
    return prepare(Configuration(Study.load(file)), Workspace(tmp_path / "ws")).plan


def jobs(plan, kind):
    return [job for job in plan.jobs if job.kind == kind]


def identities(plan, kind):
    return {job.identity for job in jobs(plan, kind)}


def test_a_protocol_brings_its_collection_first_stage_depth_policy_and_measures(tmp_path):
    plan = evaluating(tmp_path, "dl19@bm25-100", "arguana@bm25-100", "lotte-writing@bm25-100")
    reranked = {job.coordinates["set"]: job.config for job in jobs(plan, "rerank")}
    assert list(reranked) == ["dl19@bm25-100", "arguana@bm25-100", "lotte-writing@bm25-100"]
    assert {config.depth for config in reranked.values()} == {100}
    assert reranked["arguana@bm25-100"].queries.id == "beir/arguana"
    retrieved = {job.coordinates["set"]: job.config for job in jobs(plan, "retrieve")}
    assert {config.depth for config in retrieved.values()} == {1000}
    assert {name: config.ignore_identical_ids for name, config in retrieved.items()} == {
        "dl19": False, "arguana": True, "lotte-writing": False,
    }  # fmt: skip
    assert {(config.k1, config.b) for config in retrieved.values()} == {(0.9, 0.4)}
    measured = {job.coordinates["set"]: job.config for job in jobs(plan, "measure")}
    assert measured["dl19@bm25-100"].measures == ["AP(rel=2)", "RR(rel=2)", "nDCG@10"]
    assert measured["lotte-writing@bm25-100"].measures == ["Success@5", "nDCG@10"]
    assert measured["arguana@bm25-100"].ignore_identical_ids
    assert {tuple(config.depths) for config in measured.values()} == {(100,)}


def test_two_depths_of_one_first_stage_are_scored_once_and_measured_apart(tmp_path):
    plan = evaluating(tmp_path, "dl19@bm25-1000", "dl19@bm25-100")
    (rerank,) = jobs(plan, "rerank")
    assert rerank.config.depth == 1000
    assert len(jobs(plan, "retrieve")) == 1
    assert [result.protocol for result in plan.results if result.system == "model"] == [
        "dl19@bm25-1000", "dl19@bm25-100",
    ]  # fmt: skip
    assert {tuple(job.config.depths) for job in jobs(plan, "measure")} == {(100,), (1000,)}


def test_a_protocol_is_the_set_that_says_the_same(tmp_path):
    named = evaluating(tmp_path, "dl19@bm25-1000")
    described = {"protocols": None, "sets": [{"name": "mine", "split": "trec-dl-2019/judged"}], "depths": [1000],
                 "measures": ["nDCG@10", "RR(rel=2)", "AP(rel=2)"]}  # fmt: skip
    own = evaluating(
        tmp_path, evaluation=described, collection={"type": "ir_datasets", "id": "msmarco-passage"},
        first_stage={"type": "bm25", "k1": 0.9, "b": 0.4, "depth": 1000},
    )  # fmt: skip
    assert {job.identity for job in named.jobs} == {job.identity for job in own.jobs}
    assert {result.protocol for result in own.results} == {"mine"}


def test_a_protocol_named_twice_is_one(tmp_path):
    plan = evaluating(tmp_path, "in-domain@bm25-100", "dl19@bm25-100")
    assert plan.table["protocols"] == ["msmarco-dev@bm25-100", "dl19@bm25-100", "dl20@bm25-100"]


def test_the_layout_says_main_measures_abbreviations_and_complete_averages(tmp_path):
    layout = evaluating(tmp_path, "in-domain@bm25-100", "lotte-writing@bm25-100").table
    assert layout["main"]["msmarco-dev@bm25-100"] == {"measure": "RR@10", "depth": 100}
    assert layout["main"]["lotte-writing@bm25-100"] == {"measure": "Success@5", "depth": 100}
    assert layout["abbreviations"]["msmarco-dev@bm25-100"] == "MSM"
    assert layout["averages"] == {"ID": ["msmarco-dev@bm25-100", "dl19@bm25-100", "dl20@bm25-100"]}
    assert layout["measures"][:2] == ["RR@10", "nDCG@10"]
    rows = [
        ResultRow("model", label, {"model": "m"}, "given", 100, measure, 50, 0.5, "j")
        for label in layout["protocols"]
        for measure in layout["measures"]
    ]
    tables = make_tables(Results("s", layout, rows, []))
    assert [(table.protocol, table.measure) for table in tables] == [
        ("msmarco-dev@bm25-100", "RR@10"), ("dl19@bm25-100", "nDCG@10"), ("dl20@bm25-100", "nDCG@10"),
        ("lotte-writing@bm25-100", "Success@5"),
    ]  # fmt: skip


def test_averages_of_one_s_own_stand_beside_those_of_the_registry(tmp_path):
    own = {"mine": ["dl19@bm25-100", "lotte-writing@bm25-100"]}
    plan = evaluating(tmp_path, "in-domain@bm25-100", "lotte-writing@bm25-100", table={"averages": own})
    assert list(plan.table["averages"]) == ["ID", "mine"]
    assert plan.table["averages"]["mine"] == own["mine"]


def test_protocols_stand_beside_sets_of_one_s_own_whose_jobs_stay_the_same(tmp_path):
    folder = small_collection(tmp_path / "collection")
    own = {"sets": [{"split": "test"}], "depths": [5], "measures": ["nDCG@10"]}
    before = plan_of(tmp_path / "ws", file=folder_study(tmp_path, folder, evaluation=own))
    file = folder_study(tmp_path, folder, evaluation={**own, "protocols": ["scifact@bm25-100"]})
    after = plan_of(tmp_path / "ws", file=file)
    assert {job.identity for job in before.jobs} < {job.identity for job in after.jobs}
    assert after.table["protocols"] == ["test", "scifact@bm25-100"]
    assert after.table["main"]["test"] == {"measure": "nDCG@10", "depth": 5}
    assert after.table["averages"] == {}


def test_a_run_file_is_re_ranked_instead_of_the_first_stage_s(tmp_path):
    folder = small_collection(tmp_path / "collection")
    (tmp_path / "theirs.txt").write_text("".join(f"q{n} Q0 d{n} 1 2.0 x\n" for n in range(4, 8)))
    sets = [{"split": "test"}, {"split": "test", "name": "theirs", "run": "theirs.txt"}]
    evaluation = {"sets": sets, "depths": [5], "measures": ["nDCG@10"]}
    plan = plan_of(tmp_path / "ws", file=folder_study(tmp_path, folder, evaluation=evaluation))
    first = {r.protocol: r.coordinates["first stage"] for r in plan.results if r.system == "first stage"}
    assert first == {"test": "BM25", "theirs": "theirs.txt"}
    trained = [job for job in jobs(plan, "rerank") if "system" not in job.coordinates]
    assert {type(job.config.run).__xpmtype__.value_type.__name__ for job in trained} == {"Run", "ExternalRun"}
    assert len({job.identity for job in trained}) == 2


def test_two_sets_of_one_name_are_refused(tmp_path):
    folder = small_collection(tmp_path / "collection")
    evaluation = {
        "sets": [{"split": "test"}, {"split": "train", "name": "test"}],
        "depths": [5],
        "measures": ["nDCG@10"],
    }
    with pytest.raises(ConfigurationError, match="two evaluation sets are named test"):
        plan_of(tmp_path / "ws", file=folder_study(tmp_path, folder, evaluation=evaluation))


def test_splade_protocols_are_blocked_until_somebody_says_where_the_weights_are(tmp_path):
    plan = evaluating(tmp_path, "dl19@splade-1000")
    states = {job.kind: job.state for job in plan.jobs}
    assert (states["store"], states["index"], states["rerank"]) == (State.RUN, State.BLOCKED, State.BLOCKED)
    weights = {"type": "hub", "id": "naver/splade-v3-distilbert", "revision": "e" * 40}
    given = evaluating(
        tmp_path, "dl19@splade-1000", evaluation={"splade_backbone": weights, "device": "cuda", "precision": "fp32"}
    )
    blocked = {str(job.reason.why) for job in given.jobs if job.state is State.BLOCKED}
    assert blocked == {Why.NO_CAPABILITY, Why.UPSTREAM_BLOCKED}  # for want of a GPU, no longer for want of weights
    (index,) = jobs(given, "index")
    assert (index.config.device, index.config.encoder.max_length) == ("cuda", 256)
    assert {r.coordinates["first stage"] for r in given.results if r.system == "first stage"} == {
        "SPLADE-v3-distilbert"
    }


def test_sets_can_be_read_from_datamaestro_where_it_has_the_same(tmp_path):
    plan = evaluating(tmp_path, "dl19@bm25-100", evaluation={"library": "datamaestro"})
    assert jobs(plan, "store")[0].config.documents.id == "com.microsoft.msmarco.passage.documents"
    assert jobs(plan, "rerank")[0].config.queries.id == "com.microsoft.msmarco.passage.trec2019.judged"
    with pytest.raises(ConfigurationError, match="datamaestro does not have robust04 as the protocol wants it"):
        evaluating(tmp_path, "robust04@bm25-100", evaluation={"library": "datamaestro"})


def with_validation(tmp_path, **validation):
    learner = {
        "scorer": {"type": "cross_encoder", "max_length": 64, "backbone": MODEL["backbone"]}, "loss": "infonce",
        "sampler": {"type": "groups", "queries": 2, "negatives": 1}, "steps": 4, "learning_rate": 1e-3, "keep": "best",
        "validation": {"interval": 2, **validation},
    }  # fmt: skip
    return evaluating(
        tmp_path, "dl19@bm25-100", learner=learner, collection={"type": "ir_datasets", "id": "msmarco-passage"},
        training_set={"type": "mined", "run": {"published": "colbertv2-500"}},
    )  # fmt: skip


def test_a_learner_is_validated_on_protocols(tmp_path):
    plan = with_validation(tmp_path, protocols=["nanobeir@bm25-100"])
    (learner,) = jobs(plan, "learn")
    sets = learner.config.validation.sets
    assert len(sets) == 13
    assert {each.queries.id.partition("/")[0] for each in sets} == {"nano-beir"}
    assert len(jobs(plan, "rerank")) == 3  # the trained, the untrained and the existing model on DL 2019 only
    with pytest.raises(ConfigurationError, match="depth is 100, but nano-nq@bm25-1000 re-ranks 1000"):
        with_validation(tmp_path, protocols=["nano-nq@bm25-1000"])
    with pytest.raises(ConfigurationError, match=r"learner\.validation\.sets is missing"):
        with_validation(tmp_path)


@pytest.mark.parametrize(
    ("names", "evaluation", "message"),
    [
        ([], {"protocols": None}, "nothing is measured"),
        (["dl19@bm25-100"], {"depths": [10]}, "depths is given, but there are no sets"),
        (["dl19@bm25-100"], {"measures": ["RR@10"]}, "measures is given, but there are no sets"),
        (
            ["dl19@bm25-100"],
            {"library": "ir_datasest"},
            "unknown library of data ir_datasest\n  Did you mean ir_datasets?",
        ),
        (["dl19@bm52-100"], {}, "study.yaml:1: unknown first stage of a protocol: bm52"),
        ([], {"protocols": "dl19@bm25-100"}, "list"),
        ([], {"protocols": None, "sets": [{"split": "test"}], "depths": [10]}, "measures is empty"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, names, evaluation, message):
    keys = {} if names else {"collection": {"type": "generated"}, "first_stage": {"type": "bm25"}}
    with pytest.raises(XpmCeError, match=re.escape(message)):
        evaluating(tmp_path, *names, evaluation=evaluation, **keys)


def test_no_module_of_the_registry_knows_more_than_errors():
    folder = Path(__file__).parents[2] / "xpm_ce" / "protocols"
    imported = {
        line.split()[1]
        for file in folder.glob("*.py")
        for line in file.read_text().splitlines()
        if line.startswith(("from xpm_ce", "import xpm_ce"))
    }
    assert {name.rpartition(".")[0] for name in imported} <= {"xpm_ce", "xpm_ce.protocols"}
