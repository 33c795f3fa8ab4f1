"""The losses against torch, sentence-transformers, and loops over documents in double precision."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from torch.nn import functional

from xpm_ce.data.supervision import Supervision
from xpm_ce.losses.adr_mse import AdrMse
from xpm_ce.losses.bce import Bce
from xpm_ce.losses.distill_ranknet import DistillRankNet
from xpm_ce.losses.hinge import Hinge
from xpm_ce.losses.infonce import InfoNCE
from xpm_ce.losses.margin_mse import MarginMSE

FP32 = {"rel": 3e-6, "abs": 3e-6}
"""Both sides add a few dozen float32 terms of size 10 or less, in another order"""


# -- loops in double precision ------------------------------------------------------------------------------


def softplus(x):
    return np.logaddexp(0, x)


def bce(scores, labels, teacher, ranks):
    return [softplus(-s) if label >= 1 else softplus(s) for s, label in zip(scores, labels, strict=True)]


def hinge(scores, labels, teacher, ranks):
    positive = [s for s, label in zip(scores, labels, strict=True) if label >= 1]
    negative = [s for s, label in zip(scores, labels, strict=True) if label < 1]
    return [max(0, 1 - p + n) for p in positive for n in negative]


def infonce(scores, labels, teacher, ranks):
    positive = [s for s, label in zip(scores, labels, strict=True) if label >= 1]
    negative = [s for s, label in zip(scores, labels, strict=True) if label < 1]
    if not negative:
        return []
    return [-p + math.log(math.exp(p) + sum(map(math.exp, negative))) for p in positive]


def margin_mse(scores, labels, teacher, ranks):
    known = [i for i in range(len(scores)) if not math.isnan(teacher[i])]
    return [((scores[i] - scores[j]) - (teacher[i] - teacher[j])) ** 2 for i in known for j in known if i < j]


def distill_ranknet(scores, labels, teacher, ranks):
    every = range(len(scores))
    return [softplus(scores[j] - scores[i]) for i in every for j in every if ranks[i] < ranks[j]]


def adr_mse(scores, labels, teacher, ranks):
    known = [i for i in range(len(scores)) if not math.isnan(ranks[i])]
    terms = []
    for i in known:
        approximate = 1 + sum(1 / (1 + math.exp(scores[i] - scores[j])) for j in known if j != i)
        terms.append((approximate - ranks[i]) ** 2 / math.log2(ranks[i] + 1))
    return terms if len(known) > 1 else []


def looped(terms, scores, labels, teacher, ranks, lengths):
    """The mean over queries that have terms, of the mean of their terms."""
    columns = (scores, labels, teacher, ranks)
    each = [terms(*(column[q][:n] for column in columns)) for q, n in enumerate(lengths)]
    return np.mean([np.mean(values) for values in each if len(values)])


@pytest.mark.parametrize(
    ("kind", "terms"),
    [
        (Bce, bce),
        (Hinge, hinge),
        (InfoNCE, infonce),
        (MarginMSE, margin_mse),
        (DistillRankNet, distill_ranknet),
        (AdrMse, adr_mse),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_value_and_gradient_agree_with_loops_in_double_precision(kind, terms, seed):
    random = np.random.default_rng(seed)
    lengths = [7, 3, 1, 5, 2]
    shape = (len(lengths), max(lengths))
    scores = random.normal(scale=2, size=shape).astype(np.float32).astype(np.float64)
    labels = random.integers(-1, 3, shape).astype(np.float64)
    teacher = random.integers(-6, 6, shape) / 2
    teacher[random.random(shape) < 0.15] = np.nan
    mask = np.arange(shape[1]) < np.array(lengths)[:, None]
    ranks = np.full(shape, np.nan)
    for row, n in enumerate(lengths):
        ranks[row, :n] = rankdata(-teacher[row, :n], nan_policy="omit")

    tensor = torch.tensor(scores, dtype=torch.float32, requires_grad=True)
    known = Supervision(*(torch.tensor(array, dtype=torch.float32) for array in (labels, teacher, ranks)))
    value = kind.C().instance()(tensor, known, torch.tensor(mask))
    value.backward()

    def reference(moved):
        return looped(terms, moved, labels, teacher, ranks, lengths)

    # central differences err by step^2 times a third derivative of about 1 (1e-8), rounding adds 1e-15 / step
    step = 1e-4
    expected = np.zeros(shape)
    for cell in np.ndindex(shape):
        shift = np.zeros(shape)
        shift[cell] = step
        expected[cell] = (reference(scores + shift) - reference(scores - shift)) / (2 * step)
    assert value.item() == pytest.approx(reference(scores), **FP32)
    np.testing.assert_allclose(tensor.grad.numpy(), expected, rtol=3e-6, atol=3e-6)


# -- torch --------------------------------------------------------------------------------------------------


@pytest.fixture
def pairs():
    """One positive and one negative for each of 32 queries, with teacher scores."""
    generator = torch.Generator().manual_seed(0)
    scores, teacher = (3 * torch.randn(32, 2, generator=generator) for _ in range(2))
    labels = torch.tensor([[1.0, -1.0]]).expand(32, 2)
    return scores, Supervision(labels, teacher), torch.ones(32, 2, dtype=torch.bool)


@pytest.fixture
def lists():
    """Eight documents for each of 16 queries, the first one positive, with a teacher's order."""
    generator = torch.Generator().manual_seed(1)
    scores = 3 * torch.randn(16, 8, generator=generator)
    labels = torch.tensor([[1.0] + [-1.0] * 7]).expand(16, 8)
    order = torch.stack([torch.randperm(8, generator=generator) for _ in range(16)])
    return scores, Supervision(labels, None, 1.0 + order), torch.ones(16, 8, dtype=torch.bool)


def test_bce_of_pairs_is_torchs_mean_over_all_documents(pairs):
    scores, known, _ = pairs
    expected = functional.binary_cross_entropy_with_logits(scores, (known.labels > 0).float())
    assert Bce.C().instance()(*pairs).item() == pytest.approx(expected.item(), **FP32)


def test_hinge_of_pairs_is_torchs_margin_ranking_loss(pairs):
    positive, negative = pairs[0].unbind(1)
    expected = functional.margin_ranking_loss(positive, negative, torch.ones(32), margin=1.0)
    assert Hinge.C().instance()(*pairs).item() == pytest.approx(expected.item(), **FP32)


def test_margin_mse_of_pairs_is_the_mean_squared_error_of_margins(pairs):
    scores, known, _ = pairs
    expected = functional.mse_loss(scores[:, 0] - scores[:, 1], known.teacher_scores.diff().neg()[:, 0])
    assert MarginMSE.C().instance()(*pairs).item() == pytest.approx(expected.item(), **FP32)


def test_margin_mse_of_a_list_is_twice_the_variance_of_the_errors(lists):
    scores, _, mask = lists
    teacher = torch.randn(16, 8, generator=torch.Generator().manual_seed(2))
    expected = 2 * (scores - teacher).var(1, correction=1).mean()
    value = MarginMSE.C().instance()(scores, Supervision(teacher_scores=teacher), mask)
    assert value.item() == pytest.approx(expected.item(), **FP32)


def test_infonce_with_one_positive_is_torchs_cross_entropy(lists):
    for temperature in (1.0, 0.05):
        expected = functional.cross_entropy(lists[0] / temperature, torch.zeros(16, dtype=torch.long))
        value = InfoNCE.C(temperature=temperature).instance()(*lists)
        assert value.item() == pytest.approx(expected.item(), **FP32)


def test_infonce_with_several_positives_is_the_mean_of_torchs_cross_entropies(lists):
    scores, _, mask = lists
    labels = torch.tensor([[1.0, 1.0, 1.0] + [0.0] * 5]).expand(16, 8)
    expected = sum(
        functional.cross_entropy(scores[:, [i, 3, 4, 5, 6, 7]], torch.zeros(16, dtype=torch.long)) for i in range(3)
    )
    value = InfoNCE.C().instance()(scores, Supervision(labels), mask)
    assert value.item() == pytest.approx(expected.item() / 3, **FP32)


def test_ranknet_of_complete_lists_is_torchs_cross_entropy_over_all_pairs(lists):
    scores, known, _ = lists
    ordered = scores.gather(1, known.teacher_ranks.argsort(1))
    first, second = torch.triu_indices(8, 8, 1)
    margins = ordered[:, first] - ordered[:, second]
    expected = functional.binary_cross_entropy_with_logits(margins, torch.ones_like(margins))
    assert DistillRankNet.C().instance()(*lists).item() == pytest.approx(expected.item(), **FP32)


# -- sentence-transformers ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory):
    """A cross-encoder of sentence-transformers with random weights, large enough for scores to differ."""
    from sentence_transformers import CrossEncoder
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{i}" for i in range(60))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    folder = tmp_path_factory.mktemp("model")
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=1.0,
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return CrossEncoder(str(folder), device="cpu").eval()


def texts(first, number):
    return [f"w{first + i} w{(7 * i) % 60} w{(11 * i + first) % 60}" for i in range(number)]


def scored(model, queries, documents):
    """Scores `[queries, documents]` of documents given for each query."""
    rows = [model.predict([(q, d) for d in row], activation_fn=torch.nn.Identity()) for q, row in
            zip(queries, documents, strict=True)]  # fmt: skip
    return torch.tensor(np.array(rows))


LONGER = {"rel": 2e-5, "abs": 2e-5}
"""The models' scores themselves differ by some 1e-6, since the two sides batch and pad differently"""


def test_bce_agrees_with_sentence_transformers(cross_encoder):
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

    queries, positive, negative = texts(0, 6), texts(10, 6), texts(20, 6)
    scores = scored(cross_encoder, queries, zip(positive, negative, strict=True))
    theirs = BinaryCrossEntropyLoss(cross_encoder)(
        [queries * 2, positive + negative], torch.tensor([1.0] * 6 + [0.0] * 6)
    )
    known = Supervision(labels=torch.tensor([[1.0, 0.0]] * 6))
    assert scores.std() > 0.1
    assert Bce.C().instance()(scores, known, torch.ones(6, 2, dtype=torch.bool)).item() == pytest.approx(
        theirs.item(), **LONGER
    )


def test_margin_mse_of_pairs_agrees_with_sentence_transformers(cross_encoder):
    from sentence_transformers.cross_encoder.losses import MarginMSELoss

    queries, positive, negative = texts(0, 6), texts(10, 6), texts(20, 6)
    teacher = torch.linspace(-4, 9, 12).view(6, 2).flip(1)
    theirs = MarginMSELoss(cross_encoder)([queries, positive, negative], teacher)
    scores = scored(cross_encoder, queries, zip(positive, negative, strict=True))
    ours = MarginMSE.C().instance()(scores, Supervision(teacher_scores=teacher), torch.ones(6, 2, dtype=torch.bool))
    assert ours.item() == pytest.approx(theirs.item(), **LONGER)


def test_infonce_agrees_with_sentence_transformers_without_other_queries(cross_encoder):
    from sentence_transformers.cross_encoder.losses import MultipleNegativesRankingLoss

    # one query in the batch, so that there are no in-batch negatives
    query, columns = texts(0, 1), [texts(i, 1) for i in (10, 20, 30, 40)]
    loss = MultipleNegativesRankingLoss(cross_encoder, num_negatives=None, scale=2, activation_fn=None)
    theirs = loss([query, *columns], torch.zeros(1))
    scores = scored(cross_encoder, query, [[column[0] for column in columns]])
    known = Supervision(labels=torch.tensor([[1.0, -1.0, -1.0, -1.0]]))
    ours = InfoNCE.C(temperature=0.5).instance()(scores, known, torch.ones(1, 4, dtype=torch.bool))
    assert ours.item() == pytest.approx(theirs.item(), **LONGER)


def test_ranknet_with_ties_agrees_with_sentence_transformers(cross_encoder):
    from sentence_transformers.cross_encoder.losses import RankNetLoss

    query, documents = texts(0, 1), texts(10, 6)
    teacher = torch.tensor([3.0, 1.0, 1.0, 5.0, 0.0, 1.0])
    loss = RankNetLoss(cross_encoder, sigma=0.5, reduction_log="natural")
    theirs = loss([query, [documents]], [teacher])
    scores = scored(cross_encoder, query, [documents])
    known = Supervision(teacher_ranks=torch.tensor(rankdata(-teacher))[None])
    ours = DistillRankNet.C(temperature=2.0).instance()(scores, known, torch.ones(1, 6, dtype=torch.bool))
    assert ours.item() == pytest.approx(theirs.item(), **LONGER)


def test_adr_mse_with_ties_agrees_with_sentence_transformers(cross_encoder):
    from sentence_transformers.cross_encoder.losses import ADRMSELoss

    queries, documents = texts(0, 2), [texts(10, 6), texts(30, 6)]
    teacher = torch.tensor([[3.0, 1.0, 1.0, 5.0, 0.0, 1.0], [1.0, 2.0, 3.0, 3.0, 2.0, 9.0]])
    theirs = ADRMSELoss(cross_encoder, alpha=0.5)([queries, documents], list(teacher))
    scores = scored(cross_encoder, queries, documents)
    known = Supervision(teacher_ranks=torch.tensor(rankdata(-teacher, axis=1)))
    ours = AdrMse.C(temperature=2.0).instance()(scores, known, torch.ones(2, 6, dtype=torch.bool))
    assert ours.item() == pytest.approx(theirs.item(), **LONGER)
