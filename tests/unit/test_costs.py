"""What a job is expected to cost, from those that ran."""

import pytest
from conftest import plan_of
from hypothesis import given
from hypothesis import strategies as st

from xpm_ce.graph.costs import LEARNER, RERANK, RULES, Rule, _expected, _Known
from xpm_ce.graph.past import Spent
from xpm_ce.graph.quantities import duration, size
from xpm_ce.graph.signature import Signature, signature_of
from xpm_ce.samplers.groups import GroupSampler
from xpm_ce.samplers.lists import ListSampler
from xpm_ce.samplers.triples import TripleSampler

GROWS = Rule(grows=True)


def known(seconds: float, scaled: float, work: float, size: int = 100) -> _Known:
    return _Known(Spent(seconds, scaled, 1.0, size), work)


def test_what_grows_with_the_work_is_scaled_and_the_rest_is_not():
    cost = _expected([known(12, 10, work=100)], 300, 0.25, GROWS, 0)
    assert cost.expected == 2 + 30
    assert (cost.low, cost.high) == (32 / 1.25, 32 * 1.25)
    assert (cost.bytes, cost.gpus, cost.gpu_seconds, cost.comparable) == (300, 0, None, 1)
    assert cost.as_json() == {"seconds": [25.6, 32, 40], "bytes": 300, "gpu_seconds": None}


def test_the_interval_holds_the_slowest_and_the_fastest_that_were_seen():
    cost = _expected([known(each, 0, 1) for each in (1, 10, 100)], 1, 0.25, GROWS, 2)
    assert (cost.low, cost.expected, cost.high) == (1, 10, 100)
    assert cost.gpu_seconds == 20


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1), st.floats(1, 1e6)), min_size=1), st.floats(1, 1e6))
def test_an_expectation_is_within_its_interval(jobs, work):
    cost = _expected([known(seconds, seconds * share, done) for seconds, share, done in jobs], work, 0.25, GROWS, 0)
    assert 0 <= cost.low <= cost.expected <= cost.high


@pytest.mark.parametrize(
    "sampler",
    [
        GroupSampler.C(queries=4, negatives=3), GroupSampler.C(documents_per_step=24, positives=2, negatives=4),
        ListSampler.C(queries=4, documents=6), TripleSampler.C(queries=5), TripleSampler.C(documents_per_step=8),
    ],
)  # fmt: skip
def test_the_work_of_a_training_is_the_documents_that_its_sampler_gives(sampler):
    names = sampler.__xpm__.values
    fields = {"steps": 7, "sampler": sampler.NAME, **{f"sampler.{name}": value for name, value in names.items()}}
    instance = sampler.instance()
    assert RULES[LEARNER].work(fields) == 7 * instance.groups_per_step() * instance.documents_per_group()


def shapes(workspace, *overrides: str) -> dict[str, list[Signature]]:
    from xpm_ce.graph.costs import _Shapes
    from xpm_ce.graph.past import PastJobs

    plan = plan_of(workspace, *overrides)
    past = PastJobs(workspace)
    past.learn(plan.jobs)
    found: dict[str, list] = {}
    for job in plan.jobs:
        found.setdefault(job.kind, []).append(_Shapes(past).same(signature_of(job.config)))
    return found


def test_seeds_and_checksums_have_no_part_in_how_long_a_job_takes(workspace):
    first, other = shapes(workspace), shapes(workspace, "collection.seed=1", "training_set.seed=4")
    assert first == other
    assert len(set(first["learn"])) == 2  # the lists of ADR-MSE come from another training set
    assert len(set(first["rerank"])) == 1  # untrained or trained, with whichever loss


@pytest.mark.parametrize(
    ("override", "kinds"),
    [
        ("learner.scorer.max_length=24", {"learn", "rerank"}),
        ("learner.device=cuda", {"learn"}),
        ("learner.steps=20", set()),
        ("evaluation.depths=[5]", {"measure"}),
        ("collection.documents=100", {"collection", "store", "index", "learn", "rerank", "measure", "tokens"}),
    ],
)
def test_what_decides_a_rate_is_in_its_shape(override, kinds, workspace):
    first, other = shapes(workspace), shapes(workspace, override)
    assert kinds <= {kind for kind in first if first[kind] != other[kind]}
    if "documents" not in override:
        assert kinds == {kind for kind in first if first[kind] != other[kind]}


def test_a_re_ranking_is_as_much_work_as_it_is_deep():
    assert RULES[RERANK].work({"depth": 30}) == 30


def test_nothing_is_expected_where_nothing_comparable_ran(workspace):
    plan = plan_of(workspace)
    assert all(job.cost is None for job in plan.jobs)
    assert (plan.costs.jobs, sum(plan.costs.unknown.values())) == (0, len(plan.jobs))
    assert plan.as_json()["jobs"][0]["cost"] is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.42, "0.42 s"), (41 * 60, "41 min"), (12_600, "3.5 h"), (864_000, "10 days"), (99, "99 s")]
)
def test_seconds_in_words(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(("count", "words"), [(0, "0 bytes"), (38e6, "38 MB"), (1.5e12, "1.5 TB"), (999, "999 bytes")])
def test_bytes_in_words(count, words):
    assert size(count) == words
