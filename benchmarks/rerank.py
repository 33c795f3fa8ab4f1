"""Re-ranking the candidates of one query: our engine against CrossEncoder.predict and xpmir's scorer, in turns.

    python benchmarks/rerank.py --shape minilm-l12

The same query, passages and weights. Ours begins with the token store, as the re-ranking job does; the others begin
with the texts, since they have no such store. Beside the times stand how far the scores are from those of the
unmodified transformers model, and what the way from the token store to a batch costs.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import torch
from comparing import (
    OURS,
    OURS_BF16,
    OURS_INT8,
    PEER,
    PEER_BF16,
    Settings,
    comparison_options,
    show_speed,
)
from measuring import Spent, begin, in_turns, memory_of_each, ratio, say, show_machine, show_ratios, show_table
from peers import BATCH, SentenceTransformersScorer, XpmirScorer, missing
from scipy.stats import kendalltau
from workload import MAX_LENGTH, MAX_QUERY_LENGTH, TINY, World, make_world, read_texts

from xpm_ce.engine.batches import token_sorted_batches
from xpm_ce.engine.compute import opened_device
from xpm_ce.engine.padding import packed
from xpm_ce.engine.peak import MatrixProducts
from xpm_ce.engine.precision import BF16, FP32, INT8, capabilities, supported
from xpm_ce.errors import MachineError
from xpm_ce.scorers.loading import LoadedModel, load
from xpm_ce.scorers.transformer import TransformerScorer
from xpm_ce.tokens.sequences import Ragged, Sequences
from xpm_ce.tokens.stored_tokens import StoredTokens

XPMIR = "xpmir fp32"
SYSTEMS = (OURS_BF16, OURS_INT8, PEER, PEER_BF16, XPMIR)
"""What may be left out"""
TOP = 10
WARMUP_CANDIDATES = 4 * BATCH
"""Candidates of rounds that are not timed: those before, and the one whose memory is looked at"""
TOKENISING_ROUNDS = 7


@dataclass(frozen=True, kw_only=True)
class QuerySettings(Settings):
    """What is measured; a round re-ranks the candidates once, one before them the first few."""

    candidates: int
    """Passages of the query"""

    texts: Path | None
    """A file of real texts to cut passages out of; None to draw words"""


class TokenStoreToScores:
    """Our way: passages that are tokens already, joined with the query, scored."""

    def __init__(self, model: LoadedModel, tokens: StoredTokens, *, tokens_per_batch: int):
        self.model, self._tokens, self._budget = model, tokens, tokens_per_batch

    def sequences(self, query: str, rows: np.ndarray) -> Sequences:
        """Pairs of the query with passages of the store."""
        encoder = self.model.scorer.encoder
        asked = Ragged.of(encoder.tokens([query])).take(np.zeros(len(rows), np.int64))
        return encoder.join(asked, self._tokens.rows(rows))

    def scores(self, query: str, rows: np.ndarray) -> np.ndarray:
        """Scores fp32 `[rows]`."""
        return self.model.score(self.sequences(query, rows), tokens_per_batch=self._budget)

    def batches(self, query: str, rows: np.ndarray) -> None:
        """All batches that `scores` computes, and nothing else."""
        sequences = self.sequences(query, rows)
        batches = token_sorted_batches(sequences.lengths, tokens_per_batch=self._budget, padded=False)
        for part in sequences.take(np.concatenate(batches)).split([len(batch) for batch in batches]):
            packed(part)


class Tokenising(NamedTuple):
    """Seconds from what is stored to batches."""

    tokens: float
    """From the token store"""

    texts: float
    """From texts, by the tokenizer's own call on 32 pairs"""


def our_systems(
    settings: QuerySettings, folder: Path, tokens: StoredTokens
) -> tuple[dict[str, TokenStoreToScores], list[str]]:
    """Our engine in each precision that the machine has, and why others are not there."""
    found, absent = {}, []
    for name, precision in ((OURS, FP32), (OURS_BF16, BF16), (OURS_INT8, INT8)):
        if name in settings.skip:
            continue
        if not supported(precision, str(settings.device), capabilities()):
            absent.append(f"{precision}, which {settings.device} has no instructions for")
            continue
        try:
            model = load(folder, device=str(settings.device), precision=precision)
        except MachineError as error:
            absent.append(f"{name}: {error}")
            continue
        found[name] = TokenStoreToScores(model, tokens, tokens_per_batch=settings.tokens_per_batch)
    return found, absent


def peers(settings: QuerySettings, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The other libraries, and why some are not there."""
    found: dict[str, Any] = {}
    absent = []
    if missing(["sentence-transformers"]):
        absent.append("sentence-transformers, which is not installed")
    else:
        types = {PEER: torch.float32}
        if supported(BF16, str(settings.device), capabilities()):
            types[PEER_BF16] = torch.bfloat16
        for name, dtype in types.items():
            found[name] = SentenceTransformersScorer(
                folder, dtype=dtype, device=settings.device, attention=settings.attention
            )
    if missing(["experimaestro-ir"]):
        absent.append("xpmir, which is not installed")
    elif settings.device.type != "cpu":
        absent.append("xpmir, which is called on the processor only here")
    elif XPMIR not in settings.skip:
        found[XPMIR] = XpmirScorer(folder, max_length=MAX_LENGTH, max_query_length=MAX_QUERY_LENGTH)
    return {name: each for name, each in found.items() if name not in settings.skip}, absent


def measure(settings: QuerySettings, folder: Path) -> dict[str, float | None]:
    """Time all systems that there are, print tables, and give the ratios."""
    device = settings.device
    texts = None if settings.texts is None else read_texts(settings.texts)
    world = make_world(folder, queries=1, passages=settings.candidates, seed=settings.seed, texts=texts)
    world.scorer(settings.shape).instance().build().save(folder / "model")
    query, rows = world.queries["q0"], np.arange(settings.candidates)
    ours, absent = our_systems(settings, folder / "model", world.tokens.open())
    others, absent_peers = peers(settings, folder / "model")
    scores: dict[str, np.ndarray] = {}

    def turn(name: str, system: Any, candidates: Any) -> Callable[[int], None]:
        def run(number: int) -> None:
            most = WARMUP_CANDIDATES if number < settings.warmup else settings.candidates
            scores[name] = system.scores(query, candidates[:most])

        return run

    turns = {name: turn(name, each, rows) for name, each in ours.items()}
    turns |= {name: turn(name, each, world.passages) for name, each in others.items()}
    spent = in_turns(turns, warmup=settings.warmup, rounds=settings.rounds, device=device)
    reranked, peer = dict(scores), others.get(PEER)
    padded = None if peer is None else peer.computed_tokens
    memory = memory_of_each(turns, 0, device=device)
    first = next(iter(ours.values()))
    lengths = first.sequences(query, rows).lengths
    products = MatrixProducts.of(first.model.scorer.model, head=first.model.scorer.family.head)
    flops = products.flops(tokens=int(lengths.sum()), squared_tokens=int((lengths**2).sum()))
    reference = load(folder / "model", device=str(device))
    unmodified = TokenStoreToScores(
        LoadedModel(reference.scorer.without_packing(), device=str(device)), world.tokens.open(),
        tokens_per_batch=settings.tokens_per_batch,
    )  # fmt: skip
    say(f"re-ranking  {settings.shape}: {settings.candidates} candidates, {lengths.mean():.0f} tokens a pair")
    if padded is not None:
        say(f"padding     sentence-transformers computes {padded / lengths.sum():.2f} times the tokens")
    shares = show_speed(
        settings, spent, memory, flops=[flops] * settings.rounds, pairs=settings.candidates, products=products
    )
    ratios = ratios_of(settings, spent, shares)
    report_scores(reranked, unmodified.scores(query, rows))
    tokenising = time_tokenising(first, first.model.scorer, world, query, rows)
    ratios["batch_from_tokens_vs_from_texts"] = tokenising.texts / tokenising.tokens
    say(
        f"to a batch: {settings.candidates / tokenising.tokens:.0f} pairs/s from the token store, "
        f"{settings.candidates / tokenising.texts:.0f} from texts: "
        f"{tokenising.texts / tokenising.tokens:.0f} times as fast"
    )
    for each in [*absent, *absent_peers, *(f"{name}, which was to be skipped" for name in settings.skip)]:
        say(f"not measured: {each}")
    return ratios


def ratios_of(settings: QuerySettings, spent: dict[str, Spent], shares: dict[str, float]) -> dict[str, float | None]:
    """The ratios of a comparison by their names."""
    clock = settings.clock
    return {
        "rerank_fp32_vs_st": ratio(spent.get(PEER), spent.get(OURS), clock),
        "rerank_bf16_vs_st_fp32": ratio(spent.get(PEER), spent.get(OURS_BF16), clock),
        "rerank_bf16_vs_st_bf16": ratio(spent.get(PEER_BF16), spent.get(OURS_BF16), clock),
        "rerank_int8_vs_st_fp32": ratio(spent.get(PEER), spent.get(OURS_INT8), clock),
        "rerank_fp32_vs_xpmir": ratio(spent.get(XPMIR), spent.get(OURS), clock),
        "rerank_share_of_peak": shares.get(OURS),
        "rerank_bf16_share_of_peak": shares.get(OURS_BF16),
    }


def report_scores(scores: dict[str, np.ndarray], reference: np.ndarray) -> None:
    """Print how far each system's scores are from the unmodified model's in fp32."""
    best = set(np.argsort(-reference, kind="stable")[:TOP].tolist())
    rows = []
    for name, each in scores.items():
        distance = float(np.abs(each - reference).max())
        overlap = len(best.intersection(np.argsort(-each, kind="stable")[:TOP].tolist())) / len(best)
        tau = float(kendalltau(each, reference).statistic)
        rows.append((name, f"{distance:.1e}", f"{distance / reference.std():.1e}", f"{tau:.4f}", f"{overlap:.2f}"))
    show_table(("scores against transformers fp32", "max |d|", "in std", "tau", f"top-{TOP}"), rows)
    say()


def time_tokenising(
    ours: TokenStoreToScores, scorer: TransformerScorer, world: World, query: str, rows: np.ndarray
) -> Tokenising:
    """Medians of several times each, in turns, by the processor's clock."""

    def from_texts() -> None:
        for first in range(0, len(rows), BATCH):
            documents = world.passages[first : first + BATCH]
            scorer.tokenizer(
                [query] * len(documents), documents, padding=True, truncation=True, max_length=MAX_LENGTH,
                return_tensors="pt",
            )  # fmt: skip

    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(TOKENISING_ROUNDS):
        for spent, work in zip(taken, (lambda: ours.batches(query, rows), from_texts), strict=True):
            started = time.process_time()
            work()
            spent.append(time.process_time() - started)
    return Tokenising(statistics.median(taken[0]), statistics.median(taken[1]))


@click.command(help=(__doc__ or "").partition("\n")[0])
@comparison_options(SYSTEMS, rounds=5, round_means="re-rankings")
@click.option("--candidates", default=1000, show_default=True, help="Passages of the query.")
@click.option(
    "--texts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Cut passages out of real texts: BEIR's corpus.jsonl, or a text on each line, behind its last tab.",
)
def main(quick: bool, shape: str, candidates: int, rounds: int, warmup: int, **others: Any) -> None:
    device = opened_device(others.pop("device"))
    begin(others["threads"])
    if quick:
        shape, candidates, rounds, warmup = TINY, 24, 2, 1
    settings = QuerySettings(shape=shape, candidates=candidates, rounds=rounds, warmup=warmup, device=device, **others)
    show_machine(device, settings.threads)
    with tempfile.TemporaryDirectory() as folder:
        ratios = measure(settings, Path(folder))
    show_ratios(ratios)


if __name__ == "__main__":
    main()
