"""What each loss gives on groups small enough for a calculator, and what must hold on any group."""

import doctest
import importlib
import inspect
import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from xpm_ce.data.supervision import KINDS, LABELS, TEACHER_ORDER, TEACHER_SCORES, Supervision
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.losses.adr_mse import AdrMse
from xpm_ce.losses.bce import Bce
from xpm_ce.losses.distill_ranknet import DistillRankNet
from xpm_ce.losses.hinge import Hinge
from xpm_ce.losses.infonce import InfoNCE
from xpm_ce.losses.margin_mse import MarginMSE
from xpm_ce.losses.table import LOSSES, loss_class, served_by

nan, inf = math.nan, math.inf
FP32 = {"rel": 2e-6, "abs": 2e-6}
"""float32 keeps 6e-8 of a number; the sums here have at most a few dozen terms of size 10 or less"""

EVERY = [Bce.C(), Hinge.C(), InfoNCE.C(), MarginMSE.C(), DistillRankNet.C(), AdrMse.C()]
EVERY += [Hinge.C(margin=0.3, positive_grade=2), InfoNCE.C(temperature=0.5), MarginMSE.C(scale=0.25)]
EVERY += [DistillRankNet.C(temperature=3.0), AdrMse.C(discount="none"), AdrMse.C(temperature=0.2)]
EVERY = [loss.instance() for loss in EVERY]
SOME = settings(max_examples=25, deadline=None)
every_loss = pytest.mark.parametrize("loss", EVERY, ids=lambda loss: loss.NAME)


class Group:
    """A query's documents in a test; ranks follow from the teacher's scores unless they are given."""

    def __init__(self, scores, labels=None, teacher=None, ranks=None):
        self.scores = list(scores)
        self.labels = list(labels or [-1] * len(self.scores))
        self.teacher = list(teacher or [nan] * len(self.scores))
        self.ranks = list(ranks or rankdata([-t for t in self.teacher], nan_policy="omit"))

    def __repr__(self):
        return f"Group({self.scores}, {self.labels}, {self.teacher})"

    def picked(self, indices):
        columns = (self.scores, self.labels, self.teacher)
        return Group(*([column[i] for i in indices] for column in columns))


def evaluated(loss, groups, *, width=0, junk=nan):
    """(loss, gradient as a list for each group, gradient on padding) of groups padded with junk."""
    width = max(width, *(len(group.scores) for group in groups))

    def padded(column):
        rows = [[*getattr(g, column), *[junk] * (width - len(g.scores))] for g in groups]
        return torch.tensor(rows, dtype=torch.float32)

    scores = padded("scores").requires_grad_()
    mask = torch.tensor([[i < len(g.scores) for i in range(width)] for g in groups])
    value = loss(scores, Supervision(padded("labels"), padded("teacher"), padded("ranks")), mask)
    assert value.shape == ()
    assert value.dtype == torch.float32
    value.backward()
    gradients = [row[cells].tolist() for row, cells in zip(scores.grad, mask, strict=True)]
    return value.item(), gradients, scores.grad[~mask].tolist()


def value_of(loss, *groups):
    return evaluated(loss, groups)[0]


def counts(loss, group):
    """Whether a query has what a loss looks at, by the definitions in words."""
    positives = sum(label >= getattr(loss, "positive_grade", 1) for label in group.labels)
    known = {rank for rank in group.ranks if not math.isnan(rank)}
    scored = sum(not math.isnan(t) for t in group.teacher)
    return {
        "bce": True,
        "hinge": 0 < positives < len(group.labels),
        "infonce": 0 < positives < len(group.labels),
        "margin_mse": scored > 1,
        "distill_ranknet": len(known) > 1,
        "adr_mse": scored > 1,
    }[loss.NAME]


@st.composite
def any_group(draw, least=1):
    """Up to 6 documents with grades, unjudged ones, tied and missing teacher scores."""
    size = draw(st.integers(least, 6))

    def column(values):
        return draw(st.lists(values, min_size=size, max_size=size))

    scores = column(st.floats(-6, 6, width=32))
    return Group(scores, column(st.integers(-1, 3)), column(st.sampled_from([-4.0, -1.5, 0.0, 0.5, 3.0, nan])))


# -- the table and the files --------------------------------------------------------------------------------


def test_the_table_names_every_loss_by_its_name():
    assert {name: loss_class(name).NAME for name in LOSSES} == {name: name for name in LOSSES}
    assert len({loss_class(name).LABEL for name in LOSSES}) == len(LOSSES) == 6


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_says_what_it_needs_and_whom_to_cite(name):
    loss = loss_class(name)
    assert loss.NEEDS
    assert loss.NEEDS.issubset(KINDS)
    assert loss.CITATION.startswith("@")
    assert "arXiv:" in loss.CITATION
    assert loss.CITATION.count("{") == loss.CITATION.count("}")


@pytest.mark.parametrize("name", LOSSES)
def test_the_example_of_every_loss_runs(name):
    module = importlib.import_module(LOSSES[name].rpartition(".")[0])
    outcome = doctest.testmod(module)
    assert outcome.failed == 0
    assert outcome.attempted >= 4


@pytest.mark.parametrize("name", LOSSES)
def test_the_computation_of_every_loss_fits_in_fifteen_lines(name):
    assert len(inspect.getsource(loss_class(name).__call__).splitlines()) <= 15


def test_configuring_a_loss_loads_neither_torch_nor_numpy():
    lines = [
        "import sys",
        "from xpm_ce.losses.table import LOSSES, loss_class",
        "for name in LOSSES: loss_class(name).__validate__(loss_class(name).C())",
        "print(sorted({'torch', 'numpy', 'transformers'} & set(sys.modules)))",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_teacher_scores_serve_the_losses_on_teacher_order_too():
    assert served_by([LABELS]) == ["bce", "hinge", "infonce"]
    assert served_by([TEACHER_ORDER]) == ["distill_ranknet", "adr_mse"]
    assert served_by([TEACHER_SCORES]) == ["margin_mse", "distill_ranknet", "adr_mse"]
    assert served_by(KINDS) == list(LOSSES)


# -- numbers by hand ----------------------------------------------------------------------------------------


def ranked(scores, **parameters):
    """A list in the order of the teacher."""
    return Group(scores, teacher=range(len(scores), 0, -1), **parameters)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((0, 0), 0.203866),
        ((2, 0), 0.011587),
        ((0, 2), 0.632640),
        ((0, 0, 0), 0.5),
        ((1, 0, -1), 0.075328),
        ((-1, 0, 1), 1.299039),
        ((0.5, 2, -1, 0), 0.734953),
    ],
)
def test_adr_mse_by_hand(scores, expected):
    assert value_of(AdrMse.C().instance(), ranked(scores)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("parameters", "expected", "precision"),
    [
        ({"discount": "none"}, 0.100437, 1e-6),
        ({"discount": "reciprocal"}, 0.066958, 1e-6),
        ({"temperature": 10.0}, 0.427985, 1e-6),
        # ranks of about 2 are exact to 2e-7 in float32, their errors of 5e-5 to 1 %
        ({"temperature": 0.1}, 1.0306e-09, 3e-11),
    ],
)
def test_adr_mse_with_other_parameters_by_hand(parameters, expected, precision):
    loss = AdrMse.C(**parameters).instance()
    assert value_of(loss, ranked((1, 0, -1))) == pytest.approx(expected, abs=precision)


@pytest.mark.parametrize(
    ("size", "undiscounted", "discounted"),
    [(10, 8.25, 4.4522), (20, 33.25, 14.3216), (50, 208.25, 65.978), (100, 833.25, 211.202)],
)
def test_adr_mse_of_equal_scores_grows_with_the_list(size, undiscounted, discounted):
    group = ranked([0.0] * size)
    assert value_of(AdrMse.C(discount="none").instance(), group) == pytest.approx(undiscounted, rel=1e-6)
    # the discounted values are known to 3 decimals
    assert value_of(AdrMse.C().instance(), group) == pytest.approx(discounted, abs=5e-4)


def test_adr_mse_gives_tied_documents_their_average_rank():
    group = Group((1, 0, 0, -1), teacher=(3, 1, 1, 0))
    assert group.ranks == [1, 2.5, 2.5, 4]
    assert value_of(AdrMse.C().instance(), group) == pytest.approx(0.154428, abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((0, 0), (-0.203866, 0.203866)),
        ((0, 0, 0), (-0.416667, 0.083333, 0.333333)),
        ((0.5, 2, -1, 0), (-0.441391, 0.142094, -0.007517, 0.306815)),
    ],
)
def test_the_gradient_of_adr_mse_by_hand(scores, expected):
    _, (gradient,), _ = evaluated(AdrMse.C().instance(), [ranked(scores)])
    assert gradient == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [((1, 0, -1), 0.251150), ((-1, 0, 1), 1.584483), ((0, 0, 0), math.log(2)), ((0.5, 2, -1, 0), 0.644280)],
)
def test_ranknet_by_hand(scores, expected):
    assert value_of(DistillRankNet.C().instance(), ranked(scores)) == pytest.approx(expected, abs=1e-6)


def test_the_gradient_of_ranknet_by_hand():
    _, (gradient,), _ = evaluated(DistillRankNet.C().instance(), [ranked((0, 0, 0))])
    assert gradient == pytest.approx((-1 / 3, 0, 1 / 3), abs=1e-7)


def test_the_temperature_of_ranknet_divides_scores():
    halved = value_of(DistillRankNet.C(temperature=2.0).instance(), ranked((2, 0, -2)))
    assert halved == pytest.approx(0.251150, abs=1e-6)


@pytest.mark.parametrize(("scores", "expected"), [((2, 1, 0, -1), 0.440190), ([0.0] * 8, math.log(8))])
def test_infonce_by_hand(scores, expected):
    group = Group(scores, labels=[1] + [-1] * (len(scores) - 1))
    assert value_of(InfoNCE.C().instance(), group) == pytest.approx(expected, abs=1e-6)


def test_infonce_sets_each_of_several_positives_against_the_negatives_alone():
    group = Group((2, 1, 0, -1), labels=(1, 1, 0, 0))
    alone = [Group((2, 0, -1), labels=(1, 0, 0)), Group((1, 0, -1), labels=(1, 0, 0))]
    loss = InfoNCE.C().instance()
    assert value_of(loss, group) == pytest.approx(sum(value_of(loss, one) for one in alone) / 2, **FP32)


def test_bce_by_hand():
    group = Group((0, 0, math.log(3), math.log(3)), labels=(1, 0, 1, -1))
    expected = (2 * math.log(2) + math.log(4 / 3) + math.log(4)) / 4
    assert value_of(Bce.C().instance(), group) == pytest.approx(expected, **FP32)


def test_hinge_by_hand():
    group = Group((0.5, 0.2, -0.1, -2), labels=(1, 1, 0, -1))
    # pairs: 1 - 0.5 - 0.1, 1 - 0.5 - 2 (nothing), 1 - 0.2 - 0.1, 1 - 0.2 - 2 (nothing)
    assert value_of(Hinge.C().instance(), group) == pytest.approx((0.4 + 0.7) / 4, **FP32)
    assert value_of(Hinge.C(margin=3.0).instance(), group) == pytest.approx((2.4 + 0.5 + 2.7 + 0.8) / 4, **FP32)


def test_margin_mse_by_hand():
    group = Group((1, 0, -2), teacher=(3, 1, 1))
    # margins (1, 3, 2) are to be (2, 2, 0)
    assert value_of(MarginMSE.C().instance(), group) == pytest.approx((1 + 1 + 4) / 3, **FP32)
    assert value_of(MarginMSE.C(scale=0.5).instance(), group) == pytest.approx((0 + 4 + 4) / 3, **FP32)


# -- what holds on any group --------------------------------------------------------------------------------


@every_loss
@SOME
@given(groups=st.lists(any_group(), min_size=1, max_size=3), junk=st.sampled_from([nan, inf, -inf, 1e30]))
def test_padding_changes_nothing_whatever_it_holds(loss, groups, junk):
    value, gradients, _ = evaluated(loss, groups, junk=0.0)
    padded, padded_gradients, on_padding = evaluated(loss, groups, width=9, junk=junk)
    assert padded == pytest.approx(value, **FP32)
    for one, other in zip(gradients, padded_gradients, strict=True):
        assert other == pytest.approx(one, **FP32)
    assert on_padding
    assert set(on_padding) == {0.0}


@every_loss
@SOME
@given(group=any_group(), data=st.data())
def test_the_order_of_documents_permutes_the_gradient_and_nothing_else(loss, group, data):
    order = data.draw(st.permutations(range(len(group.scores))))
    value, (gradient,), _ = evaluated(loss, [group])
    permuted, (permuted_gradient,), _ = evaluated(loss, [group.picked(order)])
    assert permuted == pytest.approx(value, **FP32)
    assert permuted_gradient == pytest.approx([gradient[i] for i in order], **FP32)


@pytest.mark.parametrize("loss", [x for x in EVERY if x.NAME != "bce"], ids=lambda loss: loss.NAME)
@SOME
@given(group=any_group(least=2), shift=st.floats(-8, 8))
def test_only_differences_of_scores_count(loss, group, shift):
    value, (gradient,), _ = evaluated(loss, [group])
    moved = Group([s + shift for s in group.scores], group.labels, group.teacher)
    # scores of size 14 are kept to 1e-6, the steepest loss here (MarginMSE) changes 20 times as much
    assert value_of(loss, moved) == pytest.approx(value, rel=1e-4, abs=3e-5)
    assert sum(gradient) == pytest.approx(0, abs=1e-5 * max(1, max(map(abs, gradient))))


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@every_loss
def test_no_gradient_on_the_way_is_nan(loss):
    groups = [Group((1, 2), (2, 2), (1, 1)), Group((1,)), Group((3, 4, 5), (3, 0, -1), (1, nan, 3))]
    with torch.autograd.detect_anomaly(check_nan=True):
        evaluated(loss, groups, width=5, junk=inf)


def test_bce_is_about_scores_themselves():
    assert value_of(Bce.C().instance(), Group((1, 0), labels=(1, 0))) != pytest.approx(
        value_of(Bce.C().instance(), Group((3, 2), labels=(1, 0)))
    )


@every_loss
@SOME
@given(groups=st.lists(any_group(), min_size=1, max_size=4))
def test_a_batch_is_the_mean_of_its_queries_that_have_something_to_learn_from(loss, groups):
    value, gradients, _ = evaluated(loss, groups)
    alone = [evaluated(loss, [group]) for group in groups]
    counted = sum(counts(loss, group) for group in groups)
    assert value == pytest.approx(sum(one[0] for one in alone) / max(counted, 1), **FP32)
    for gradient, (_, (own,), _) in zip(gradients, alone, strict=True):
        assert gradient == pytest.approx([g / max(counted, 1) for g in own], **FP32)


@every_loss
@SOME
@given(group=any_group())
def test_a_query_without_anything_to_learn_from_gives_zero_and_a_zero_gradient(loss, group):
    value, (gradient,), _ = evaluated(loss, [group])
    assert math.isfinite(value)
    assert all(map(math.isfinite, gradient))
    if not counts(loss, group):
        assert value == 0
        assert set(gradient) == {0.0}


@pytest.mark.parametrize("loss", [x for x in EVERY if TEACHER_ORDER in x.NEEDS], ids=lambda loss: loss.NAME)
@SOME
@given(group=any_group())
def test_only_the_order_of_the_teacher_counts(loss, group):
    stretched = Group(group.scores, group.labels, [math.exp(t) + 7 for t in group.teacher])
    assert evaluated(loss, [stretched]) == evaluated(loss, [group])


def test_margin_mse_is_about_the_teachers_differences():
    near, far = Group((1, 0), teacher=(2, 1)), Group((1, 0), teacher=(9, 1))
    assert value_of(MarginMSE.C().instance(), near) == 0
    assert value_of(MarginMSE.C().instance(), far) == 49


@pytest.mark.parametrize("loss", [x for x in EVERY if LABELS not in x.NEEDS], ids=lambda loss: loss.NAME)
@SOME
@given(group=any_group())
def test_a_document_that_the_teacher_did_not_see_might_as_well_be_absent(loss, group):
    seen = [i for i, t in enumerate(group.teacher) if not math.isnan(t)]
    value, (gradient,), _ = evaluated(loss, [group])
    assert all(gradient[i] == 0 for i in range(len(gradient)) if i not in seen)
    if seen:
        assert value == pytest.approx(value_of(loss, group.picked(seen)), **FP32)


@pytest.mark.parametrize("loss", [x for x in EVERY if LABELS in x.NEEDS], ids=lambda loss: loss.NAME)
@SOME
@given(group=any_group())
def test_an_unjudged_document_is_as_good_as_one_judged_not_relevant(loss, group):
    judged = Group(group.scores, [max(0, label) for label in group.labels])
    assert evaluated(loss, [judged]) == evaluated(loss, [group])


@pytest.mark.parametrize("kind", [Bce, Hinge, InfoNCE])
def test_a_document_below_the_positive_grade_is_a_negative(kind):
    graded = Group((1, 0.3, 0, -1), labels=(3, 2, 1, 0))
    binary = Group((1, 0.3, 0, -1), labels=(1, 1, 0, 0))
    assert value_of(kind.C(positive_grade=2).instance(), graded) == value_of(kind.C().instance(), binary)


@pytest.mark.parametrize("kind", [MarginMSE, DistillRankNet, AdrMse])
def test_documents_of_two_queries_never_meet(kind):
    # pairs would exist only across the two queries
    groups = [Group((3,), teacher=(1,)), Group((-3,), teacher=(2,))]
    value, gradients, _ = evaluated(kind.C().instance(), groups)
    assert value == 0
    assert gradients == [[0], [0]]


@pytest.mark.parametrize("kind", [Hinge, InfoNCE])
def test_a_positive_of_one_query_never_meets_a_negative_of_another(kind):
    groups = [Group((3, 2), labels=(1, 1)), Group((-3, 9), labels=(0, 0))]
    value, gradients, _ = evaluated(kind.C().instance(), groups)
    assert value == 0
    assert gradients == [[0, 0], [0, 0]]


@every_loss
def test_a_long_group_weighs_as_much_as_a_short_one(loss):
    short = Group((0, 1), labels=(2, 0), teacher=(2, 1))
    long = Group((1, 2, 3, 4, 5, 6), labels=(2, 0, 0, 0, 0, 0), teacher=(6, 5, 4, 3, 2, 1))
    expected = (value_of(loss, short) + value_of(loss, long)) / 2
    assert value_of(loss, short, long) == pytest.approx(expected, **FP32)


# -- InfoNCE ------------------------------------------------------------------------------------------------


@SOME
@given(group=any_group(least=2), position=st.integers(0, 5), rise=st.floats(0.01, 3))
def test_infonce_falls_with_a_positive_and_rises_with_a_negative(group, position, rise):
    position %= len(group.scores)
    scores = [s + rise * (i == position) for i, s in enumerate(group.scores)]
    loss = InfoNCE.C().instance()
    before, after = value_of(loss, group), value_of(loss, Group(scores, group.labels))
    assert before >= 0
    if group.labels[position] >= 1:
        assert after <= before + 1e-6
    else:
        assert after >= before - 1e-6


def test_infonce_of_a_positive_far_below_its_negatives_has_a_full_gradient():
    _, (gradient,), _ = evaluated(InfoNCE.C().instance(), [Group((-500, 500), labels=(1, 0))])
    assert gradient == [-1, 1]


# -- ADR-MSE ------------------------------------------------------------------------------------------------


def test_adr_mse_of_a_reversed_list_tends_to_the_error_of_hard_ranks():
    size = 5
    expected = sum((size + 1 - 2 * r) ** 2 / math.log2(r + 1) for r in range(1, size + 1)) / size
    scores = [100.0 * i for i in range(size)]
    assert value_of(AdrMse.C().instance(), ranked(scores)) == pytest.approx(expected, rel=1e-6)
    assert value_of(AdrMse.C().instance(), ranked(scores[::-1])) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize(("discount", "differs"), [("log2", True), ("reciprocal", True), ("none", False)])
def test_adr_mse_punishes_a_swap_at_the_top_more_where_it_discounts(discount, differs):
    loss = AdrMse.C(discount=discount, temperature=0.01).instance()
    top, bottom = value_of(loss, ranked((3, 4, 2, 1))), value_of(loss, ranked((4, 3, 1, 2)))
    assert top > 1.3 * bottom if differs else top == pytest.approx(bottom, rel=1e-5)


def test_equal_scores_attain_the_ranks_of_tied_documents():
    group = Group((50, 0, 0, 0), teacher=(9, 2, 2, 2))
    value, (gradient,), _ = evaluated(AdrMse.C().instance(), [group])
    assert value == pytest.approx(0, abs=1e-10)
    assert gradient == pytest.approx([0] * 4, abs=1e-6)


def test_adr_mse_with_a_high_temperature_sees_every_document_in_the_middle():
    scores = torch.tensor([[5.0, -3.0, 0.0]])
    known = Supervision(teacher_ranks=torch.tensor([[2.0, 2.0, 2.0]]))
    loss = AdrMse.C(temperature=1e6, discount="none").instance()
    assert loss(scores, known, torch.ones(1, 3, dtype=torch.bool)).item() == pytest.approx(0, abs=1e-9)


# -- types, errors, identity --------------------------------------------------------------------------------


@every_loss
def test_scores_of_bfloat16_a_thousand_apart_give_a_finite_loss_in_float32(loss):
    scores = torch.tensor([[-500.0, 500.0, 0.0]], dtype=torch.bfloat16, requires_grad=True)
    known = Supervision(*(torch.tensor([row]) for row in ([3.0, 0.0, -1.0], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0])))
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(scores, known, torch.ones(1, 3, dtype=torch.bool))
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert scores.grad.isfinite().all()
    exact = loss(scores.detach().float(), known, torch.ones(1, 3, dtype=torch.bool))
    assert value.item() == exact.item()


@every_loss
def test_missing_supervision_is_an_error_that_names_it(loss):
    scores, mask = torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool)
    (needed,) = loss.NEEDS
    others = Supervision(*(None if kind == needed else torch.zeros(1, 2) for kind in KINDS))
    with pytest.raises(DataError, match=f"loss {loss.NAME} needs {needed}, but the training set has none"):
        loss(scores, others, mask)
    only = Supervision(*(torch.ones(1, 2) if kind == needed else None for kind in KINDS))
    assert loss(scores, only, mask).isfinite()


@pytest.mark.parametrize(
    ("kind", "parameter", "value"),
    [
        (Bce, "positive_grade", 0),
        (Hinge, "margin", 0.0),
        (Hinge, "margin", nan),
        (Hinge, "positive_grade", 0),
        (InfoNCE, "temperature", -1.0),
        (InfoNCE, "positive_grade", 0),
        (MarginMSE, "scale", inf),
        (DistillRankNet, "temperature", 0.0),
        (AdrMse, "temperature", 0.0),
        (AdrMse, "discount", "log"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(kind, parameter, value):
    kind.__validate__(kind.C())
    with pytest.raises(ConfigurationError, match=f"^{parameter} is {value}, which loss {kind.NAME} cannot use"):
        kind.__validate__(kind.C(**{parameter: value}))


def test_every_parameter_of_a_loss_enters_its_identity():
    configs = [
        Bce.C(),
        Bce.C(positive_grade=2),
        Hinge.C(),
        Hinge.C(margin=2.0),
        Hinge.C(positive_grade=2),
        InfoNCE.C(),
        InfoNCE.C(temperature=2.0),
        InfoNCE.C(positive_grade=2),
        MarginMSE.C(),
        MarginMSE.C(scale=2.0),
        DistillRankNet.C(),
        DistillRankNet.C(temperature=2.0),
        AdrMse.C(),
        AdrMse.C(temperature=2.0),
        AdrMse.C(discount="none"),
    ]
    assert len({config.__identifier__().all.hex() for config in configs}) == len(configs)
