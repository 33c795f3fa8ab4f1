"""The computation of `Validation`: re-rank each set with the model as it is, and measure.

This module does not know the training, nor what is done with the means.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from xpm_ce.data.runs import Ranking, Rankings, cut
from xpm_ce.engine.scoring import score
from xpm_ce.errors import DataError
from xpm_ce.learn.validation import Validation, ValidationSet
from xpm_ce.measures.evaluate import per_query
from xpm_ce.scorers.transformer import TransformerScorer
from xpm_ce.tokens.pairs import PairEncoder
from xpm_ce.tokens.sequences import Ragged, Sequences

QUERIES_AT_ONCE = 256
"""Queries whose pairs are in memory together"""

Summed = Callable[[np.ndarray], np.ndarray]
"""Adds up an array over the processes of a training"""


class SetMean(NamedTuple):
    """A measure's mean over the queries of a set."""

    name: str
    value: float


class Validator:
    """Re-ranks the sets of a validation; first stages, judgements and tokens of queries are read once.

    Each process of a training scores a part: `rank` of `world`, put together by `summed`.
    """

    def __init__(
        self,
        validation: Validation,
        encoder: PairEncoder,
        *,
        tokens_per_batch: int,
        rank: int = 0,
        world: int = 1,
        summed: Summed = lambda array: array,
    ):
        self.measure, self._tokens_per_batch = validation.measure, tokens_per_batch
        self._rank, self._world, self._summed = rank, world, summed
        self._sets = [_OpenedSet(each, encoder, depth=validation.depth) for each in validation.sets]

    def means(self, scorer: TransformerScorer) -> list[SetMean]:
        """The measure's mean over the queries of each set; the scorer is in training mode before and after.

        DataError where a score is not finite, naming the set and the query.
        """
        scorer.eval()
        try:
            return [SetMean(each.name, self._mean(each, scorer)) for each in self._sets]
        finally:
            scorer.train()

    def _mean(self, validated: "_OpenedSet", scorer: TransformerScorer) -> float:
        scores = np.zeros(validated.documents, np.float32)
        for shard, (places, sequences) in enumerate(validated.shards()):
            if shard % self._world == self._rank:
                scores[places] = score(sequences, scorer, tokens_per_batch=self._tokens_per_batch).scores
        rankings = validated.ranked(self._summed(scores))
        (mean,) = per_query(rankings, validated.qrels, [self.measure]).means().values()
        return mean


def mean_over_sets(means: list[SetMean]) -> float:
    """The mean over sets; their order does not matter, not even in the last digit."""
    return math.fsum(each.value for each in means) / len(means)


class _OpenedSet:
    """A validation set in memory, its documents apart."""

    def __init__(self, source: ValidationSet, encoder: PairEncoder, *, depth: int):
        self.name, self.qrels = source.name, source.qrels.read()
        self._run = cut(source.run.read(), depth)
        self._encoder, self._tokens = encoder, source.tokens.open()
        texts, self._query_ids = source.queries.read(), list(self._run)
        unknown = [query_id for query_id in self._query_ids if query_id not in texts]
        if unknown:
            raise DataError(
                f"{len(unknown)} queries of validation set {self.name} have no text, the first is {unknown[0]}",
                where=str(source.run.path),
                remedy="Give the run of the same split of the same collection.",
            )
        self._queries = encoder.tokens([texts[query_id] for query_id in self._query_ids])
        sizes = [len(self._run[query_id].documents) for query_id in self._query_ids]
        self._offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        documents = [document for query_id in self._query_ids for document in self._run[query_id].documents]
        self._rows = source.store.open().rows(documents)

    @property
    def documents(self) -> int:
        """Pairs that are scored."""
        return len(self._rows)

    def shards(self) -> Iterator[tuple[slice, Sequences]]:
        """Pairs of some queries at a time, with their places among all pairs."""
        for first in range(0, len(self._query_ids), QUERIES_AT_ONCE):
            last = min(first + QUERIES_AT_ONCE, len(self._query_ids))
            queries = Ragged.of(self._queries[first:last])
            sizes = np.diff(self._offsets[first : last + 1])
            places = slice(int(self._offsets[first]), int(self._offsets[last]))
            documents = self._tokens.rows(self._rows[places])
            yield places, self._encoder.join(queries.take(np.repeat(np.arange(last - first), sizes)), documents)

    def ranked(self, scores: np.ndarray) -> Rankings:
        """Each query's documents by score, ties by the first stage's rank; `scores` fp32 `[pairs]`."""
        rankings: Rankings = {}
        for query, query_id in enumerate(self._query_ids):
            its = scores[self._offsets[query] : self._offsets[query + 1]]
            if not np.isfinite(its).all():
                raise DataError(
                    f"a score of query {query_id} of validation set {self.name} is not finite",
                    remedy="The model diverged: lower its learning_rate, or look at its curve.csv.",
                )
            order = np.argsort(-its, kind="stable")
            documents = self._run[query_id].documents
            rankings[query_id] = Ranking([documents[rank] for rank in order], its[order])
        return rankings
