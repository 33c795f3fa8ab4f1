"""The matrix products of a model, counted by torch itself, and the machine's peak."""

import time

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForSequenceClassification, BertConfig, DistilBertConfig, ModernBertConfig

from xpm_ce.engine.compute import computing
from xpm_ce.engine.peak import FORWARD_AND_BACKWARD, MatrixProducts, matmul_peak
from xpm_ce.scorers.families import FAMILIES

pytestmark = pytest.mark.usefixtures("one_thread")

SEQUENCES, LENGTH = 3, 12
TINY = {
    "bert": BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=16, num_labels=1,
    ),
    "distilbert": DistilBertConfig(
        vocab_size=50, dim=32, n_layers=2, n_heads=4, hidden_dim=48, max_position_embeddings=16, num_labels=1
    ),
    "modernbert": ModernBertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=16, num_labels=1, pad_token_id=0,
    ),
}  # fmt: skip


def counted_by_torch(family, *, backward):
    """(the model, FLOPs of the encoder on sequences of one length as torch counts them)."""
    model = AutoModelForSequenceClassification.from_config(TINY[family], attn_implementation="eager").eval()
    counter = FlopCounterMode(display=False)
    with counter:
        scores = model(input_ids=torch.randint(1, 50, (SEQUENCES, LENGTH))).logits
        if backward:
            scores.sum().backward()
    everything = counter.get_total_flops()
    heads = 0
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and f"{name}.".startswith(tuple(f"{h}." for h in FAMILIES[family].head)):
            heads += 2 * SEQUENCES * module.in_features * module.out_features
    return model, everything - heads * (FORWARD_AND_BACKWARD if backward else 1)


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "training"])
@pytest.mark.parametrize("family", TINY)
def test_the_products_of_a_model_are_those_that_torch_counts(family, backward):
    model, counted = counted_by_torch(family, backward=backward)
    products = MatrixProducts.of(model, head=FAMILIES[family].head)
    ours = products.flops(tokens=SEQUENCES * LENGTH, squared_tokens=SEQUENCES * LENGTH**2)
    assert ours * (FORWARD_AND_BACKWARD if backward else 1) == counted


def test_the_products_are_those_of_the_real_tokens_of_ragged_sequences():
    model, whole = counted_by_torch("bert", backward=False)
    products = MatrixProducts.of(model, head=FAMILIES["bert"].head)
    lengths = torch.tensor([12, 5, 1])
    ragged = products.flops(tokens=int(lengths.sum()), squared_tokens=int((lengths**2).sum()))
    apart = sum(products.flops(tokens=length, squared_tokens=length**2) for length in lengths.tolist())
    assert ragged == apart < whole


def test_the_peak_is_reached_by_no_product_and_missed_by_little():
    device = torch.device("cpu")
    with computing("fp32", device):
        peak = matmul_peak("fp32", device, MatrixProducts(((384, 1536), (1536, 384)), 0), seconds=0.5)
        left, right = torch.randn(2048, 384), torch.randn(384, 1536)
        rates = []
        for _ in range(20):
            started = time.perf_counter()
            left @ right
            rates.append(2 * 2048 * 384 * 1536 / (time.perf_counter() - started))
    assert 0.5 * max(rates) < peak < 3 * max(rates)


def test_the_peak_is_measured_once_for_each_setting():
    device = torch.device("cpu")
    first = matmul_peak("fp32", device, seconds=0)
    assert matmul_peak("fp32", device, seconds=0) == first  # no two measurements are equal to the last bit
