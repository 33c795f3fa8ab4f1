"""What comparisons of our engine with other libraries share: settings, options of the command, the table of systems.

This module does not know what the systems compute.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
import torch
from measuring import Spent, clock_of, ratio, say, show_table
from workload import SHAPES

from xpm_ce.engine.compute import computing
from xpm_ce.engine.peak import MatrixProducts, matmul_peak
from xpm_ce.engine.precision import BF16, FP32, INT8

OURS, OURS_BF16, OURS_INT8 = "ours fp32", "ours bf16", "ours int8"
PEER, PEER_BF16 = "sentence-transformers fp32", "sentence-transformers bf16"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured, and how."""

    shape: str
    """A published encoder, or tiny"""

    rounds: int
    """Timed rounds"""

    warmup: int
    """Rounds before them"""

    device: torch.device
    """Where"""

    threads: int
    """Threads of the processor"""

    tokens_per_batch: int
    """Our budget"""

    seed: int
    """Of texts, weights, teacher scores and order"""

    attention: str
    """Attention of sentence-transformers"""

    skip: tuple[str, ...]
    """Systems that are left out"""

    @property
    def clock(self) -> str:
        """The clock that ratios are of."""
        return clock_of(self.device, self.threads)


def comparison_options(
    systems: Sequence[str], *, rounds: int, round_means: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of a comparison; `systems` may be left out, and `round_means` says what a round is."""
    decorators = [
        click.option("--shape", type=click.Choice(SHAPES), default="minilm-l12", show_default=True),
        click.option("--rounds", default=rounds, show_default=True, help=f"Timed {round_means} by each system."),
        click.option("--warmup", default=3, show_default=True, help="Rounds before them."),
        click.option("--threads", default=1, show_default=True),
        click.option("--device", default="cpu", show_default=True, help="cpu or cuda."),
        click.option("--tokens-per-batch", default=4096, show_default=True, help="Our budget, the default of jobs."),
        click.option(
            "--attention", default="sdpa", show_default=True, help="Of sentence-transformers: flash_attention_2, say."
        ),
        click.option("--seed", default=0, show_default=True),
        click.option("--skip", multiple=True, type=click.Choice(systems), help="Leave a system out."),
        click.option("--quick", is_flag=True, help="A tiny shape and little work: the figures mean nothing."),
    ]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def show_speed(
    settings: Settings,
    spent: Mapping[str, Spent],
    memory: Mapping[str, float],
    *,
    flops: Sequence[int],
    pairs: int,
    products: MatrixProducts,
) -> dict[str, float]:
    """Print a line for each system, and give the share of the peak that each reaches, those of int8 apart.

    A round computes `flops[round]` operations for `pairs` pairs; `memory` is in MiB.
    """
    clock = settings.clock
    peaks = {}
    for precision in (FP32, BF16) if any(name.endswith(BF16) for name in spent) else (FP32,):
        with computing(precision, settings.device):
            peaks[precision] = matmul_peak(precision, settings.device, products)
    rates = {
        name: statistics.median(count / seconds for count, seconds in zip(flops, getattr(each, clock), strict=True))
        for name, each in spent.items()
    }
    shares = {
        name: rate / peaks[BF16 if name.endswith(BF16) else FP32]
        for name, rate in rates.items()
        if not name.endswith(INT8)
    }
    say(f"rounds      {settings.rounds} timed after {settings.warmup}; ratios of medians by the {clock} clock")
    say(f"peak        {', '.join(f'{name} {peak / 1e9:.0f} GFLOP/s' for name, peak in peaks.items())}")
    say()
    rows = []
    for name, each in spent.items():
        faster = ratio(spent.get(PEER), each, clock)
        rows.append(
            (
                name,
                f"{each.median('processor'):.3f}",
                f"{each.median('wall'):.3f}",
                f"{pairs / each.median(clock):.2f}",
                f"{rates[name] / 1e9:.1f}",
                f"{shares[name]:.0%}" if name in shares else "",
                f"{memory[name]:.0f}" if name in memory else "",
                "" if faster is None else f"{faster:.2f}",
            )
        )
    show_table(("", "processor s", "wall s", "pairs/s", "GFLOP/s", "of peak", "MiB", "x peer fp32"), rows)
    say()
    return shares
