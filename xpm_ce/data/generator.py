"""A small world of concepts, in which the best ranking is known and word overlap is not enough to find it.

Concepts have words in two dialects: queries mostly use one, documents the other. Some words belong to two concepts.
A document mentions three concepts several times; it is relevant for a query about concepts A and B by how often it
mentions them, A counting more. So BM25 finds something, is misled by homonyms, and cannot see counts that are spread
over synonyms. Every number is drawn from whole numbers and written with fixed decimals, so that the files are the
same bytes on every machine. This module does not know files.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from xpm_ce.data.draws import Draws
from xpm_ce.data.world import MENTIONS, World
from xpm_ce.errors import ConfigurationError

DIALECT_PERCENT = 95
"""Mentions in a text's own dialect"""
SAME_TOPIC_PERCENT = 40
"""Further concepts of a document that are drawn from the topic of its first"""
SATURATION = np.array([0, 3, 8, 14, 20])
"""Worth of 0, 1, 2, 3, 4 and more mentions, in twentieths"""
MAIN, SIDE = 325, 175
"""Worth of a twentieth for the first and the second concept of a query; together 20 twentieths are ONE"""
ONE = 10_000
"""The unit of relevance and of teacher scores: they have four decimals"""
GRADES = (4_000, 6_500, 8_500)
"""Relevance from which a document has grade 1, 2, 3"""
POSITIVE_GRADE = 2
"""Grade of the positives of training triples"""
ONSETS = ("b", "br", "d", "dr", "f", "g", "gl", "k", "kl", "l", "m", "n", "p", "pl", "r", "s", "t", "tr", "v", "z")
VOWELS, LAST_VOWELS = ("a", "e", "i", "o", "u"), ("a", "o", "u")
CODAS, LAST_CODAS = ("", "", "", "l", "m", "n", "r"), ("", "", "k", "n", "p")
"""Ends of syllables; those of a word's last syllable are no suffix for Porter's stemmer, so that no two words merge"""
ATTEMPTS = 1_000
"""Draws for a text or word that must be new, before its world is called too small"""


class Vocabulary(NamedTuple):
    """The words of a world."""

    query_words: list[list[str]]
    """By concept: two words of the query dialect"""
    document_words: list[list[str]]
    """By concept: two words of the document dialect"""
    background: list[str]
    """Words without a concept, the most frequent first"""


class GeneratedQuery(NamedTuple):
    """A query about two concepts."""

    id: str
    text: str
    main: int
    side: int


class GeneratedDocuments(NamedTuple):
    """The documents of a world."""

    texts: list[str]
    """Text by row; its id is `document_id(row)`"""
    mentions: np.ndarray
    """How often each concept is mentioned, by any of its words, int64 `[documents, concepts]`"""


def document_id(row: int) -> str:
    """Id of a document."""
    return f"d{row}"


def vocabulary(world: World) -> Vocabulary:
    """Draw the words: four per concept, where in each of the four places some pairs of concepts share their word."""
    draws = Draws(world.seed, "words")
    words = _words(draws, 4 * world.concepts + world.background_words)
    places = []
    for _ in range(4):
        place = [next(words) for _ in range(world.concepts)]
        for first, second in _pairs_across_topics(world, draws):
            place[second] = place[first]
        places.append(place)
    by_concept = list(zip(*places, strict=True))
    return Vocabulary([list(c[:2]) for c in by_concept], [list(c[2:]) for c in by_concept], list(words))


def draw_documents(world: World, words: Vocabulary) -> GeneratedDocuments:
    """Draw the documents: each is a shuffled bag of mentions and background words."""
    draws = Draws(world.seed, "documents")
    background = _Background(words.background)
    texts, mentions = [], np.zeros((world.documents, world.concepts), np.int64)
    for row in range(world.documents):
        text: list[str] = []
        for concept, count in zip(_three_concepts(world, draws), draws.one_of(MENTIONS), strict=True):
            mentions[row, concept] = count
            own, other = words.document_words[concept], words.query_words[concept]
            text += [draws.one_of(own if draws.happens(DIALECT_PERCENT) else other) for _ in range(count)]
        text += [background.draw(draws) for _ in range(world.document_words - len(text))]
        texts.append(" ".join(draws.shuffled(text)))
    return GeneratedDocuments(texts, mentions)


def draw_queries(world: World, words: Vocabulary) -> dict[str, list[GeneratedQuery]]:
    """Draw the queries of each split; no two splits share a pair of concepts, no two queries a text.

    A query names its main concept twice, then its side concept, then a background word: in this order, so that a tiny
    model trained from scratch within seconds can tell the two concepts apart.
    """
    draws = Draws(world.seed, "queries")
    pairs = iter(draws.shuffled(list(itertools.combinations(range(world.concepts), 2))))
    background, texts, number = _Background(words.background), set[str](), itertools.count()
    splits = {}
    for split, size in world.queries.items():
        both_orders = [order for a, b in itertools.islice(pairs, -(-size // 2)) for order in ((a, b), (b, a))]
        queries = []
        for main, side in draws.shuffled(both_orders)[:size]:
            for _ in range(ATTEMPTS):
                text = [_query_word(draws, words, concept) for concept in (main, main, side)]
                joined = " ".join([*text, background.draw(draws)])
                if joined not in texts:
                    break
            else:
                raise ConfigurationError(
                    "the generated collection has too few words for so many queries", remedy="Raise background_words."
                )
            texts.add(joined)
            queries.append(GeneratedQuery(f"q{next(number)}", joined, main, side))
        splits[split] = queries
    return splits


def relevance(documents: GeneratedDocuments, query: GeneratedQuery) -> np.ndarray:
    """The true relevance of every document, in units of 1 / ONE, int64 `[documents]`."""
    worth = SATURATION[np.minimum(documents.mentions[:, [query.main, query.side]], len(SATURATION) - 1)]
    return worth @ np.array([MAIN, SIDE])


def grades(relevance: np.ndarray) -> np.ndarray:
    """Grade of each document, 0 to 3, int64 `[documents]`."""
    return np.searchsorted(np.array(GRADES), relevance, side="right")


def teacher_scores(world: World, documents: GeneratedDocuments, query: GeneratedQuery) -> dict[int, int]:
    """What a noisy teacher says of a query's documents, by row, in units of 1 / ONE, best first.

    It scores every document that shares a concept with the query, and `teacher_others` of the rest.
    """
    draws = Draws(world.seed, f"teacher of {query.id}")
    deviation = round(world.teacher_noise * ONE)
    scores = relevance(documents, query) + draws.bell(len(documents.texts)) * deviation // 65536
    shares = documents.mentions[:, [query.main, query.side]].any(axis=1)
    others = draws.shuffled(np.flatnonzero(~shares).tolist())[: world.teacher_others]
    rows = [*np.flatnonzero(shares).tolist(), *others]
    return {row: int(scores[row]) for row in sorted(rows, key=lambda row: (-scores[row], row))}


def triples(
    world: World, documents: GeneratedDocuments, queries: list[GeneratedQuery]
) -> list[tuple[GeneratedQuery, int, int]]:
    """Draw (query, positive row, negative row), shuffled; half of the negatives share a concept with the query.

    A query without a positive gives none.
    """
    draws = Draws(world.seed, "triples")
    drawn = []
    for query in queries:
        grade = grades(relevance(documents, query))
        shares = documents.mentions[:, [query.main, query.side]].any(axis=1)
        positives = np.flatnonzero(grade >= POSITIVE_GRADE).tolist()
        related, others = (np.flatnonzero((grade == 0) & each).tolist() for each in (shares, ~shares))
        for number in range(world.triples_per_query if positives and (related or others) else 0):
            negatives = (related or others) if number % 2 == 0 else (others or related)
            drawn.append((query, draws.one_of(positives), draws.one_of(negatives)))
    return draws.shuffled(drawn)


class _Background:
    """Background words, drawn with a frequency proportional to rank^-0.7."""

    def __init__(self, words: list[str]):
        self._words = words
        weights = [round(1e6 * rank**-0.7) for rank in range(1, len(words) + 1)]
        self._bounds = np.cumsum(weights)

    def draw(self, draws: Draws) -> str:
        return self._words[int(np.searchsorted(self._bounds, draws.below(int(self._bounds[-1])), side="right"))]


def _words(draws: Draws, count: int) -> Iterator[str]:
    """`count` distinct words of two or three syllables."""
    drawn = set[str]()
    for _ in range(count):
        for _ in range(ATTEMPTS):
            first = [draws.one_of(part) for _ in range(1 + draws.below(2)) for part in (ONSETS, VOWELS, CODAS)]
            word = "".join([*first, *(draws.one_of(part) for part in (ONSETS, LAST_VOWELS, LAST_CODAS))])
            if word not in drawn:
                break
        else:
            raise ConfigurationError(
                "the generated collection needs more words than there are", remedy="Lower background_words."
            )
        drawn.add(word)
        yield word


def _pairs_across_topics(world: World, draws: Draws) -> list[tuple[int, int]]:
    """`homonym_pairs` disjoint pairs of concepts of different topics."""
    left, pairs = draws.shuffled(range(world.concepts)), []
    for _ in range(world.homonym_pairs):
        first = left.pop()
        second = next((each for each in left if world.topic(each) != world.topic(first)), None)
        if second is None:
            raise ConfigurationError(
                "the generated collection has too few concepts of different topics for its homonyms",
                remedy="Lower homonym_pairs, or raise topics.",
            )
        left.remove(second)
        pairs.append((first, second))
    return pairs


def _three_concepts(world: World, draws: Draws) -> list[int]:
    """Three distinct concepts: the first uniformly, each further one often from its topic."""
    chosen = [draws.below(world.concepts)]
    while len(chosen) < 3:
        free = [concept for concept in range(world.concepts) if concept not in chosen]
        related = [concept for concept in free if world.topic(concept) == world.topic(chosen[0])]
        chosen.append(draws.one_of(related if related and draws.happens(SAME_TOPIC_PERCENT) else free))
    return chosen


def _query_word(draws: Draws, words: Vocabulary, concept: int) -> str:
    own, other = words.query_words[concept], words.document_words[concept]
    return draws.one_of(own if draws.happens(DIALECT_PERCENT) else other)
