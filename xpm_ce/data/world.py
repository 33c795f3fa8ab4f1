"""The sizes of a generated collection, and which of them go together.

This module does not know how a collection is drawn (see `generator.py`).
"""

import dataclasses

from xpm_ce.errors import ConfigurationError

SPLITS = ("train", "validation", "test")
MENTIONS = ((4, 3, 1), (4, 2, 2), (5, 2, 1), (3, 3, 2), (4, 1, 1))
"""How often a document mentions its three concepts"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    """The sizes of a generated collection; `Generated` documents each."""

    documents: int
    train_queries: int
    validation_queries: int
    test_queries: int
    concepts: int
    topics: int
    homonym_pairs: int
    background_words: int
    document_words: int
    teacher_noise: float
    teacher_others: int
    triples_per_query: int
    seed: int

    def __post_init__(self) -> None:
        def require(condition: bool, what: str, remedy: str) -> None:
            if not condition:
                raise ConfigurationError(f"the generated collection cannot be made: {what}", remedy=remedy)

        sizes = {name: value for name, value in dataclasses.asdict(self).items() if name != "seed"}
        negative = [name for name, value in sizes.items() if value < 0]
        require(not negative, f"{', '.join(negative)} below 0", "Give sizes of 0 or more.")
        queries, wanted = sum(self.queries.values()), sum(-(-size // 2) for size in self.queries.values())
        pairs = self.concepts * (self.concepts - 1) // 2
        require(
            wanted <= pairs,
            f"{queries} queries need {wanted} pairs of concepts, but {self.concepts} concepts have {pairs}",
            "Ask for fewer queries, or raise concepts: splits share no pair, and a pair serves two queries.",
        )
        require(self.documents > 0, "it has no document", "Give documents: 900.")
        require(self.concepts >= 3, "documents mention three concepts", "Give 3 concepts or more.")
        require(2 <= self.topics <= self.concepts, "homonyms need topics that differ", "Give 2 to `concepts` topics.")
        require(
            3 * self.homonym_pairs <= self.concepts,
            f"{self.homonym_pairs} homonym pairs for {self.concepts} concepts",
            "Give at most a third of the concepts.",
        )
        require(self.background_words > 0, "it has no background word", "Give background_words: 40.")
        mentions = max(map(sum, MENTIONS))
        require(
            self.document_words >= mentions,
            f"documents of {self.document_words} words do not hold {mentions} mentions",
            f"Give document_words: {mentions} or more.",
        )

    @property
    def queries(self) -> dict[str, int]:
        """Number of queries by split."""
        return dict(zip(SPLITS, (self.train_queries, self.validation_queries, self.test_queries), strict=True))

    def topic(self, concept: int) -> int:
        """Topic of a concept."""
        return concept % self.topics
