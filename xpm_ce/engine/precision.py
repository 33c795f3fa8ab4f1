"""The precisions of a forward pass, and which of them a machine has hardware for.

What the hardware lacks is refused, never emulated: bf16 without its instructions is slower than fp32. There is no
`auto`. This module does not load torch.
"""

import functools
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from xpm_ce.errors import ConfigurationError, MachineError

FP32, TF32, BF16, INT8 = "fp32", "tf32", "bf16", "int8"

PRECISIONS = {
    FP32: "32-bit floats throughout, TF32 off",
    TF32: "32-bit floats whose products are rounded to 10 bits of mantissa, on a GPU",
    BF16: "forward and backward in bfloat16; weights that are trained, heads and scores in 32-bit floats",
    INT8: "linear layers with 8-bit weights and inputs, on a processor, for scoring only; all else in 32-bit floats",
}
"""Every precision, with its meaning"""

HARDWARE = {
    (FP32, "cpu"): (FP32,),
    (BF16, "cpu"): ("amx_bf16", "avx512_bf16"),
    (INT8, "cpu"): ("amx_int8", "avx512_vnni"),
    (FP32, "cuda"): ("cuda",),
    (TF32, "cuda"): ("cuda_ampere",),
    (BF16, "cuda"): ("cuda_ampere",),
}
"""Capabilities of which one is needed, by precision and kind of device; what is absent cannot be had"""

PROCESSOR_FLAGS = ("amx_bf16", "amx_int8", "avx512_bf16", "avx512_vnni")
"""Flags of /proc/cpuinfo that matter here"""


def check_name(precision: str, *, training: bool = False) -> None:
    """ConfigurationError where there is no such precision, or none that models can be trained in."""
    names = [name for name in PRECISIONS if name != INT8] if training else list(PRECISIONS)
    if precision not in names:
        raise ConfigurationError(
            f"precision is {precision!r}", remedy=f"Give one of: {', '.join(names)}. There is no auto."
        )


@functools.cache
def capabilities() -> tuple[str, ...]:
    """What this machine can do, sorted: precisions of its processor, flags, and those of its GPUs.

    For example ("avx512_bf16", "avx512_vnni", "bf16", "fp32").
    """
    found = {FP32, *_processor_flags(), *_gpu_capabilities()}
    on_processor = {name for (name, kind), wanted in HARDWARE.items() if kind == "cpu" and found.intersection(wanted)}
    return tuple(sorted(found | on_processor))


def supported(precision: str, device: str, available: Iterable[str]) -> bool:
    """Whether a machine with these capabilities has the hardware for a precision on a device (cpu, cuda, cuda:1)."""
    return bool(set(available).intersection(HARDWARE.get((precision, _kind(device)), ())))


def require(precision: str, device: str) -> None:
    """MachineError where this machine has not the hardware; ConfigurationError for a name that does not exist."""
    check_name(precision)
    if supported(precision, device, capabilities()):
        return
    wanted = HARDWARE.get((precision, _kind(device)))
    if wanted is None:
        what = f"no {_kind(device)} computes in {precision}"
    elif _kind(device) == "cuda" and "cuda" not in capabilities():
        what = f"device is {device}, but this machine shows no NVIDIA GPU"
    else:
        what = f"precision {precision} on {device} needs {' or '.join(wanted)}, which this machine lacks"
        if (precision, _kind(device)) == (BF16, "cpu"):
            what += ": there bf16 is emulated, and 2.5 times slower than fp32"
    raise MachineError(
        what,
        remedy=f"Use fp32, or another machine. Here are: {', '.join(capabilities())}.",
    )


def _kind(device: str) -> str:
    return device.partition(":")[0]


def _processor_flags() -> set[str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return set()
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return set(PROCESSOR_FLAGS).intersection(flags.split())


def _gpu_capabilities() -> set[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return set()
    asked = [program, "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout.split()
        majors = [int(each.partition(".")[0]) for each in answer]
    except (OSError, subprocess.SubprocessError, ValueError):
        return set()
    if not majors:
        return set()
    # The least of several GPUs: a job may be given any of them.
    return {"cuda", "cuda_ampere"} if min(majors) >= 8 else {"cuda"}
