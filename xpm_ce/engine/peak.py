"""How much of what a machine can multiply is made use of: a model's matrix products, and the machine's measured peak.

The products are those that the real tokens need, all layers full: no padding, no second forward, no optimiser, and
nothing saved in the last layer. This module knows no model by name: it looks at the linear layers that are there.
"""

import functools
import math
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import nn

from xpm_ce.engine.precision import BF16

PRODUCTS, SQUARE, ROWS = 20, 2048, 2048
"""Products that are timed, the side of the square one, and tokens in those of a model's shapes"""
FORWARD_AND_BACKWARD = 3
"""A training step against its forward pass: the gradient of a product is two products of its size"""


class MatrixProducts(NamedTuple):
    """The matrix products of an encoder's forward pass, heads apart."""

    linears: tuple[tuple[int, int], ...]
    """Features in and out of each linear layer that every token goes through"""

    attended: int
    """Features that are attended with, summed over layers"""

    @classmethod
    def of(cls, model: nn.Module, *, head: Iterable[str] = ()) -> "MatrixProducts":
        """Those of a transformers model; `head` names the modules that see one token of a sequence only.

        Every layer is taken to attend to the whole sequence, local ones too. DeBERTa's products of content with
        positions are left out.
        """
        config: Any = model.config
        heads = tuple(f"{name}." for name in head)
        linears = tuple(
            (module.in_features, module.out_features)
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear) and not f"{name}.".startswith(heads)
        )
        return cls(linears, config.num_hidden_layers * config.hidden_size)

    def flops(self, *, tokens: int, squared_tokens: int) -> int:
        """Floating-point operations of a forward pass over sequences of so many tokens, and squares of lengths.

        2 per weight and token, and 4 per feature and pair of tokens of a sequence: scores, and means by them.
        """
        return 2 * tokens * sum(ins * outs for ins, outs in self.linears) + 4 * squared_tokens * self.attended


def matmul_peak(
    precision: str, device: torch.device, products: MatrixProducts | None = None, *, seconds: float = math.inf
) -> float:
    """The best rate of a matrix product, in FLOP/s, with the threads that torch has now; measured once a process.

    The best of 20 products: 2048 x 2048 x 2048, and 2048 tokens through each shape of linear layer of a model; of
    fewer where they take longer than `seconds`, but of one of each kind. To be called within
    `engine.compute.computing`, which says what a product of fp32 tensors is.
    """
    shapes = sorted(set(products.linears)) if products is not None else []
    dtype = torch.bfloat16 if precision == BF16 else torch.float32
    settings = (torch.get_num_threads(), torch.get_float32_matmul_precision())
    return _peak(dtype, device, tuple(shapes), seconds, settings)


@functools.cache
def _peak(
    dtype: torch.dtype, device: torch.device, shapes: tuple[tuple[int, int], ...], seconds: float, _settings: object
) -> float:
    """As `matmul_peak`; the last argument tells measurements apart under different settings of torch."""
    sizes = [(SQUARE, SQUARE, SQUARE), *((ROWS, ins, outs) for ins, outs in shapes)]
    factors = [
        (_numbers(rows, ins, dtype=dtype, device=device), _numbers(ins, outs, dtype=dtype, device=device))
        for rows, ins, outs in sizes
    ]
    best, spent = 0.0, 0.0
    with torch.inference_mode():
        for number in range(max(PRODUCTS, len(sizes))):
            if number >= len(sizes) and spent > seconds:
                break
            left, right = factors[number % len(sizes)]
            started = _now(device)
            torch.mm(left, right)
            taken = _now(device) - started
            spent += taken
            best = max(best, 2 * math.prod(sizes[number % len(sizes)]) / taken)
    return best


def _numbers(rows: int, columns: int, *, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Numbers that differ, since equal ones cost a GPU less power, without drawing any."""
    return torch.linspace(-1, 1, rows * columns, device=device).reshape(rows, columns).to(dtype)


def _now(device: torch.device) -> float:
    """Seconds, when all that was asked of the device is done; of one thread its own, whatever else the machine does."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif torch.get_num_threads() == 1:
        return time.thread_time()
    return time.perf_counter()
