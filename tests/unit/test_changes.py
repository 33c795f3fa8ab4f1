"""Which fields two jobs are said to differ in, and which finished job is nearest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpm_ce.graph.changes import Comparison
from xpm_ce.graph.nearest import _Finished
from xpm_ce.graph.signature import Signature
from xpm_ce.graph.states import Change, Reason, Why

LEARNER, RERANK, MEASURE, TRAINING = (
    "xpm_ce.learn.learner", "xpm_ce.evaluate.rerank", "xpm_ce.evaluate.measure", "xpm_ce.data.mine_training_set",
)  # fmt: skip


def job(task: str, inputs: dict[str, str] | None = None, **fields) -> Signature:
    return Signature(task, {name.replace("__", "."): value for name, value in fields.items()}, inputs or {}, {})


def told(jobs: dict[str, Signature], before: str, after: str) -> list[str]:
    return [str(each) for each in Comparison(jobs.get).changes(before, after)]


def test_a_field_is_named_by_its_path_and_that_of_an_input_by_its_section_first():
    jobs = {
        "l1": job(LEARNER, loss="infonce", loss__temperature=1.0),
        "l2": job(LEARNER, loss="infonce", loss__temperature=0.5),
        "r1": job(RERANK, {"model": "l1"}, depth=10), "r2": job(RERANK, {"model": "l2"}, depth=10),
        "m1": job(MEASURE, {"run": "r1"}), "m2": job(MEASURE, {"run": "r2"}),
    }  # fmt: skip
    assert told(jobs, "l1", "l2") == ["loss.temperature: 1.0 -> 0.5"]
    assert told(jobs, "r1", "r2") == told(jobs, "m1", "m2") == ["learner.loss.temperature: 1.0 -> 0.5"]
    assert told(jobs, "m1", "m1") == []


def test_what_is_below_a_configuration_of_another_class_follows_from_the_class():
    jobs = {
        "a": job(LEARNER, {"loss.teacher": "t"}, loss="infonce", loss__version=1, loss__temperature=1.0, steps=5),
        "b": job(LEARNER, loss="hinge", loss__version=3, loss__margin=1.0, steps=6),
    }
    assert told(jobs, "a", "b") == ["loss: infonce -> hinge", "steps: 5 -> 6"]


def test_a_checksum_is_named_only_where_nothing_beside_it_says_more():
    one, other = (job("t", data="folder", data__seed=1, data__sha256=each) for each in ("x", "y"))
    drawn = job("t", data="folder", data__seed=2, data__sha256="y")
    assert told({"a": one, "b": other}, "a", "b") == ["data.sha256: x -> y"]
    assert told({"a": one, "b": drawn}, "a", "b") == ["data.seed: 1 -> 2"]


def test_what_two_inputs_say_of_one_value_is_said_once():
    jobs = {
        "k1": job("xpm_ce.tokens.train_wordpiece", vocab_size=600),
        "k2": job("xpm_ce.tokens.train_wordpiece", vocab_size=500),
        "l1": job(LEARNER, {"tokenizer": "k1"}, scorer="s", scorer__vocab_size=600),
        "l2": job(LEARNER, {"tokenizer": "k2"}, scorer="s", scorer__vocab_size=500),
        "r1": job(RERANK, {"tokenizer": "k1", "model": "l1"}),
        "r2": job(RERANK, {"tokenizer": "k2", "model": "l2"}),
    }
    assert told(jobs, "r1", "r2") == ["learner.scorer.vocab_size: 600 -> 500"]


def test_the_depth_of_a_re_ranking_follows_from_the_depths_that_are_measured():
    jobs = {
        "r1": job(RERANK, depth=20), "r2": job(RERANK, depth=10),
        "m1": job(MEASURE, {"run": "r1"}, depths=(10, 20)), "m2": job(MEASURE, {"run": "r2"}, depths=(10,)),
    }  # fmt: skip
    assert told(jobs, "m1", "m2") == ["depths: [10, 20] -> [10]"]


def test_an_input_of_another_type_or_none_is_named_itself():
    jobs = {
        "t": job(TRAINING), "s": job("xpm_ce.data.store_documents"),
        "a": job(LEARNER, {"data": "t"}), "b": job(LEARNER, {"data": "s"}), "c": job(LEARNER),
    }  # fmt: skip
    assert told(jobs, "a", "b") == ["data: training_set -> store"]
    assert told(jobs, "a", "c") == ["data: training_set -> –"]


def test_a_reason_is_a_kind_with_its_values():
    reason = Reason.changed((Change("loss.temperature", 1.0, 0.5), Change("a.flag", None, True)), "ab" * 32)
    assert str(reason) == "loss.temperature: 1.0 -> 0.5, a.flag: – -> true"
    assert reason.as_json() == {
        "kind": "changed", "values": ["loss.temperature: 1.0 -> 0.5", "a.flag: – -> true"], "sibling": "ab" * 32,
        "changes": [
            {"field": "loss.temperature", "before": 1.0, "after": 0.5},
            {"field": "a.flag", "before": None, "after": True},
        ],
    }  # fmt: skip
    assert Reason(Why.NEVER_RUN).as_json() == {"kind": "never run", "values": []}


NAMES = ("a", "b", "c", "d.e", "d.f")
values = st.lists(st.integers(0, 2), min_size=5, max_size=5).map(lambda each: dict(zip(NAMES, each, strict=True)))


@given(values, values)
def test_changes_are_what_differs_and_the_other_way_round_the_same_reversed(one, other):
    jobs = {"a": Signature("t", one, {}, {}), "b": Signature("t", other, {}, {})}
    found = Comparison(jobs.get).changes("a", "b")
    assert {each.field: (each.before, each.after) for each in found} == {
        name: (one[name], other[name]) for name in one if one[name] != other[name]
    }
    back = Comparison(jobs.get).changes("b", "a")
    assert [(each.field, each.after, each.before) for each in found] == [
        (each.field, each.before, each.after) for each in back
    ]


@given(values, st.lists(values, min_size=1, max_size=6))
def test_the_nearest_job_has_the_fewest_fields_that_differ(wanted, fields):
    jobs = [(str(place), Signature("t", each, {}, {})) for place, each in enumerate(fields)]
    distances = [sum(each[name] != wanted[name] for name in wanted) for each in fields]
    finished = _Finished(jobs)
    found = finished.equal(wanted) or finished.differing_in_one(wanted) or finished.nearest(wanted)
    assert distances[int(found)] == min(distances)
    assert (finished.equal(wanted) is None) == (min(distances) > 0)
    if min(distances) > 0:
        assert (finished.differing_in_one(wanted) is None) == (min(distances) > 1)


@pytest.mark.parametrize("wanted", [{}, {"a": 1}])
def test_where_nothing_has_finished_nothing_is_near(wanted):
    finished = _Finished([])
    assert finished.equal(wanted) is finished.differing_in_one(wanted) is finished.nearest(wanted) is None
