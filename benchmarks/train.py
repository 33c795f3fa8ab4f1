"""One training step: our engine against sentence-transformers' own CrossEncoderTrainer, in turns.

    python benchmarks/train.py --shape minilm-l12

The same queries and passages, weights, dropout, loss (MarginMSE), fused AdamW, schedule and clipping; the peer with its
SDPA attention, in fp32 and with bf16=True. What is timed is all that belongs to a step: from the texts or the token
store to the updated weights.
"""

import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from comparing import OURS, OURS_BF16, PEER, PEER_BF16, Settings, comparison_options, show_speed
from experimaestro import DirectoryContext
from measuring import Spent, begin, in_turns, memory_of_each, ratio, say, show_machine, show_ratios
from peers import TRAINER_NEEDS, SentenceTransformersTrainer, TrainerSettings, TrainingTriple, missing
from workload import TINY, World, make_world, taught_groups

from xpm_ce.engine.compute import check_computed, computing, opened_device
from xpm_ce.engine.peak import FORWARD_AND_BACKWARD, MatrixProducts
from xpm_ce.engine.precision import BF16, FP32, capabilities, supported
from xpm_ce.learn.learner import Learner
from xpm_ce.learn.loop import Training
from xpm_ce.losses.margin_mse import MarginMSE
from xpm_ce.samplers.groups import GroupSampler

LEARNING_RATE, WARMUP_STEPS = 2e-5, 1

SYSTEMS = (OURS_BF16, PEER, PEER_BF16)
"""What may be left out"""


@dataclass(frozen=True, kw_only=True)
class StepSettings(Settings):
    """What is measured; a round is a step."""

    queries: int
    """Queries of a step, each with two passages"""

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


def our_training(world: World, settings: StepSettings, precision: str, training_set: Any) -> OurTraining:
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


def measure(settings: StepSettings, folder: Path) -> dict[str, float | None]:
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
    settings: StepSettings,
    spent: dict[str, Spent],
    memory: dict[str, float],
    *,
    lengths: list[np.ndarray],
    products: MatrixProducts,
) -> dict[str, float | None]:
    """Print what was measured; `lengths` are of each round's sequences, `memory` is of one step in MiB."""
    flops = [
        FORWARD_AND_BACKWARD * products.flops(tokens=int(each.sum()), squared_tokens=int((each**2).sum()))
        for each in lengths
    ]
    padding = [len(each) * each.max(axis=0).sum() / each.sum() for each in lengths]
    say(
        f"step        {settings.shape}: {settings.queries} queries of two passages, "
        f"{np.mean(lengths):.0f} tokens a pair, MarginMSE, fused AdamW"
    )
    say(f"padding     the peer computes {statistics.median(padding):.2f} times the tokens, by the lengths (median)")
    shares = show_speed(settings, spent, memory, flops=flops, pairs=2 * settings.queries, products=products)
    device, clock = settings.device, settings.clock
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
@comparison_options(SYSTEMS, rounds=9, round_means="steps")
@click.option("--queries", default=16, show_default=True, help="Queries of a step, each with two passages.")
def main(quick: bool, shape: str, queries: int, rounds: int, warmup: int, **others: Any) -> None:
    device = opened_device(others.pop("device"))
    begin(others["threads"])
    if quick:
        shape, queries, rounds, warmup = TINY, 2, 2, 1
    settings = StepSettings(shape=shape, queries=queries, rounds=rounds, warmup=warmup, device=device, **others)
    show_machine(device, settings.threads)
    with tempfile.TemporaryDirectory() as folder:
        ratios = measure(settings, Path(folder))
    show_ratios(ratios)


if __name__ == "__main__":
    main()
