"""One training step: our engine against sentence-transformers' own CrossEncoderTrainer, in turns.

    python benchmarks/train.py --shape minilm-l12

The same queries and passages, weights, dropout, loss (MarginMSE), fused AdamW, schedule and clipping; the peer with its
SDPA attention, in fp32 and with bf16=True. What is timed is all that belongs to a step: from the texts or the token
store to the updated weights.
"""

import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import torch
from experimaestro import DirectoryContext
from measuring import (
    Spent,
    begin,
    clock_of,
    in_turns,
    memory_of_each,
    ratio,
    say,
    show_machine,
    show_ratios,
    show_table,
)
from peers import TRAINER_NEEDS, SentenceTransformersTrainer, TrainerSettings, TrainingTriple, missing
from workload import SHAPES, TINY, World, make_world, taught_groups

from xpm_ce.engine.compute import check_computed, computing, opened_device
from xpm_ce.engine.peak import FORWARD_AND_BACKWARD, MatrixProducts, matmul_peak
from xpm_ce.engine.precision import BF16, FP32, capabilities, supported
from xpm_ce.learn.learner import Learner
from xpm_ce.learn.loop import Training
from xpm_ce.losses.margin_mse import MarginMSE
from xpm_ce.samplers.groups import GroupSampler

LEARNING_RATE, WARMUP_STEPS = 2e-5, 1
OURS, OURS_BF16, PEER, PEER_BF16 = "ours fp32", "ours bf16", "sentence-transformers fp32", "sentence-transformers bf16"

SYSTEMS = (OURS_BF16, PEER, PEER_BF16)
"""What may be left out"""


class Settings(NamedTuple):
    """What is measured."""

    shape: str
    """A published encoder, or tiny"""

    queries: int
    """Queries of a step, each with two passages"""

    rounds: int
    """Timed steps"""

    warmup: int
    """Steps before them"""

    device: torch.device
    """Where"""

    threads: int
    """Threads of the processor"""

    tokens_per_batch: int
    """The learner's budget"""

    seed: int
    """Of texts, teacher scores and order"""

    attention: str
    """Attention of sentence-transformers"""

    skip: tuple[str, ...]
    """Systems that are left out"""

    @property
    def steps(self) -> int:
        """All steps of a system: the last is the one whose memory is looked at."""
        return self.warmup + self.rounds + 1


class OurTraining:
    """The learner's own training, step by step."""

    def __init__(self, task: Learner, device: torch.device):
        self.task, self.device = task, device
        with computing(task.precision, device):
            self.training = Training(task, device)

    def step(self, number: int) -> None:
        """What the learner does in a step, the line in its curve included."""
        with computing(self.task.precision, self.device):
            self.training.step(number)
            check_computed(self.training.scorer.computed, self.task.precision)

    def lengths(self, number: int) -> np.ndarray:
        """Tokens of the sequences of a step, positives and negatives, int64 `[queries, 2]`."""
        return self.training.texts.read(self.training.steps.step(number)).sequences.lengths.reshape(-1, 2)

    def triples(self, world: World, steps: int) -> list[TrainingTriple]:
        """The texts of all steps, in the order in which they are drawn."""
        found = []
        for step in range(steps):
            for group in self.training.steps.step(step):
                positive, negative = (world.passages[row] for row in group.documents)
                margin = float(group.teacher_scores[0] - group.teacher_scores[1])
                found.append(TrainingTriple(world.queries[f"q{group.query_index}"], positive, negative, margin))
        return found


def our_training(world: World, settings: Settings, precision: str, training_set: Any) -> OurTraining:
    """A learner as its job sees it."""
    folder = world.folder / f"learner-{precision}"
    folder.mkdir()
    config = Learner.C(
        tokens=world.tokens,
        queries=world.texts,
        training_set=training_set,
        scorer=world.scorer(settings.shape),
        loss=MarginMSE.C(),
        sampler=GroupSampler.C(queries=settings.queries, negatives=1),
        steps=settings.steps,
        learning_rate=LEARNING_RATE,
        warmup_steps=WARMUP_STEPS,
        precision=precision,
        device=str(settings.device),
        tokens_per_batch=settings.tokens_per_batch,
        seed=settings.seed,
    )
    return OurTraining(config.instance(DirectoryContext(folder)), settings.device)


def measure(settings: Settings, folder: Path) -> dict[str, float | None]:
    """Time all systems that there are, print a table, and give the ratios."""
    device = settings.device
    world = make_world(
        folder,
        queries=settings.queries * settings.steps,
        passages=2 * settings.queries * settings.steps,
        seed=settings.seed,
    )
    training_set = world.training_set(taught_groups(world, documents=2, seed=settings.seed))
    ours = our_training(world, settings, FP32, training_set)
    ours.training.scorer.save(folder / "model")
    triples = ours.triples(world, settings.steps)
    products = MatrixProducts.of(ours.training.scorer.model, head=ours.training.scorer.family.head)
    has_bf16 = supported(BF16, str(device), capabilities())
    with ExitStack() as stack:
        systems: dict[str, Any] = {OURS: ours}
        if has_bf16 and OURS_BF16 not in settings.skip:
            systems[OURS_BF16] = our_training(world, settings, BF16, training_set)
        for system in systems.values():
            stack.enter_context(system.training.writing())
        # the last trainer that is made sets what accelerate takes for the precision of all that compute in bf16
        wanted = [PEER, PEER_BF16] if has_bf16 else [PEER]
        for name in [] if missing(TRAINER_NEEDS) else [each for each in wanted if each not in settings.skip]:
            how = TrainerSettings(
                queries_per_step=settings.queries, learning_rate=LEARNING_RATE, warmup_steps=WARMUP_STEPS,
                device=device, threads=settings.threads, attention=settings.attention,
            )  # fmt: skip
            systems[name] = SentenceTransformersTrainer(folder / "model", triples, how, bf16=name == PEER_BF16)
            stack.callback(systems[name].end)
        steps = {name: system.step for name, system in systems.items()}
        spent = in_turns(steps, warmup=settings.warmup, rounds=settings.rounds, device=device)
        memory = memory_of_each(steps, settings.steps - 1, device=device)
        for name, dtype in ((PEER, torch.float32), (PEER_BF16, torch.bfloat16)):
            if name in systems and systems[name].computed != dtype:
                raise AssertionError(f"{name} computed in {systems[name].computed}")
    lengths = [ours.lengths(number) for number in range(settings.warmup, settings.warmup + settings.rounds)]
    return report(settings, spent, memory, lengths=lengths, products=products)


def report(
    settings: Settings,
    spent: dict[str, Spent],
    memory: dict[str, float],
    *,
    lengths: list[np.ndarray],
    products: MatrixProducts,
) -> dict[str, float | None]:
    """Print what was measured; `lengths` are of each round's sequences, `memory` is of one step in MiB."""
    device, pairs = settings.device, 2 * settings.queries
    clock = clock_of(device, settings.threads)
    flops = [
        FORWARD_AND_BACKWARD * products.flops(tokens=int(each.sum()), squared_tokens=int((each**2).sum()))
        for each in lengths
    ]
    padding = [len(each) * each.max(axis=0).sum() / each.sum() for each in lengths]
    peaks = {}
    for precision in (FP32, BF16) if any(name.endswith(BF16) for name in spent) else (FP32,):
        with computing(precision, device):
            peaks[precision] = matmul_peak(precision, device, products)
    rates = {
        name: statistics.median(count / seconds for count, seconds in zip(flops, getattr(each, clock), strict=True))
        for name, each in spent.items()
    }
    shares = {name: rate / peaks[BF16 if name.endswith(BF16) else FP32] for name, rate in rates.items()}
    say(
        f"step        {settings.shape}: {settings.queries} queries of two passages, "
        f"{np.mean(lengths):.0f} tokens a pair, MarginMSE, fused AdamW"
    )
    say(f"padding     the peer computes {statistics.median(padding):.2f} times the tokens, by the lengths (median)")
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
                f"{shares[name]:.0%}",
                f"{memory[name]:.0f}" if name in memory else "",
                "" if faster is None else f"{faster:.2f}",
            )
        )
    show_table(("", "processor s", "wall s", "pairs/s", "GFLOP/s", "of peak", "MiB", "x peer fp32"), rows)
    say()
    if absent := missing(TRAINER_NEEDS):
        say(f"not measured: sentence-transformers' trainer, which needs {' and '.join(absent)}")
    if not supported(BF16, str(device), capabilities()):
        say(f"not measured: bf16, which this {device.type} has no instructions for")
    for name in settings.skip:
        say(f"not measured: {name}, which was to be skipped")
    return {
        "train_fp32_vs_st": ratio(spent.get(PEER), spent[OURS], clock),
        "train_bf16_vs_st_fp32": ratio(spent.get(PEER), spent.get(OURS_BF16), clock),
        "train_bf16_vs_st_bf16": ratio(spent.get(PEER_BF16), spent.get(OURS_BF16), clock),
        "train_bf16_vs_fp32": ratio(spent[OURS], spent.get(OURS_BF16), clock),
        "train_share_of_peak": shares[OURS],
        "train_bf16_share_of_peak": shares.get(OURS_BF16),
    }


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.option("--shape", type=click.Choice(SHAPES), default="minilm-l12", show_default=True)
@click.option("--queries", default=16, show_default=True, help="Queries of a step, each with two passages.")
@click.option("--rounds", default=9, show_default=True, help="Timed steps of each system.")
@click.option("--warmup", default=3, show_default=True, help="Steps before them.")
@click.option("--threads", default=1, show_default=True)
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--tokens-per-batch", default=4096, show_default=True, help="Our budget; the learner's default.")
@click.option("--attention", default="sdpa", show_default=True, help="sentence-transformers' (flash_attention_2).")
@click.option("--seed", default=0, show_default=True)
@click.option("--skip", multiple=True, type=click.Choice(SYSTEMS), help="Leave a system out.")
@click.option("--quick", is_flag=True, help="A tiny shape and few steps: the figures mean nothing.")
def main(quick: bool, shape: str, queries: int, rounds: int, warmup: int, **others: Any) -> None:
    device = opened_device(others.pop("device"))
    begin(others["threads"])
    if quick:
        shape, queries, rounds, warmup = TINY, 2, 2, 1
    settings = Settings(shape=shape, queries=queries, rounds=rounds, warmup=warmup, device=device, **others)
    show_machine(device, settings.threads)
    with tempfile.TemporaryDirectory() as folder:
        ratios = measure(settings, Path(folder))
    show_ratios(ratios)


if __name__ == "__main__":
    main()
