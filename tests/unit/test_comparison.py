"""Two systems compared: which ones a word means, numbers equal to scipy's, the rankings of what differs most."""

import gzip
import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats
from test_significance import changed, holm, per_query  # noqa: F401

from xpm_ce.analysis.comparison import compare_systems
from xpm_ce.analysis.results import read_results
from xpm_ce.analysis.statistics.procedure import Procedure
from xpm_ce.analysis.systems import measured_system
from xpm_ce.analysis.top_documents import TopDocument, beside, rankings
from xpm_ce.cli.compare import command
from xpm_ce.errors import ConfigurationError, DataError, UnknownKeyError


def named(workspace, text, near=None):
    return measured_system(read_results(workspace, "study"), text, near=near)


def jobs(workspace) -> list[str]:
    return [job["id"] for job in workspace.read_plan("study")["jobs"]]


def compared(workspace, a, b, **asked):
    return compare_systems(read_results(workspace, "study"), a, b, **asked)


# -- which system -------------------------------------------------------------------------------------------


def test_a_place_in_the_grid_means_all_its_seeds_unless_one_is_named(drawn):
    assert named(drawn, "loss=bce,backbone=electra").name == "backbone=ELECTRA loss=BCE"
    assert named(drawn, "loss=bce,backbone=electra").seeds == ("1", "2")
    one = named(drawn, "loss=BCE,backbone=BERT,seed=2")
    assert (one.name, one.seeds) == ("backbone=BERT loss=BCE seed=2", ("2",))


def test_axes_that_are_left_out_are_those_of_the_other_system(drawn):
    first = named(drawn, "loss=BCE,backbone=ELECTRA")
    assert named(drawn, "loss=InfoNCE", near=first).coordinates == {"backbone": "ELECTRA", "loss": "InfoNCE"}
    assert named(drawn, "loss=InfoNCE").coordinates == {"backbone": "BERT", "loss": "InfoNCE"}


def test_first_stages_and_untrained_scorers_have_names(drawn):
    assert named(drawn, "bm25").system == "first stage"
    assert named(drawn, "untrained").coordinates == {"backbone": "BERT"}
    assert named(drawn, "untrained,backbone=BERT").name == "untrained backbone=BERT"


def test_a_job_means_the_system_that_it_is_of(drawn):
    plan = drawn.read_plan("study")
    job = {
        kind: next(each for each in plan["jobs"] if each["kind"] == kind) for kind in ("learn", "rerank", "retrieve")
    }
    learner = named(drawn, job["learn"]["id"][:16])
    assert learner.coordinates | {"seed": learner.seeds[0]} == job["learn"]["coordinates"]
    assert {row.protocol for row in learner.rows} == {"DL19", "DL20", "SciFact"}
    assert {row.protocol for row in named(drawn, job["rerank"]["id"]).rows} == {job["rerank"]["coordinates"]["set"]}
    assert named(drawn, job["retrieve"]["id"]).system == "first stage"
    results = read_results(drawn, "study")
    folder = next(iter(results.folders.values()))
    assert {row.job for row in named(drawn, str(folder)).rows} == {folder.name}


def test_a_system_that_there_is_not_is_told_from_one_that_is_not_measured_yet(drawn):
    with pytest.raises(ConfigurationError, match=r"jobs of the plan start with"):
        named(drawn, next(text for text in "0123456789" if sum(job.startswith(text) for job in jobs(drawn)) > 1))
    with pytest.raises(UnknownKeyError, match=r"unknown system of the plan: los=BCE[\s\S]*loss=BCE"):
        named(drawn, "los=BCE")
    with pytest.raises(ConfigurationError, match="not measured yet"):
        named(drawn, "untrained,backbone=ELECTRA")


# -- what is compared ---------------------------------------------------------------------------------------


def test_every_number_is_scipys_on_the_per_query_files(drawn):
    made = compared(drawn, "loss=BCE,backbone=BERT", "loss=InfoNCE", measures=("nDCG@10",))
    assert [(line.protocol, line.queries) for line in made.lines] == [("DL19", 43), ("DL20", 54), ("SciFact", 300)]
    expected = []
    for line in made.lines:
        a, b = (per_query(drawn, line.protocol, backbone="BERT", loss=loss) for loss in ("BCE", "InfoNCE"))
        expected.append(stats.ttest_rel(b, a).pvalue)
        interval = stats.bootstrap((b - a,), np.mean, n_resamples=10_000, rng=np.random.default_rng(0), batch=100)
        permuted = stats.permutation_test(
            (b - a, np.zeros(len(a))), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples",
            vectorized=True, batch=500, rng=np.random.default_rng(1),
        ).pvalue  # fmt: skip
        assert line.p_values["t"] == pytest.approx(expected[-1], rel=1e-9)
        assert abs(line.p_values["randomisation"] - permuted) <= 4 * (2 * permuted / 10_000) ** 0.5 + 2e-4
        assert line.interval[:2] == pytest.approx(tuple(interval.confidence_interval), rel=1e-9)
        assert (line.a, line.b) == pytest.approx((a.mean(), b.mean()))
        assert (line.wins, line.ties, line.losses) == ((b > a).sum(), (b == a).sum(), (b < a).sum())
    assert [line.adjusted for line in made.lines] == pytest.approx(holm(expected), rel=1e-9)


def test_the_other_way_round_every_sign_changes(drawn):
    there, back = (
        compared(drawn, *pair, measures=("nDCG@10",)) for pair in (("bm25", "loss=BCE"), ("loss=BCE", "bm25"))
    )
    for one, other in zip(there.lines, back.lines, strict=True):
        assert one.difference == pytest.approx(-other.difference)
        assert one.p_values == pytest.approx(other.p_values, rel=1e-9)
        assert (one.wins, one.losses) == (other.losses, other.wins)


def test_seeds_give_an_interval_of_their_own(drawn):
    both, single = (
        compared(drawn, "loss=BCE", "loss=InfoNCE"),
        compared(drawn, "loss=BCE,seed=1", "loss=InfoNCE,seed=1"),
    )
    assert all(line.interval_over_seeds is not None for line in both.lines)
    assert all(line.interval_over_seeds is None for line in single.lines)
    assert "For other seeds too (hierarchical bootstrap): DL19, depth 1000, nDCG@10" in both.render()


def test_a_protocol_that_was_not_measured_of_both_is_refused(drawn):
    with pytest.raises(ConfigurationError, match="were not measured together"):
        compared(drawn, "untrained,backbone=BERT", "bm25", protocols=("SciFact",))


# -- rankings -----------------------------------------------------------------------------------------------


def run(folder, rows) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / "run.gz", "wt") as stream:
        stream.writelines(f"{query} Q0 {document} 1 {score} tag\n" for query, document, score in rows)


def test_the_largest_wins_and_losses_show_both_rankings(changed):  # noqa: F811
    workspace, _ = changed
    results = read_results(workspace, "study")
    made = compared(workspace, "loss=BCE,seed=1", "loss=InfoNCE,seed=1", protocols=("DL19",))
    best, worst = made.largest[0].wins[0].query_id, made.largest[0].losses[0].query_id
    for side, order in ((made.a, ("d1", "d2", "d3")), (made.b, ("d3", "d1", "d4"))):
        job = next(row.job for row in side.rows if row.protocol == "DL19")
        rerank = next(each for each in results.behind(job) if each["kind"] == "rerank")
        ranked = [(query, document, -rank) for query in (best, worst, "x") for rank, document in enumerate(order)]
        run(workspace.job(rerank["task"], rerank["id"]).path, ranked)
    made = compared(workspace, "loss=BCE,seed=1", "loss=InfoNCE,seed=1", protocols=("DL19",))
    shown = made.largest[0].wins[0]
    assert list(map(str, shown.documents_a)) == ["d1 (2)", "d2 (–)", "d3 (1)"]
    assert list(map(str, shown.documents_b)) == ["d3 (3)", "d1 (1)", "d4 (–)"]
    differences = per_query(workspace, "DL19", backbone="BERT", loss="InfoNCE", seed="1") - per_query(
        workspace, "DL19", backbone="BERT", loss="BCE", seed="1"
    )
    assert shown.b - shown.a == pytest.approx(differences.max())
    assert made.largest[0].losses[0].b - made.largest[0].losses[0].a == pytest.approx(differences.min())
    assert f"  query {best}: " in made.render()


def test_rankings_are_read_in_trec_evals_order_and_damage_is_named(tmp_path):
    run(tmp_path, [("q", "a", 1.0), ("q", "b", 2.0), ("q", "c", 1.0), ("other", "z", 9.0)])
    assert rankings(tmp_path / "run.gz", ["q", "absent"]) == {"q": ["b", "c", "a"], "absent": []}
    (tmp_path / "run.gz").write_bytes((tmp_path / "run.gz").read_bytes()[:-12])
    with pytest.raises(DataError, match=str(tmp_path / "run.gz")):
        rankings(tmp_path / "run.gz", ["q"])
    assert beside(["a", "b"], ["b"], 5) == [TopDocument("a", None), TopDocument("b", 1)]


def test_the_command_prints_the_same_as_json(drawn):
    arguments = ["loss=BCE", "loss=InfoNCE", "--workdir", str(drawn.path), "--json", "--test", "randomisation"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    found = json.loads(result.stdout)
    made = compared(drawn, "loss=BCE", "loss=InfoNCE", procedure=Procedure("randomisation"))
    assert found["lines"] == [json.loads(json.dumps(line.as_json())) for line in made.lines]
    assert found["a"]["jobs"] == list(dict.fromkeys(row.job for row in made.a.rows))
