"""Our measures against ir_measures (pytrec_eval and its other providers)."""

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_ce.data.runs import Ranking, read_run, write_run
from xpm_ce.measures.evaluate import per_query
from xpm_ce.measures.rankings import trec_order

MEASURES = [
    *("nDCG", "nDCG@1", "nDCG@10", "Judged", "Judged@3", "Judged@10"),
    *("RR", "RR@2", "RR@10", "RR(rel=2)", "RR(rel=2)@10", "AP", "AP@3", "AP(rel=2)", "AP(rel=3)@10"),
    *("P@1", "P@10", "P(rel=2)@5", "R@2", "R@100", "R(rel=2)@10", "Success@1", "Success@5", "Success(rel=2)@3"),
    *("Rprec", "Rprec(rel=2)", "Bpref", "Bpref(rel=2)"),
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
PYTREC_EVAL = ["nDCG", "nDCG@3", "RR", "RR(rel=2)", "AP", "AP@3", "P@2", "R@2", "Success@1", "Rprec", "Bpref"]


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
