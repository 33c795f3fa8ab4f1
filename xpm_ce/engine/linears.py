"""Linear layers of a forward pass: with weights that are being trained, or with weights laid out once for scoring.

This module knows no model.
"""

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

from xpm_ce.engine.precision import INT8


class Linear(Protocol):
    """A linear layer with the activation or the sum after it."""

    def __call__(self, inputs: Tensor, residual: Tensor | None = None) -> Tensor:
        """`[tokens, inputs]` to `[tokens, outputs]`, plus `residual` of that shape (no activation comes before it)."""


GELU = "gelu"
"""The activation that can be computed with the product before it (the exact one, with the error function)"""

BLOCK = 2048
"""Tokens for which oneDNN lays out weights; any other number of tokens is computed right, too"""


LEVELS = 127
"""Whole numbers to each side of 0 that 8 bits are used for"""


INT8_TOKENS = 512
"""Tokens that are turned into whole numbers at once"""


def live(modules: list[nn.Linear], activation: str | None = None) -> Linear:
    """Linear layers that read the same input, as one; their weights may change between calls."""

    def call(inputs: Tensor, residual: Tensor | None = None) -> Tensor:
        weight, bias = _together(modules)
        if inputs.dtype == torch.float32 and _has_onednn(inputs.device):
            outputs = _Linear.apply(inputs, weight, bias)
        else:
            # weights that are trained are fp32, whatever the type of the products
            bias = None if bias is None else bias.to(inputs.dtype)
            outputs = linear(inputs, weight.to(inputs.dtype), bias)
        return _finished(outputs, activation, residual)

    return call


class _Linear(torch.autograd.Function):
    """A linear layer in fp32 on a processor, by oneDNN where it is faster than what torch would take."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:  # type: ignore[override]
        inputs, weight = ctx.saved_tensors
        of_inputs = None
        if ctx.needs_input_grad[0]:
            of_inputs = torch.ops.mkldnn._linear_pointwise(slopes, weight.t(), None, "none", [], "")
        return of_inputs, slopes.t() @ inputs, slopes.sum(0) if ctx.needs_input_grad[2] else None


def _has_onednn(device: torch.device) -> bool:
    return device.type == "cpu" and torch.backends.mkldnn.is_available()


def laid_out(modules: list[nn.Linear], activation: str | None = None, *, precision: str) -> Linear:
    """The same with weights as they are now, laid out for fast products; not for training."""
    with torch.no_grad():
        weight, bias = (None if each is None else each.detach().clone() for each in _together(modules))
    assert weight is not None
    if precision == INT8:
        return _int8(weight, bias, activation)
    if _has_onednn(weight.device):
        ready = torch.ops.mkldnn._reorder_linear_weight(weight, BLOCK)
        fused = activation or "none"

        def call(inputs: Tensor, residual: Tensor | None = None) -> Tensor:
            if residual is not None and inputs.dtype == torch.float32:
                return torch.ops.mkldnn._linear_pointwise.binary(inputs, residual, ready, bias, "add")
            outputs = torch.ops.mkldnn._linear_pointwise(inputs, ready, bias, fused, [], "none" if activation else "")
            return _finished(outputs, None, residual)  # an activation is in the product already

        return call

    def plain(inputs: Tensor, residual: Tensor | None = None) -> Tensor:
        return _finished(linear(inputs, weight, bias), activation, residual)

    return plain


def _int8(weight: Tensor, bias: Tensor | None, activation: str | None) -> Linear:
    """Weights in 8 bits, scaled for each output; inputs in 8 bits, scaled for each token, so that packs are alike."""
    scales = weight.abs().amax(1).clamp_(min=torch.finfo(torch.float32).tiny) / LEVELS
    whole = (weight / scales.unsqueeze(1)).round_().to(torch.int8)
    ready, zeros = torch.ops.onednn.qlinear_prepack(whole, None), torch.zeros(len(scales), dtype=torch.long)

    def product(inputs: Tensor) -> Tensor:
        largest = inputs.abs().amax(1, keepdim=True).clamp_(min=torch.finfo(torch.float32).tiny)
        signed = (inputs / largest).mul_(LEVELS).round_().to(torch.int8)
        # the product wants bytes from 0 to 255: the first bit turned is 128 more
        outputs = torch.ops.onednn.qlinear_pointwise(
            signed.view(torch.uint8).bitwise_xor_(128), 1 / LEVELS, 128, ready, scales, zeros, None,
            1.0, 0, torch.float32, "none", [], "none",
        )  # fmt: skip
        outputs = outputs.mul_(largest) if bias is None else torch.addcmul(bias, outputs, largest, out=outputs)
        return torch.ops.aten.gelu_(outputs) if activation == GELU else outputs

    def call(inputs: Tensor, residual: Tensor | None = None) -> Tensor:
        outputs = inputs.new_empty(len(inputs), len(scales))
        # few at once: what lies between is small enough to stay in the processor's cache
        for part, its in zip(inputs.split(INT8_TOKENS), outputs.split(INT8_TOKENS), strict=True):
            its.copy_(product(part))
        return outputs if residual is None else outputs.add_(residual)

    return call


def _finished(outputs: Tensor, activation: str | None, residual: Tensor | None) -> Tensor:
    if activation == GELU:
        return gelu(outputs)
    return outputs if residual is None else outputs + residual


def _together(modules: list[nn.Linear]) -> tuple[Tensor, Tensor | None]:
    if len(modules) == 1:
        return modules[0].weight, modules[0].bias
    weight = torch.cat([each.weight for each in modules])
    biases: list[Tensor] = [each.bias for each in modules if each.bias is not None]
    return weight, torch.cat(biases) if biases else None
