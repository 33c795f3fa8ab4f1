"""The surroundings in which tensors are computed: a device, and a precision that is honoured.

This module knows no model.
"""

import contextlib
from collections.abc import Iterator

import torch

from xpm_ce.engine.precision import BF16, FP32, INT8, TF32, require
from xpm_ce.errors import MachineError

TYPES = {FP32: torch.float32, TF32: torch.float32, INT8: torch.float32, BF16: torch.bfloat16}
"""The type of hidden states, by precision"""


def opened_device(name: str) -> torch.device:
    """A device by name (cpu, cuda, cuda:1); MachineError where torch does not see it."""
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise MachineError(
            f"device is {name}, but torch sees no GPU",
            remedy="Install a torch with CUDA, or look at CUDA_VISIBLE_DEVICES.",
        )
    return device


@contextlib.contextmanager
def computing(precision: str, device: torch.device) -> Iterator[None]:
    """Honour a precision within the block; global switches are as before afterwards.

    Products of fp32 tensors are real fp32, or TF32 where that is asked for, whatever the switches said before.
    MachineError where the machine has not the hardware.
    """
    require(precision, str(device))
    products, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision("high" if precision == TF32 else "highest")
        torch.backends.cudnn.allow_tf32 = precision == TF32
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions


def training_forward(precision: str, device: torch.device) -> torch.autocast:
    """A context for the forward pass of training: in bf16, tensors are cast as they come, weights stay fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == BF16)


def check_computed(computed: torch.dtype | None, precision: str) -> None:
    """MachineError where a network has computed in another type than the precision says; None is not known yet."""
    if computed not in (None, TYPES[precision]):
        raise MachineError(
            f"precision is {precision}, but the forward pass computed in {computed}",
            remedy="Report this with the versions of torch and transformers: no result was written.",
        )
