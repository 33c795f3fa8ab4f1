"""Which queries and documents each step draws: without replacement, by seed and step alone."""

import math
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, rankdata

from xpm_ce.data.supervision import LABELS, TEACHER_ORDER, TEACHER_SCORES
from xpm_ce.data.training_set import StoredGroups, TrainingGroup, write_training_set
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.losses.distill_ranknet import DistillRankNet
from xpm_ce.losses.margin_mse import MarginMSE
from xpm_ce.samplers.groups import GroupSampler
from xpm_ce.samplers.lists import ListSampler
from xpm_ce.samplers.padded import average_ranks, pad
from xpm_ce.samplers.randomness import drawn, shuffled
from xpm_ce.samplers.steps import DrawnGroup
from xpm_ce.samplers.triples import TripleSampler

nan = math.nan


def stored(folder, groups, supervision=(LABELS,)):
    """A training set whose query i has rows 1000 i, 1000 i + 1, ... with these (labels, teacher scores)."""
    written = [
        TrainingGroup(f"q{i}", 1000 * i + np.arange(len(labels)), labels, scores)
        for i, (labels, scores) in enumerate(groups)
    ]
    write_training_set(folder, written, supervision=supervision, counts={})
    return StoredGroups(folder)


@pytest.fixture
def judged(tmp_path):
    """Ten queries: two positives of grade 1 and 2, one judged not relevant, six unjudged documents."""
    return stored(tmp_path / "judged", [([1, -1, -1, 0, -1, 2, -1, -1, -1], None)] * 10)


@pytest.fixture
def listed(tmp_path):
    """Seven queries with 2 to 8 documents that the teacher scored."""
    return stored(
        tmp_path / "listed",
        [([-1] * n, [float(i % 3) for i in range(n)]) for n in range(2, 9)],
        [TEACHER_SCORES],
    )


def grouped(**parameters):
    return GroupSampler.C(**{"queries": 4, "negatives": 3, **parameters}).instance()


def as_lists(groups):
    return [(g.query_index, g.documents.tolist(), g.labels.tolist()) for g in groups]


# -- queries ------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(queries=st.integers(1, 25), seed=st.integers(-3, 2**70))
def test_every_query_comes_once_an_epoch_and_steps_straddle_epochs(tmp_path_factory, queries, seed):
    groups = stored(tmp_path_factory.mktemp("set") / "set", [([1, -1], None)] * 10)
    steps = GroupSampler.C(queries=queries, negatives=1).instance().open(groups, seed)
    passed = [group.query_index for step in range(20) for group in steps.step(step)]
    assert len(passed) == 20 * queries
    for epoch in range(len(passed) // 10):
        assert sorted(passed[10 * epoch : 10 * (epoch + 1)]) == list(range(10))
    assert steps.epochs(20) == 2 * queries


def test_every_epoch_has_its_own_order(judged):
    steps = grouped(queries=10).open(judged, seed=0)
    orders = {tuple(group.query_index for group in steps.step(epoch)) for epoch in range(20)}
    assert len(orders) == 20


def test_two_seeds_differ_and_one_repeats(judged):
    first, again, other = (grouped().open(judged, seed) for seed in (0, 0, 1))
    assert as_lists(first.step(3)) == as_lists(again.step(3))
    assert as_lists(first.step(3)) != as_lists(other.step(3))


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(12)))
def test_a_step_does_not_depend_on_which_steps_were_asked_before(tmp_path_factory, order):
    groups = stored(tmp_path_factory.mktemp("set") / "set", [([1, -1, -1, -1], None)] * 10)
    in_order = grouped().open(groups, seed=5)
    expected = [as_lists(in_order.step(step)) for step in range(12)]
    in_any_order = grouped().open(groups, seed=5)
    for step in order:
        assert as_lists(in_any_order.step(step)) == expected[step]


def test_what_a_seed_draws_never_changes(judged):
    # golden: whoever changes these numbers raises the version of the sampler
    assert as_lists(grouped(queries=2, negatives=2).open(judged, seed=7).step(11)) == [
        (1, [1005, 1002, 1007], [2, -1, -1]),
        (9, [9005, 9002, 9004], [2, -1, -1]),
    ]
    assert as_lists(ListSampler.C(queries=2, documents=4).instance().open(judged, seed=7).step(11)) == [
        (1, [1002, 1001, 1003, 1007], [-1, -1, 0, -1]),
        (9, [9006, 9001, 9007, 9003], [-1, -1, -1, 0]),
    ]


def test_both_samplers_pass_the_same_queries_with_one_seed(judged):
    groups, lists = grouped(), ListSampler.C(queries=4, documents=3).instance()
    for step in (0, 5):
        indices = [[g.query_index for g in s.open(judged, seed=2).step(step)] for s in (groups, lists)]
        assert indices[0] == indices[1]


# -- groups -------------------------------------------------------------------------------------------------


def test_a_group_is_its_positives_then_its_unjudged_negatives(judged):
    steps = grouped(positives=2).open(judged, seed=0)
    for step in range(50):
        for group in steps.step(step):
            assert sorted(group.labels[:2].tolist()) == [1, 2]
            assert group.labels[2:].tolist() == [-1, -1, -1]
            assert len(set(group.documents.tolist())) == 5
            assert (group.documents // 1000 == group.query_index).all()


def test_a_judged_document_is_never_a_negative(judged):
    steps = grouped(positive_grade=2, negatives=6).open(judged, seed=0)
    for group in steps.step(0):
        # document 0 is judged below the grade, document 3 not relevant
        assert (group.documents % 1000).tolist()[0] == 5
        assert sorted((group.documents % 1000).tolist()[1:]) == [1, 2, 4, 6, 7, 8]


def test_positives_and_negatives_are_drawn_uniformly_and_vary_by_epoch(judged):
    steps = grouped(queries=10, negatives=2).open(judged, seed=0)
    positives, negatives = Counter(), Counter()
    for epoch in range(300):
        for group in steps.step(epoch):
            positive, *others = (group.documents % 1000).tolist()
            positives[positive] += 1
            negatives.update(others)
    assert set(positives) == {0, 5}
    assert set(negatives) == {1, 2, 4, 6, 7, 8}
    # a fair draw fails one of these with probability 0.002; the seed is fixed, so that it cannot fail by chance
    assert chisquare(list(positives.values())).pvalue > 0.001
    assert chisquare(list(negatives.values())).pvalue > 0.001


def test_a_query_with_fewer_documents_than_asked_gives_all_it_has(tmp_path):
    groups = stored(tmp_path / "set", [([1, -1], None), ([1, 1, 1, -1, -1], None)])
    sizes = {g.query_index: g.labels.tolist() for g in grouped(queries=2, positives=2).open(groups, 0).step(0)}
    assert sizes == {0: [1, -1], 1: [1, 1, -1, -1]}


def test_queries_that_cannot_give_a_group_are_counted_and_skipped(tmp_path):
    labels = [[1, -1], [-1, -1], [1, 0], [0, -1], [2, -1, 1]]
    steps = grouped(queries=2).open(stored(tmp_path / "set", [(row, None) for row in labels]), seed=0)
    assert (steps.usable, steps.skipped) == (2, 3)
    assert {group.query_index for step in range(4) for group in steps.step(step)} == {0, 4}


def test_a_training_set_without_a_usable_query_is_an_error(tmp_path):
    groups = stored(tmp_path / "set", [([1, 0], None), ([-1, -1], None)])
    with pytest.raises(DataError, match="sampler groups can use none of the 2 queries") as caught:
        grouped().open(groups, seed=0)
    assert caught.value.remedy.startswith("A query needs a positive and an unjudged document")


def test_groups_need_labels(listed):
    with pytest.raises(DataError, match="sampler groups needs labels, but the training set has none"):
        grouped().open(listed, seed=0)


def test_with_a_teacher_only_documents_that_it_scored_are_drawn(tmp_path):
    rows = [([1, 1, -1, -1], [nan, 2.0, nan, 1.0]), ([1, -1], [nan, 1.0])]
    with_teacher = stored(tmp_path / "with", rows, [LABELS, TEACHER_SCORES])
    steps = grouped(queries=1).open(with_teacher, seed=0)
    assert (steps.usable, steps.skipped, steps.incomplete) == (1, 1, 3)
    assert steps.step(0)[0].documents.tolist() == [1, 3]
    # the same rows, declared to carry labels only
    without = grouped(queries=2, positives=2).open(stored(tmp_path / "without", rows), seed=0)
    assert sorted(len(group.documents) for group in without.step(0)) == [2, 4]


# -- lists --------------------------------------------------------------------------------------------------


def test_a_list_is_drawn_without_replacement_and_short_ones_are_whole(listed):
    steps = ListSampler.C(queries=7, documents=5).instance().open(listed, seed=0)
    for step in range(20):
        for group in steps.step(step):
            available = listed.documents(group.query_index).tolist()
            chosen = group.documents.tolist()
            assert len(set(chosen)) == len(chosen) == min(5, len(available))
            assert set(chosen).issubset(available)
            # labels and scores stay beside their documents
            assert group.teacher_scores.tolist() == [float(row % 1000 % 3) for row in chosen]


def test_lists_vary_by_epoch_and_reach_every_document(listed):
    steps = ListSampler.C(queries=7, documents=2).instance().open(listed, seed=0)
    longest = [group for step in range(40) for group in steps.step(step) if group.query_index == 6]
    assert len({tuple(group.documents.tolist()) for group in longest}) > 20
    assert {row for group in longest for row in group.documents.tolist()} == set(range(6000, 6008))


def test_a_list_of_one_document_has_nothing_to_compare(tmp_path):
    groups = stored(tmp_path / "set", [([-1], [1.0]), ([-1, -1], [1.0, nan]), ([-1, -1], [1.0, 2.0])], [TEACHER_ORDER])
    steps = ListSampler.C(queries=1, documents=2).instance().open(groups, seed=0)
    assert (steps.usable, steps.skipped) == (1, 2)


def test_lists_of_a_training_set_without_teacher_hold_any_document(judged):
    steps = ListSampler.C(queries=1, documents=20).instance().open(judged, seed=0)
    assert sorted(steps.step(0)[0].labels.tolist()) == [-1] * 6 + [0, 1, 2]


# -- rectangles ---------------------------------------------------------------------------------------------


def group(query, labels, scores):
    documents = 1000 * query + np.arange(len(labels))
    return DrawnGroup(query, documents, np.array(labels, np.int16), np.array(scores, np.float32))


def test_groups_of_different_lengths_are_padded():
    padded = pad([group(2, [1, -1, -1], [5, nan, 7]), group(0, [0, -1], [1, 1])], [LABELS, TEACHER_SCORES])
    assert padded.documents.tolist() == [[2000, 2001, 2002], [0, 1, -1]]
    assert padded.mask.tolist() == [[True] * 3, [True, True, False]]
    assert padded.labels.tolist() == [[1, -1, -1], [0, -1, -1]]
    np.testing.assert_equal(padded.teacher_scores, np.array([[5, nan, 7], [1, 1, nan]], np.float32))
    np.testing.assert_equal(padded.teacher_ranks, np.array([[2, nan, 1], [1.5, 1.5, nan]], np.float32))
    assert padded.documents.dtype == np.int64
    assert {array.dtype.name for array in padded[2:]} == {"float32"}


@pytest.mark.parametrize(
    ("kinds", "known"),
    [
        ([LABELS], (True, False, False)),
        ([TEACHER_ORDER], (False, False, True)),
        ([TEACHER_SCORES], (False, True, True)),
        ([LABELS, TEACHER_SCORES], (True, True, True)),
    ],
)
def test_a_loss_sees_only_what_the_training_set_declares(kinds, known):
    supervision = pad([group(0, [1, -1], [2, 1])], kinds).supervision(torch.from_numpy)
    assert tuple(tensor is not None for tensor in supervision) == known


def test_an_order_does_not_serve_a_loss_on_scores():
    padded = pad([group(0, [-1, -1], [2, 1])], [TEACHER_ORDER])
    known, mask = padded.supervision(torch.from_numpy), torch.from_numpy(padded.mask)
    scores = torch.zeros(1, 2)
    assert DistillRankNet.C().instance()(scores, known, mask).item() == pytest.approx(math.log(2))
    with pytest.raises(DataError, match="margin_mse needs teacher scores"):
        MarginMSE.C().instance()(scores, known, mask)


@given(scores=st.lists(st.sampled_from([-2.0, -0.0, 0.0, 0.25, 1.5, 7.0, nan]), min_size=1, max_size=12))
def test_ranks_are_those_of_scipy(scores):
    expected = rankdata([-score for score in scores], method="average", nan_policy="omit")
    np.testing.assert_equal(average_ranks(np.array(scores, np.float32)), expected.astype(np.float32))


@given(scores=st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=12))
def test_only_the_order_of_scores_makes_ranks(scores):
    scores = np.array(scores, np.float64)
    np.testing.assert_equal(
        average_ranks(np.arctan(scores)), average_ranks(np.arctan(scores) ** 3 + 2 * np.arctan(scores))
    )


# -- randomness ---------------------------------------------------------------------------------------------


@given(count=st.integers(0, 30), size=st.integers(0, 40), key=st.integers())
def test_a_draw_has_distinct_numbers_in_range(count, size, key):
    numbers = drawn(count, size, key)
    assert len(set(numbers)) == len(numbers) == min(count, size)
    assert all(0 <= number < count for number in numbers)


def test_every_ordered_draw_is_equally_probable():
    seen = Counter(tuple(drawn(4, 2, "key", i)) for i in range(6000))
    assert len(seen) == 12
    assert chisquare(list(seen.values())).pvalue > 0.001


def test_every_order_of_a_shuffle_is_equally_probable():
    seen = Counter(tuple(shuffled(3, "key", i).tolist()) for i in range(6000))
    assert len(seen) == 6
    assert chisquare(list(seen.values())).pvalue > 0.001


def test_keys_do_not_run_into_each_other():
    assert drawn(10**9, 3, 1, 23) != drawn(10**9, 3, 12, 3)


# -- configurations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "parameters", "queries"),
    [
        (GroupSampler, dict(documents_per_step=32, negatives=7), 4),
        (GroupSampler, dict(documents_per_step=36, positives=2, negatives=7), 4),
        (ListSampler, dict(documents_per_step=50, documents=50), 1),
        (ListSampler, dict(documents_per_step=150, documents=50), 3),
        (TripleSampler, dict(documents_per_step=32), 16),
        (TripleSampler, dict(queries=32), 32),
    ],
)
def test_a_budget_of_documents_is_the_same_for_every_sampler(kind, parameters, queries):
    kind.__validate__(kind.C(**parameters))
    assert kind.C(**parameters).instance().groups_per_step() == queries


def test_a_budget_draws_what_the_number_of_queries_does(judged):
    by_queries, by_documents = (
        GroupSampler.C(negatives=3, **size).instance().open(judged, seed=4)
        for size in ({"queries": 5}, {"documents_per_step": 20})
    )
    assert [as_lists(by_queries.step(step)) for step in range(5)] == [
        as_lists(by_documents.step(step)) for step in range(5)
    ]


@pytest.mark.parametrize(
    ("kind", "parameters", "wrong", "remedy"),
    [
        (GroupSampler, dict(documents_per_step=30, negatives=7), "a group of sampler groups has 8", "Give 24 or 32."),
        (ListSampler, dict(documents_per_step=30, documents=50), "a group of sampler lists has 50", "Give 50."),
        (TripleSampler, dict(documents_per_step=33), "a group of sampler triples has 2", "Give 32 or 34."),
        (TripleSampler, dict(documents_per_step=0), "documents_per_step is 0", "Give 2."),
        (TripleSampler, dict(), "neither is given", "Give queries, or documents_per_step."),
        (GroupSampler, dict(negatives=1, queries=4, documents_per_step=8), "both are given", "Give queries, or"),
    ],
)
def test_a_step_has_one_size_that_fits(kind, parameters, wrong, remedy):
    with pytest.raises(ConfigurationError, match=wrong) as caught:
        kind.__validate__(kind.C(**parameters))
    assert caught.value.remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("kind", "parameters", "wrong"),
    [
        (GroupSampler, {"queries": 0, "negatives": 1}, "queries is 0"),
        (GroupSampler, {"queries": 1, "negatives": 0}, "negatives is 0"),
        (GroupSampler, {"queries": 1, "negatives": 1, "positives": 0}, "positives is 0"),
        (GroupSampler, {"queries": 1, "negatives": 1, "positive_grade": 0}, "positive_grade is 0"),
        (ListSampler, {"queries": 0, "documents": 2}, "queries is 0"),
        (ListSampler, {"queries": 1, "documents": 1}, "documents is 1"),
        (TripleSampler, {"queries": 0}, "queries is 0"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(kind, parameters, wrong):
    with pytest.raises(ConfigurationError, match=f"^{wrong}, with which sampler {kind.NAME} cannot draw"):
        kind.__validate__(kind.C(**parameters))


def test_every_parameter_of_a_sampler_enters_its_identity():
    configs = [
        GroupSampler.C(queries=4, negatives=7),
        GroupSampler.C(queries=5, negatives=7),
        GroupSampler.C(queries=4, negatives=6),
        GroupSampler.C(queries=4, negatives=7, positives=2),
        GroupSampler.C(queries=4, negatives=7, positive_grade=2),
        ListSampler.C(queries=4, documents=7),
        ListSampler.C(queries=5, documents=7),
        ListSampler.C(queries=4, documents=8),
    ]
    assert len({config.__identifier__().all.hex() for config in configs}) == len(configs)


def test_configuring_a_sampler_loads_neither_torch_nor_numpy():
    lines = [
        "import sys",
        "from xpm_ce.samplers.groups import GroupSampler",
        "from xpm_ce.samplers.lists import ListSampler",
        "GroupSampler.__validate__(GroupSampler.C(queries=1, negatives=1))",
        "ListSampler.__validate__(ListSampler.C(queries=1, documents=2))",
        "print(sorted({'torch', 'numpy'} & set(sys.modules)))",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_training_step_needs_no_torch():
    lines = "import sys, xpm_ce.samplers.padded, xpm_ce.samplers.steps; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
