"""Our measures against ir_measures (pytrec_eval and its other providers) and trec_eval's own test outputs.

The outputs need trec_eval's `test` folder as $XPM_CE_TEST_DATA/trec_eval: `qrels.test`, `results.test`, ...
"""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_ce.data.runs import ExternalRun, Ranking, cut, read_run, write_run
from xpm_ce.measures.evaluate import per_query
from xpm_ce.measures.names import parse
from xpm_ce.measures.rankings import trec_order

MEASURES = [
    *("nDCG", "nDCG@1", "nDCG@10", "Judged", "Judged@3", "Judged@10"),
    *("RR", "RR@2", "RR@10", "RR(rel=2)", "RR(rel=2)@10", "AP", "AP@3", "AP(rel=2)", "AP(rel=3)@10"),
    *("P@1", "P@10", "P(rel=2)@5", "R@2", "R@100", "R(rel=2)@10", "Success@1", "Success@5", "Success(rel=2)@3"),
]

TOLERANCE = 1e-12
"""Both compute in float64 and differ by the order of sums of at most 200 terms, each at most 3"""


def theirs(measures, qrels, run, provider=ir_measures):
    """ir_measures' values as {(query, measure): value}; `run` is {query: {document: score}} or rows."""
    parsed = {ir_measures.parse_measure(name): name for name in measures}
    metrics = list(provider.iter_calc(list(parsed), qrels, run))
    values = {(metric.query_id, parsed[metric.measure]): metric.value for metric in metrics}
    assert len(values) == len(metrics)
    return values


def ours(measures, qrels, rankings):
    table = per_query(rankings, qrels, measures)
    return {
        (query, measure): value
        for query, values in zip(table.query_ids, table.values.tolist(), strict=True)
        for measure, value in zip(table.measures, values, strict=True)
    }


def scored(rankings):
    return {query: dict(zip(each.documents, each.scores.tolist(), strict=True)) for query, each in rankings.items()}


def assert_same(one, other):
    assert set(one) == set(other)
    assert len(one) > 0
    assert one == pytest.approx(other, rel=0, abs=TOLERANCE)


@st.composite
def judged_runs(draw, score):
    """qrels and {query: {document: score}}, with missing, unjudged and hopeless queries."""
    documents = st.sampled_from(["a", "b", "c", "d", "d1", "d10", "d9", "é", "Z", "文"])
    queries = st.sampled_from(["q2", "q3", "q4"])
    # pytrec_eval hangs or crashes on a query with negative grades only; ours has a value by hand for that.
    judged = st.dictionaries(documents, st.integers(-2, 3), min_size=1).filter(lambda grades: max(grades.values()) >= 0)
    shown = st.dictionaries(documents, score, min_size=1)
    qrels = {"q1": draw(judged), **draw(st.dictionaries(queries, judged))}
    return qrels, {"q1": draw(shown), **draw(st.dictionaries(queries, shown))}


@given(judged_runs(st.floats(-100, 100)))
def test_every_measure_equals_ir_measures_on_any_run_without_ties(world):
    qrels, run = world
    rankings = {}
    for query, documents in run.items():
        ordered = sorted(documents, key=documents.__getitem__, reverse=True)
        rankings[query] = Ranking(ordered, np.arange(len(ordered), 0, -1, dtype=np.float32))
    assert_same(ours(MEASURES, qrels, rankings), theirs(MEASURES, qrels, scored(rankings)))


def test_every_measure_equals_ir_measures_on_long_rankings():
    generator = np.random.default_rng(8)
    qrels, rankings = {}, {}
    for number in range(60):
        pool = [f"d{each}" for each in generator.permutation(500)]
        grades = generator.choice([-1, 0, 1, 2, 3], size=150, p=[0.05, 0.5, 0.25, 0.15, 0.05]).tolist()
        qrels[f"q{number}"] = dict(zip(pool[:150], grades, strict=True))
        shown = [pool[each] for each in generator.permutation(500)[:200]]
        rankings[f"q{number + 3}"] = Ranking(shown, np.sort(generator.normal(size=200))[::-1].astype(np.float32))
    assert_same(ours(MEASURES, qrels, rankings), theirs(MEASURES, qrels, scored(rankings)))

    means = per_query(rankings, qrels, MEASURES).means()
    aggregates = ir_measures.calc_aggregate(
        [ir_measures.parse_measure(name) for name in MEASURES], qrels, scored(rankings)
    )
    assert means == pytest.approx({str(key): value for key, value in aggregates.items()}, rel=0, abs=TOLERANCE)


# pytrec_eval alone: the other providers behind RR@k and Judged order ties in other ways.
PYTREC_EVAL = ["nDCG", "nDCG@3", "RR", "RR(rel=2)", "AP", "AP@3", "P@2", "R@2", "Success@1"]


@given(judged_runs(st.sampled_from([0.0, -0.0, 1.0, 1 + 1e-9, 1 - 1e-9, 1 + 1e-6, -3.0, -3.0000000001, 1e-46])))
def test_the_order_of_tied_scores_is_that_of_pytrec_eval(world):
    qrels, run = world
    rankings = {query: trec_order(list(each), list(each.values())) for query, each in run.items()}
    assert_same(ours(PYTREC_EVAL, qrels, rankings), theirs(PYTREC_EVAL, qrels, run, provider=ir_measures.pytrec_eval))


@given(judged_runs(st.sampled_from([0.0, -0.0, 1.0, 1 + 1e-9, 1 + 1e-7, -3.0, 1e30])))
@settings(max_examples=50)
def test_every_provider_gives_one_answer_on_a_run_that_we_have_written(tmp_path_factory, world):
    qrels, run = world
    rankings = {}
    for query, each in run.items():
        documents = sorted(each)  # ties stand in ascending order, which pytrec_eval would turn round
        documents.sort(key=lambda document: -np.float32(each[document]))
        rankings[query] = Ranking(documents, np.array([each[document] for document in documents], np.float32))
    path = tmp_path_factory.mktemp("runs") / "run"
    write_run(path, rankings, "tag")

    expected = ours(MEASURES, qrels, rankings)
    assert_same(ours(MEASURES, qrels, read_run(path)), expected)
    judgements = [
        ir_measures.Qrel(query, document, grade) for query, each in qrels.items() for document, grade in each.items()
    ]
    for provider, measures in (
        (ir_measures, MEASURES),
        (ir_measures.pytrec_eval, PYTREC_EVAL),
        (ir_measures.msmarco, ["RR", "RR@2", "RR@10", "RR(rel=2)"]),
        (ir_measures.judged, ["Judged", "Judged@3"]),
    ):
        read = list(ir_measures.read_trec_run(str(path)))
        assert_same(theirs(measures, judgements, read, provider=provider), ours(measures, qrels, rankings))


# -- trec_eval's own outputs --------------------------------------------------------------------------------

COLUMNS = ["nDCG", "nDCG@10", "RR", "AP", "AP@100", "P@10", "R@100", "Success@5"]
"""Ours for ndcg ndcg_cut_10 recip_rank map map_cut_100 P_10 recall_100 success_5"""

OUTPUTS = {
    # trec_eval -m all_trec -q qrels.test results.test
    ("qrels.test", "results.test", 1000, 1): {
        "301": (0.1584, 0.1518, 0.1667, 0.0324, 0.0118, 0.2000, 0.0485, 0.0000),
        "302": (0.6617, 0.7530, 1.0000, 0.4175, 0.3983, 0.7000, 0.5455, 1.0000),
        "303": (0.3862, 0.0000, 0.0526, 0.0858, 0.0764, 0.0000, 0.9000, 0.0000),
        "all": (0.4021, 0.3016, 0.4064, 0.1785, 0.1622, 0.3000, 0.4980, 0.3333),
    },
    # trec_eval -m all_trec -q -c qrels.test results.trunc
    ("qrels.test", "results.trunc", 1000, 1): {
        "301": (0.1584, 0.1518, 0.1667, 0.0324, 0.0118, 0.2000, 0.0485, 0.0000),
        "302": (0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000),
        "303": (0.4730, 0.3633, 0.3333, 0.2723, 0.2723, 0.4000, 0.6000, 1.0000),
        "all": (0.2105, 0.1717, 0.1667, 0.1016, 0.0947, 0.2000, 0.2162, 0.3333),
    },
    # the same with -M100
    ("qrels.test", "results.trunc", 100, 1): {
        "301": (0.0670, 0.1518, 0.1667, 0.0118, 0.0118, 0.2000, 0.0485, 0.0000),
        "302": (0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000),
        "303": (0.4730, 0.3633, 0.3333, 0.2723, 0.2723, 0.4000, 0.6000, 1.0000),
        "all": (0.1800, 0.1717, 0.1667, 0.0947, 0.0947, 0.2000, 0.2162, 0.3333),
    },
    # trec_eval -m all_trec -q -l2 qrels.rel_level results.test
    ("qrels.rel_level", "results.test", 1000, 2): {
        "301": (0.1396, 0.0439, 0.0033, 0.0003, 0.0000, 0.0000, 0.0000, 0.0000),
        "302": (0.6617, 0.7530, 1.0000, 0.4175, 0.3983, 0.7000, 0.5455, 1.0000),
        "303": (0.3669, 0.0000, 0.0526, 0.0823, 0.0729, 0.0000, 0.8750, 0.0000),
        "all": (0.3894, 0.2656, 0.3520, 0.1667, 0.1571, 0.2333, 0.4735, 0.3333),
    },
}  # fmt: skip
"""(qrels, results, depth, rel) -> query -> values of COLUMNS, as trec_eval prints them"""

ROUNDED = 0.5e-4 + 1e-9
"""trec_eval prints four decimals"""


@pytest.fixture
def trec_eval_folder():
    folder = Path(os.environ.get("XPM_CE_TEST_DATA", "")) / "trec_eval"
    if not os.environ.get("XPM_CE_TEST_DATA") or not folder.is_dir():
        pytest.skip("$XPM_CE_TEST_DATA/trec_eval (the `test` folder of trec_eval) is absent")
    return folder


def results(file: Path, folder: Path) -> ExternalRun:
    """A results file without what trec_eval allows after the tag."""
    lines = (" ".join(line.split()[:6]) for line in file.read_text().splitlines())
    path = folder / "run"
    path.write_text("".join(f"{line}\n" for line in lines))
    return ExternalRun.C(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("case", OUTPUTS, ids=lambda case: "-".join(map(str, case)))
def test_the_test_outputs_of_trec_eval_are_reproduced(trec_eval_folder, tmp_path, case):
    qrels_name, results_name, depth, rel = case
    qrels: dict[str, dict[str, int]] = {}
    for line in (trec_eval_folder / qrels_name).read_text().splitlines():
        query, _, document, grade = line.split()
        qrels.setdefault(query, {})[document] = int(grade)
    rankings = cut(results(trec_eval_folder / results_name, tmp_path).read(), depth)

    asked = [replace(parse(name), rel=1 if name.startswith("nDCG") else rel) for name in COLUMNS]
    table = per_query(rankings, qrels, map(str, asked))
    measured = dict(zip(table.query_ids, table.values.tolist(), strict=True))
    measured["all"] = list(table.means().values())
    assert set(measured) == set(OUTPUTS[case])
    for query, values in OUTPUTS[case].items():
        assert measured[query] == pytest.approx(values, rel=0, abs=ROUNDED)
