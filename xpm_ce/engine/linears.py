"""Linear layers of a forward pass: with weights that are being trained, or with weights laid out once for scoring.

This module knows no model.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

from xpm_ce.engine.precision import INT8

Linear = Callable[[Tensor], Tensor]
"""`[tokens, inputs]` to `[tokens, outputs]`"""

GELU = "gelu"
"""The activation that can be computed with the product before it (the exact one, with the error function)"""

BLOCK = 2048
"""Tokens for which oneDNN lays out weights; any other number of tokens is computed right, too"""


def live(modules: list[nn.Linear], activation: str | None = None) -> Linear:
    """Linear layers that read the same input, as one; their weights may change between calls."""

    def call(inputs: Tensor) -> Tensor:
        weight, bias = _together(modules)
        # weights that are trained are fp32, whatever the type of the products
        bias = None if bias is None else bias.to(inputs.dtype)
        outputs = linear(inputs, weight.to(inputs.dtype), bias)
        return gelu(outputs) if activation == GELU else outputs

    return call


def laid_out(modules: list[nn.Linear], activation: str | None = None, *, precision: str) -> Linear:
    """The same with weights as they are now, laid out for fast products; not for training."""
    with torch.no_grad():
        weight, bias = (None if each is None else each.detach().clone() for each in _together(modules))
    assert weight is not None
    if precision == INT8:
        return _int8(weight, bias, activation)
    if weight.device.type == "cpu" and torch.backends.mkldnn.is_available():
        ready = torch.ops.mkldnn._reorder_linear_weight(weight, BLOCK)
        fused = activation or "none"

        def call(inputs: Tensor) -> Tensor:
            return torch.ops.mkldnn._linear_pointwise(inputs, ready, bias, fused, [], "none" if activation else "")

        return call

    def plain(inputs: Tensor) -> Tensor:
        outputs = linear(inputs, weight, bias)
        return gelu(outputs) if activation == GELU else outputs

    return plain


def _int8(weight: Tensor, bias: Tensor | None, activation: str | None) -> Linear:
    """Weights in 8 bits for each output, inputs in 8 bits for each call."""
    import warnings

    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(weight.float())
    if bias is not None:
        layer.bias = nn.Parameter(bias.float())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch names its successor, which is another package
        ready = torch.ao.quantization.quantize_dynamic(
            nn.Sequential(layer), {nn.Linear: torch.ao.quantization.per_channel_dynamic_qconfig}, dtype=torch.qint8
        )

    def call(inputs: Tensor) -> Tensor:
        outputs = ready(inputs)
        return gelu(outputs) if activation == GELU else outputs

    return call


def _together(modules: list[nn.Linear]) -> tuple[Tensor, Tensor | None]:
    if len(modules) == 1:
        return modules[0].weight, modules[0].bias
    weight = torch.cat([each.weight for each in modules])
    biases: list[Tensor] = [each.bias for each in modules if each.bias is not None]
    return weight, torch.cat(biases) if biases else None
