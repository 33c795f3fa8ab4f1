"""Systems timed in turns, in one process: what each took, what the machine is, and the line of ratios at the end.

Each round lets every system do the same work once, beginning with another one each time, so that what else the machine
does falls on all of them. This module does not know what the systems do.
"""

import contextlib
import ctypes
import gc
import json
import logging
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import click
import torch
from transformers.utils import logging as transformers_logging

from xpm_ce.engine.precision import capabilities
from xpm_ce.jobs import processor

SHOWN_PACKAGES = (
    "torch", "transformers", "tokenizers", "sentence-transformers", "accelerate", "experimaestro-ir", "flash-attn",
)  # fmt: skip
MALLOC_ARENAS = -8
"""M_ARENA_MAX of glibc's malloc.h"""
RESET_PEAK = Path("/proc/self/clear_refs")
"""Where Linux is told to count the most resident memory anew"""


class Spent(NamedTuple):
    """What a system took for the same work again and again, seconds."""

    processor: list[float]
    """Time of the processor, of all threads"""

    wall: list[float]
    """Time that passed"""

    def median(self, clock: str) -> float:
        """The median by one of the two clocks."""
        return statistics.median(getattr(self, clock))


def clock_of(device: torch.device, threads: int) -> str:
    """The clock that ratios are of: the processor's where one thread of it works, which other programs do not slow."""
    return "processor" if device.type == "cpu" and threads == 1 else "wall"


def in_turns(
    systems: Mapping[str, Callable[[int], object]], *, warmup: int, rounds: int, device: torch.device
) -> dict[str, Spent]:
    """Let each system do the work of each round, `warmup` rounds untimed; a system is given the number of the round."""
    spent = {name: Spent([], []) for name in systems}
    names = list(systems)
    for number in range(warmup + rounds):
        first = number % len(names)
        for name in [*names[first:], *names[:first]]:
            _wait(device)
            processor, wall = time.process_time(), time.perf_counter()
            systems[name](number)
            _wait(device)
            if number >= warmup:
                spent[name].processor.append(time.process_time() - processor)
                spent[name].wall.append(time.perf_counter() - wall)
    return spent


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def begin(threads: int) -> None:
    """Compute with so many threads, tokenizers included, and keep what libraries say of their progress out of sight.

    To be called before anything is tokenised.
    """
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"
    torch.set_num_threads(threads)
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    logging.disable(logging.WARNING)
    # all threads take memory from one heap: what one system frees the next can have, at no cost
    _libc("mallopt", MALLOC_ARENAS, 1)


def ratio(slower: Spent | None, faster: Spent | None, clock: str) -> float | None:
    """How many times faster the second is; None where either was not measured."""
    if slower is None or faster is None:
        return None
    return slower.median(clock) / faster.median(clock)


def show_machine(device: torch.device, threads: int) -> None:
    """Print the processor, what it can do, threads and versions."""
    flags = [name for name in capabilities() if "_" in name]
    say(f"processor   {processor()}, {os.cpu_count()} cores, {', '.join(flags) or 'none of amx, avx512_bf16, vnni'}")
    if device.type == "cuda":
        say(f"device      {torch.cuda.get_device_name(device)}")
    say(f"threads     {threads}; load of the machine {os.getloadavg()[0]:.1f}")
    say(f"versions    {', '.join(f'{name} {version}' for name, version in versions().items())}")


def versions() -> dict[str, str]:
    """Versions of the packages that decide how fast the systems are; those that are not installed are left out."""
    found = {}
    for name in SHOWN_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a header, the first column left, the others right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        say("  ".join(cells).rstrip())


def show_ratios(ratios: Mapping[str, float | None]) -> None:
    """Print the last line: JSON, null for what could not be measured."""
    rounded = {name: None if value is None else round(value, 4) for name, value in ratios.items()}
    say(json.dumps({"ratios": rounded}))


def say(line: str = "") -> None:
    """Print a line at once."""
    click.echo(line)


class Memory:
    """What a block of code takes beside what was there before it; what was free before it is given back first."""

    def __init__(self, device: torch.device):
        self._device = device
        self.before = self.peak = 0.0

    def __enter__(self) -> "Memory":
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self._device)
            self.before = torch.cuda.memory_allocated(self._device) / 2**20
        else:
            _libc("malloc_trim", 0)
            RESET_PEAK.write_text("5")
            self.before = _status("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        if self._device.type == "cuda":
            self.peak = torch.cuda.max_memory_allocated(self._device) / 2**20
        else:
            self.peak = _status("VmHWM")

    @property
    def taken(self) -> float:
        """MiB: the most that was in use within the block, less what was before it."""
        return self.peak - self.before


def memory_of_each(
    systems: Mapping[str, Callable[[int], object]], number: int, *, device: torch.device
) -> dict[str, float]:
    """MiB that each system takes for the work of a round; empty where the operating system does not say."""
    if device.type == "cpu" and not RESET_PEAK.exists():
        return {}
    taken = {}
    for name, system in systems.items():
        with Memory(device) as memory:
            system(number)
        taken[name] = memory.taken
    return taken


def _status(name: str) -> float:
    """A line of /proc/self/status in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no {name}")


def _libc(function: str, *arguments: int) -> None:
    """Call the C library, where it has such a function."""
    with contextlib.suppress(OSError, AttributeError):
        getattr(ctypes.CDLL(None), function)(*arguments)
