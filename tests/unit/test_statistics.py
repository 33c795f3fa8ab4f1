"""Paired statistics: against scipy on the same values, against definitions, and against what is planted or not."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from xpm_ce.analysis.statistics.families import CORRECTIONS, benjamini_hochberg, bonferroni, holm
from xpm_ce.analysis.statistics.frames import QueryValues, side_by_side
from xpm_ce.analysis.statistics.intervals import bootstrap, hierarchical_bootstrap
from xpm_ce.analysis.statistics.paired import effect_size, outcomes, randomisation, t_test
from xpm_ce.analysis.statistics.procedure import Procedure
from xpm_ce.errors import DataError

TESTS = {"t": t_test, "randomisation": randomisation}


def measured(rng: np.random.Generator, queries: int, systems: int) -> np.ndarray:
    """Values of a measure per query, [queries, systems]: difficult queries are difficult for all, many are 0 or 1."""
    difficulty = rng.normal(0, 0.35, (queries, 1))
    return np.clip(0.45 + difficulty + rng.normal(0, 0.15, (queries, systems)), 0, 1)


SIGNED = arrays.arrays(
    np.float64, st.integers(2, 40), elements=st.floats(-1, 1).map(lambda value: round(value, 2)), unique=False
)


@settings(max_examples=200, deadline=None)
@given(SIGNED)
def test_the_t_test_is_scipys(differences):
    if np.ptp(differences) < 1e-6:
        return
    expected = stats.ttest_rel(differences + 0.5, np.full(len(differences), 0.5)).pvalue
    assert t_test(differences[:, None])[0] == pytest.approx(expected, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("queries", [2, 43, 54, 300, 6980])
def test_the_t_test_of_many_systems_is_scipys_on_each(queries):
    values = measured(np.random.default_rng(queries), queries, 12)
    expected = stats.ttest_rel(values[:, 1:], values[:, :1]).pvalue
    np.testing.assert_allclose(t_test(values[:, 1:] - values[:, :1]), expected, rtol=1e-9)


def test_differences_that_are_all_zero_or_of_one_query_say_nothing():
    for test in TESTS.values():
        assert test(np.zeros((50, 1))).tolist() == [1.0]
        assert test(np.array([[0.3]])).tolist() == [1.0]
    assert effect_size(np.zeros((5, 1))).tolist() == [0.0]
    assert t_test(np.full((5, 1), 0.125))[0] == stats.ttest_1samp(np.full(5, 0.125), 0).pvalue == 0


@pytest.mark.parametrize("test", [*TESTS.values(), effect_size, outcomes])
def test_no_query_is_an_error_not_a_number(test):
    with pytest.raises(DataError, match="no query to compare"):
        test(np.empty((0, 2)))
    with pytest.raises(DataError, match="not a finite number"):
        test(np.array([[0.1], [np.nan]]))


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.float64, st.integers(2, 9), elements=st.sampled_from([-0.5, -0.25, 0.0, 0.1, 0.3, 1.0])))
def test_the_randomisation_test_of_few_queries_is_scipys_exact_one(differences):
    found = stats.permutation_test(
        (differences, np.zeros_like(differences)),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    ).pvalue
    assert randomisation(differences[:, None])[0] == pytest.approx(found, abs=1e-12)


def test_the_exact_test_counts_every_assignment_of_signs():
    differences = np.array([0.1, -0.4, 0.3, 0.3, 0.0])
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product([1, -1], repeat=5)]
    assert randomisation(differences[:, None])[0] == np.mean([each >= abs(differences.sum()) - 1e-9 for each in sums])


@pytest.mark.parametrize("queries", [43, 300, 1000])
def test_the_drawn_randomisation_test_agrees_with_scipys_up_to_the_draws(queries):
    rng = np.random.default_rng(queries)
    values = measured(rng, queries, 6)
    differences = values[:, 1:] - values[:, :1]
    differences[:, 0] = np.round(differences[:, 0])  # ties everywhere, as Success has them
    ours = randomisation(differences, draws=10_000)
    for own, column in zip(ours, differences.T, strict=True):
        theirs = stats.permutation_test(
            (column, np.zeros_like(column)),
            lambda a, b, axis: np.mean(a - b, axis=axis),
            permutation_type="samples", vectorized=True, n_resamples=10_000, batch=500, rng=rng,
        ).pvalue  # fmt: skip
        # four standard deviations of the difference of two shares; scipy doubles the smaller tail
        assert abs(own - theirs) <= 4 * np.sqrt((2 + 1) * own * (1 - own) / 10_000) + 2e-4


def test_draws_do_not_depend_on_the_other_comparisons_nor_on_who_is_first():
    values = measured(np.random.default_rng(1), 200, 5)
    differences = values[:, 1:] - values[:, :1]
    together = randomisation(differences, draws=2000)
    apart = [randomisation(-column[:, None], draws=2000)[0] for column in differences.T]
    assert together.tolist() == apart
    assert randomisation(differences, draws=2000, seed=1).tolist() != together.tolist()


def test_p_is_never_zero_where_draws_are_taken():
    assert randomisation(np.full((100, 1), 0.5), draws=999).tolist() == [1 / 1000]


def test_outcomes_and_effect_size_are_those_of_the_definition():
    differences = np.array([[0.2, 0.0], [-0.1, 1e-16], [0.0, 0.5], [0.3, 0.5]])
    won = outcomes(differences)
    assert (won.wins.tolist(), won.ties.tolist(), won.losses.tolist()) == ([2, 2], [1, 2], [1, 0])
    # 0.1 / sqrt((0.1^2 + 0.2^2 + 0.1^2 + 0.2^2) / 3)
    assert effect_size(differences)[0] == pytest.approx(0.1 / (0.1 / 3) ** 0.5)


# -- families -----------------------------------------------------------------------------------------------

P_VALUES = arrays.arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1))


@given(P_VALUES)
def test_benjamini_hochberg_is_scipys(p_values):
    np.testing.assert_allclose(
        benjamini_hochberg(p_values), stats.false_discovery_control(p_values, method="bh"), rtol=1e-12, atol=0
    )


@given(P_VALUES)
def test_holm_rejects_what_its_procedure_rejects(p_values):
    """Step down: from the smallest p, reject while p <= alpha / (comparisons left)."""
    adjusted = holm(p_values)
    for alpha in (0.001, 0.05, 0.3):
        rejected = np.zeros(len(p_values), dtype=bool)
        for step, index in enumerate(np.argsort(p_values, kind="stable")):
            if (len(p_values) - step) * p_values[index] > alpha:
                break
            rejected[index] = True
        assert (adjusted <= alpha).tolist() == rejected.tolist()
    assert (adjusted <= bonferroni(p_values)).all()
    assert (adjusted >= benjamini_hochberg(p_values) - 1e-15).all()


def test_corrections_are_those_of_r():
    """R: p.adjust(c(0.01, 0.04, 0.03, 0.005), method)."""
    p_values = np.array([0.01, 0.04, 0.03, 0.005])
    assert holm(p_values).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert bonferroni(p_values).tolist() == pytest.approx([0.04, 0.16, 0.12, 0.02])
    assert benjamini_hochberg(p_values).tolist() == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert all(correct(np.empty(0)).size == 0 for correct in CORRECTIONS.values())


def test_draws_that_are_too_few_for_any_mark_over_a_family_are_told():
    """With 10 000 draws p is at least 1 / 10 001, and 501 times that is above 0.05."""
    asked = Procedure(test="randomisation")
    assert asked.warning(500) == ""
    assert asked.adjusted(np.full(500, 1 / 10_001)).min() < 0.05
    assert asked.adjusted(np.full(501, 1 / 10_001)).min() > 0.05
    assert "give more than --draws 10020" in asked.warning(501)
    assert asked._replace(draws=10_020).adjusted(np.full(501, 1 / 10_021)).min() < 0.05
    assert asked._replace(correction="bh").warning(10**6) == Procedure().warning(10**6) == ""


# -- intervals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["bca", "percentile"])
@pytest.mark.parametrize("queries", [10, 43, 300, 6980])
def test_the_bootstrap_is_scipys_draw_for_draw(method, queries):
    values = measured(np.random.default_rng(queries), queries, 2)
    differences = values[:, 1] - values[:, 0]
    expected = stats.bootstrap(
        (differences,), np.mean, n_resamples=2000, method=method, rng=np.random.default_rng(7), batch=500
    ).confidence_interval
    found = bootstrap(differences, method=method, draws=2000, seed=7)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-10)


def test_an_interval_of_differences_that_are_all_alike_has_no_width():
    assert bootstrap(np.full(20, 0.25))[:2] == (0.25, 0.25)
    with pytest.raises(DataError, match="no query"):
        bootstrap(np.empty(0))
    with pytest.raises(ValueError, match="no bootstrap"):
        bootstrap(np.array([0.1, 0.2]), method="basic")


def test_with_one_seed_each_the_hierarchical_bootstrap_is_the_one_over_queries():
    values = measured(np.random.default_rng(3), 400, 2)
    over_both = hierarchical_bootstrap(values[:, :1].T, values[:, 1:].T, draws=4000)
    over_queries = bootstrap(values[:, 1] - values[:, 0], method="percentile", draws=4000, seed=1)
    assert over_both[:2] == pytest.approx(over_queries[:2], abs=0.003)


def test_seeds_that_differ_widen_the_hierarchical_interval():
    rng = np.random.default_rng(4)
    values = measured(rng, 400, 2)
    alike = [np.tile(values[:, side], (3, 1)) for side in (0, 1)]
    moved = [side + np.array([[-0.05], [0.0], [0.05]]) for side in alike]
    narrow, wide = hierarchical_bootstrap(*alike), hierarchical_bootstrap(*moved)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_the_interval_holds_the_true_difference_as_often_as_it_says():
    """Coverage over 300 drawn studies: within four standard deviations of 95 %."""
    rng, held = np.random.default_rng(5), 0
    for _ in range(300):
        differences = 0.02 + rng.normal(0, 0.2, 150)
        found = bootstrap(differences, draws=1000, seed=int(rng.integers(1 << 30)))
        held += found.low <= 0.02 <= found.high
    assert abs(held / 300 - 0.95) < 4 * (0.95 * 0.05 / 300) ** 0.5


# -- frames -------------------------------------------------------------------------------------------------


def test_seeds_are_averaged_per_query_before_anything_is_tested():
    first = QueryValues(["q1", "q2"], np.array([0.2, 0.4]))
    second = QueryValues(["q2", "q1"], np.array([0.8, 0.6]))
    frame = side_by_side([[first, second], [first]])
    assert frame.query_ids == ["q1", "q2"]
    np.testing.assert_allclose(frame.values, [[0.4, 0.2], [0.6, 0.4]])


def test_missing_queries_count_as_zero_and_are_listed():
    whole, gap = QueryValues(["q1", "q2"], np.array([0.2, 0.4])), QueryValues(["q2", "q3"], np.array([0.6, 0.1]))
    frame = side_by_side([[whole], [whole, gap]])
    assert frame.query_ids == ["q1", "q2", "q3"]
    np.testing.assert_allclose(frame.values, [[0.2, 0.1], [0.4, 0.5], [0.0, 0.05]])
    assert frame.missing == [["q3"], ["q1", "q3"]]
    with pytest.raises(DataError, match="twice"):
        side_by_side([[QueryValues(["q1", "q1"], np.zeros(2))]])


# -- what is planted, what is not ---------------------------------------------------------------------------

STUDIES = 400


def planted(rng: np.random.Generator, *, queries: int, systems: int, gain: float) -> np.ndarray:
    """Differences of `systems` from one baseline on correlated pairs, per query; the first is better by `gain`."""
    difficulty = rng.normal(0, 0.3, (queries, 1))
    values = 0.5 + difficulty + rng.normal(0, 0.08, (queries, systems + 1))
    values[:, 1] += gain
    return values[:, 1:] - values[:, :1]


@pytest.mark.parametrize("name", TESTS)
def test_a_planted_gain_of_two_points_on_correlated_pairs_is_found(name):
    """249 queries, as Robust04 has. Welch's test, which ignores the pairs, hardly ever finds it."""
    rng, found, welch = np.random.default_rng(6), 0, 0
    for _ in range(100):
        difficulty = rng.normal(0, 0.3, 249)
        a, b = (0.5 + difficulty + rng.normal(0, 0.08, 249) + gain for gain in (0.0, 0.02))
        options = {"draws": 2000} if name == "randomisation" else {}
        found += TESTS[name]((b - a)[:, None], **options)[0] < 0.05
        welch += stats.ttest_ind(a, b, equal_var=False).pvalue < 0.05
    assert found >= 70
    assert welch <= 20


@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
def test_fifty_three_null_comparisons_stay_silent_at_the_nominal_rate(correction):
    """Family-wise: in at most 5 % of studies without any difference is there a mark; uncorrected, in most."""
    rng, marked, uncorrected = np.random.default_rng(7), 0, 0
    for _ in range(STUDIES):
        p_values = t_test(planted(rng, queries=100, systems=53, gain=0.0))
        marked += (CORRECTIONS[correction](p_values) <= 0.05).any()
        uncorrected += (p_values <= 0.05).any()
    assert marked / STUDIES <= 0.05 + 3 * (0.05 * 0.95 / STUDIES) ** 0.5
    assert uncorrected / STUDIES > 0.5


def test_a_null_comparison_is_marked_as_often_as_alpha_says():
    """Neither more often nor less: p-values of both tests are uniform where there is nothing to find."""
    rng = np.random.default_rng(8)
    for test in TESTS.values():
        differences = rng.normal(0, 0.1, (60, 3000))  # 3000 comparisons, each with its own queries
        share = (test(differences) <= 0.05).mean()
        assert abs(share - 0.05) < 4 * (0.05 * 0.95 / 3000) ** 0.5


def test_benjamini_hochberg_keeps_the_share_of_false_marks():
    rng, shares = np.random.default_rng(9), []
    for _ in range(200):
        differences = rng.normal(0, 0.1, (100, 40))
        differences[:, :20] += 0.03
        marked = benjamini_hochberg(t_test(differences)) <= 0.05
        shares.append(marked[20:].sum() / max(1, marked.sum()))
    assert np.mean(shares) <= 0.05
