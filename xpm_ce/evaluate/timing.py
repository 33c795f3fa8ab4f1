"""The computation of `Efficiency`: queries are re-ranked one by one, and each part of the way is timed apart.

    schema, queries, pairs, depth
    latency_ms         of a query, by part: mean, median, p90, over the timed queries
        tokenisation   texts to token ids to pairs; nothing is tokenised beforehand, no text twice
        transfer       batches as tensors, and to the device
        forward        tensors to scores, and the scores back
        total          the three together
    pairs_per_second   pairs over the total time
    tokens_per_pair, padded_tokens_per_pair, truncated_pairs
    parameters         all, and those of them that are embedding tables
    weights_mib        what the weights take
    peak_memory_mib    most memory of the process, model and libraries included
    peak_device_memory_mib   most memory of tensors on the GPU; null on a processor
    computing          precision, device, threads, tokens_per_batch, load, environment

Wall time, since a user waits for it; `load` is that of the machine in the minute before, which other jobs raise. This
module does not know what kind of model scores.
"""

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from xpm_ce import atomic
from xpm_ce.data.runs import cut
from xpm_ce.engine.batches import computed_tokens, token_sorted_batches
from xpm_ce.engine.compute import check_computed, computing
from xpm_ce.engine.memory import peak_device_memory_mib, peak_memory_mib
from xpm_ce.errors import DataError
from xpm_ce.jobs import environment
from xpm_ce.scorers.loading import LoadedModel

if TYPE_CHECKING:
    from xpm_ce.evaluate.efficiency import Efficiency

PARTS = ("tokenisation", "transfer", "forward")


class TimedQuery(NamedTuple):
    """What one query took."""

    pairs: int
    seconds: tuple[float, float, float]
    """By part, in the order of `PARTS`"""
    tokens: int
    padded_tokens: int
    truncated: int


def time_reranking(task: "Efficiency") -> None:
    """Write `efficiency.json`; DataError where no query of the run has a document and a text."""
    model = task.model.open(device=task.device, precision=task.precision)
    run, texts, store = cut(task.run.read(), task.depth), task.queries.read(), task.store.open()
    answered = [query for query, ranking in run.items() if ranking.documents and query in texts]
    if not answered:
        raise DataError("no query of this run has a document and a text", where=str(task.run.path))
    wanted = {
        query: [store.text(row) for row in store.rows(run[query].documents)]
        for query in spread(answered, task.timed_queries)
    }
    for query in list(wanted)[: task.warmup_queries]:
        time_query(model, texts[query], wanted[query], tokens_per_batch=task.tokens_per_batch)
    load = os.getloadavg()[0]
    timed = [
        time_query(model, texts[query], documents, tokens_per_batch=task.tokens_per_batch)
        for query, documents in wanted.items()
    ]
    computing_as = {
        "precision": task.precision, "device": device_name(model.device), "threads": torch.get_num_threads(),
        "tokens_per_batch": task.tokens_per_batch, "load": load, "environment": environment(),
    }  # fmt: skip
    record = {"schema": 1, "depth": task.depth, **summary(timed), **size(model.scorer.model)}
    memory = {
        "peak_memory_mib": peak_memory_mib(), "peak_device_memory_mib": peak_device_memory_mib(model.device),
    }  # fmt: skip
    atomic.write_json(task.report, {**record, **memory, "computing": computing_as})


def spread(queries: list[str], count: int) -> list[str]:
    """`count` queries, evenly over the list; all where there are fewer."""
    places = np.linspace(0, len(queries) - 1, min(count, len(queries))).round().astype(int)
    return [queries[place] for place in places]


def time_query(model: LoadedModel, query: str, documents: list[str], *, tokens_per_batch: int) -> TimedQuery:
    """Score the documents of a query from their texts, and time each part."""
    scorer = model.scorer
    scorer.encoder.forget()
    marks = [time.perf_counter()]
    sequences = scorer.encoder.encode([query] * len(documents), documents)
    batches = token_sorted_batches(sequences.lengths, tokens_per_batch=tokens_per_batch, padded=scorer.pads)
    parts = list(sequences.take(np.concatenate(batches)).split([len(batch) for batch in batches]))
    marks.append(time.perf_counter())
    with computing(model.precision, model.device), torch.inference_mode():
        inputs = [scorer.inputs_of(part) for part in parts]
        _finish(model.device)
        marks.append(time.perf_counter())
        torch.cat([scorer.scores_of(each) for each in inputs]).cpu()
        marks.append(time.perf_counter())
    check_computed(scorer.computed, model.precision)
    padded = sum(computed_tokens(part.lengths, padded=scorer.pads) for part in parts)
    first, second, third = np.diff(marks).tolist()
    return TimedQuery(len(documents), (first, second, third), sequences.tokens, padded, int(sequences.truncated.sum()))


def summary(timed: list[TimedQuery]) -> dict[str, Any]:
    """The timed queries together."""
    seconds = np.array([each.seconds for each in timed])
    by_part = dict(zip((*PARTS, "total"), [*seconds.T, seconds.sum(axis=1)], strict=True))
    pairs = sum(each.pairs for each in timed)
    return {
        "queries": len(timed),
        "pairs": pairs,
        "latency_ms": {
            name: {
                "mean": 1000 * float(values.mean()),
                "median": 1000 * float(np.median(values)),
                "p90": 1000 * float(np.quantile(values, 0.9)),
            }
            for name, values in by_part.items()
        },
        "pairs_per_second": pairs / float(seconds.sum()),
        "tokens_per_pair": sum(each.tokens for each in timed) / pairs,
        "padded_tokens_per_pair": sum(each.padded_tokens for each in timed) / pairs,
        "truncated_pairs": sum(each.truncated for each in timed),
    }


def size(model: nn.Module) -> dict[str, Any]:
    """What a model holds; weights that two modules share count once."""
    tables = {id(each.weight): each.weight for each in model.modules() if isinstance(each, nn.Embedding)}
    weights = list(model.parameters())
    return {
        "parameters": {
            "all": sum(each.numel() for each in weights),
            "embeddings": sum(each.numel() for each in tables.values()),
        },
        "weights_mib": sum(each.numel() * each.element_size() for each in weights) / (1 << 20),
    }


def device_name(device: torch.device) -> str:
    """The GPU's own name, or cpu."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
