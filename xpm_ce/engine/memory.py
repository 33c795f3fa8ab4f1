"""How much memory this process has had. This module does not know what for."""

import resource
import sys

import torch


def peak_memory_mib() -> int:
    """Most memory that this process ever had, in MiB; the system counts in KiB, but on a Mac in bytes."""
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit


def peak_device_memory_mib(device: torch.device) -> int | None:
    """Most memory that tensors ever had on a GPU, in MiB; None for a processor."""
    return torch.cuda.max_memory_allocated(device) >> 20 if device.type == "cuda" else None
