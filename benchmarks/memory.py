"""Memory of a training step by length of the list: the most of a process, and what the step adds to it.

    python benchmarks/memory.py --shape minilm-l12

Every list has documents that fill all of max_length. Memory is set by the token budget, not by the list: the most that
is resident during a step is to be about the same for a list of 8 and one of 100, and so is what the step adds to what
was resident before it.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from experimaestro import DirectoryContext
from measuring import Memory, begin, say, show_machine, show_ratios, show_table
from workload import MAX_LENGTH, SHAPES, TINY, make_world, taught_groups

from xpm_ce.data.training_set import TrainingGroup
from xpm_ce.engine.compute import computing, opened_device
from xpm_ce.engine.precision import FP32
from xpm_ce.learn.learner import Learner
from xpm_ce.learn.loop import Training
from xpm_ce.losses.distill_ranknet import DistillRankNet
from xpm_ce.samplers.lists import ListSampler

LISTS, QUICK_LISTS = (8, 50, 100), (8, 24)
FEW = 2
"""Documents of the list before, which makes the optimiser's state and is not measured"""


def measured_step(folder: Path, *, shape: str, documents: int, tokens_per_batch: int, seed: int, device: str) -> dict:
    """What a step with one list takes, in MiB and tokens; to be called in a process that did nothing else."""
    world = make_world(folder, queries=2, passages=2 * documents, seed=seed, words=MAX_LENGTH)
    few, many = taught_groups(world, documents=documents, seed=seed)
    few = TrainingGroup(few.query_id, *(each[:FEW] for each in few[1:]))
    (folder / "learner").mkdir()
    config = Learner.C(
        tokens=world.tokens,
        queries=world.texts,
        training_set=world.training_set([few, many]),
        scorer=world.scorer(shape),
        loss=DistillRankNet.C(),
        sampler=ListSampler.C(queries=1, documents=documents),
        steps=2,
        learning_rate=1e-5,
        device=device,
        tokens_per_batch=tokens_per_batch,
        seed=seed,
    )
    opened = opened_device(device)
    with computing(FP32, opened):
        training = Training(config.instance(DirectoryContext(folder / "learner")), opened)
        with training.writing():
            # any step can be asked for at any time: the one with the short list first
            first, second = sorted(range(2), key=lambda step: len(training.steps.step(step)[0].documents))
            training.step(first)
            start = training.position.counts
            with Memory(opened) as memory:
                training.step(second)
    counts = training.position.counts
    return {
        "documents": counts.documents - start.documents,
        "tokens": counts.tokens - start.tokens,
        "computed": counts.padded_tokens + counts.recomputed_tokens - start.padded_tokens - start.recomputed_tokens,
        "before": memory.before,
        "peak": memory.peak,
    }


def in_fresh_process(**settings: Any) -> dict:
    """The same, of a new process of this script."""
    command = [sys.executable, __file__, "--step", json.dumps(settings)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.option("--shape", type=click.Choice(SHAPES), default="minilm-l12", show_default=True)
@click.option("--documents", multiple=True, type=int, default=LISTS, show_default=True, help="Lengths of the lists.")
@click.option("--tokens-per-batch", default=4096, show_default=True, help="The budget; the learner's default.")
@click.option("--threads", default=1, show_default=True)
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--seed", default=0, show_default=True)
@click.option("--quick", is_flag=True, help="A tiny shape and short lists: the figures mean little.")
@click.option("--step", hidden=True, help="Measure one list in this process; JSON.")
def main(shape: str, documents: tuple[int, ...], threads: int, quick: bool, step: str | None, **settings: Any) -> None:
    begin(threads)
    if step is not None:
        with tempfile.TemporaryDirectory() as folder:
            say(json.dumps(measured_step(Path(folder), **json.loads(step))))
        return
    if quick:
        shape, documents = TINY, QUICK_LISTS
    show_machine(opened_device(settings["device"]), threads)
    say(f"step        {shape}: one list of documents that fill {MAX_LENGTH} tokens, DistillRankNET, fp32")
    say(f"budget      {settings['tokens_per_batch']} tokens")
    say()
    found = [in_fresh_process(shape=shape, documents=count, **settings) for count in documents]
    taken = [each["peak"] - each["before"] for each in found]
    rows = [
        (
            f"{each['documents']} documents", str(each["tokens"]), str(each["computed"]), f"{each['before']:.0f}",
            f"{each['peak']:.0f}", f"{mib:.0f}", f"{mib / taken[0]:.2f}",
        )
        for each, mib in zip(found, taken, strict=True)
    ]  # fmt: skip
    show_table(("", "tokens", "computed", "before MiB", "peak MiB", "step MiB", "x first"), rows)
    say()
    ratios: dict[str, float | None] = {}
    for each, mib in zip(found[1:], taken[1:], strict=True):
        ratios[f"memory_{each['documents']}_vs_{documents[0]}"] = each["peak"] / found[0]["peak"]
        ratios[f"step_memory_{each['documents']}_vs_{documents[0]}"] = mib / taken[0]
    show_ratios(ratios)


if __name__ == "__main__":
    main()
