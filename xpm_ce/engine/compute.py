"""The surroundings in which tensors are computed: a device, and a precision that is honoured.

This module knows no model.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from xpm_ce.engine.precision import BF16, TF32, require
from xpm_ce.errors import MachineError


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


class ComputedType:
    """Sees in which type a network's first linear layer really computes, at the first forward pass."""

    def __init__(self, network: nn.Module):
        self.seen: torch.dtype | None = None
        layer = next(module for module in network.modules() if isinstance(module, nn.Linear))
        self._hook = layer.register_forward_hook(self._see)

    def _see(self, module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        self.seen = output.dtype
        self._hook.remove()

    def check(self, precision: str) -> None:
        """MachineError where the network has computed in another type than the precision says."""
        expected = torch.bfloat16 if precision == BF16 else torch.float32
        if self.seen not in (None, expected):
            raise MachineError(
                f"precision is {precision}, but the forward pass computed in {self.seen}",
                remedy="Report this with the versions of torch and transformers: no result was written.",
            )
