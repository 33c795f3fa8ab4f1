"""Word pieces learnt by merging the most frequent pair of neighbours, again and again.

Counts and ties are ordered, so that the same text gives the same bytes in every process: the trainer of the
tokenizers library walks over hash maps and gives another vocabulary each time. This module knows no collection.
"""

import heapq
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from xpm_ce import atomic
from xpm_ce.errors import DataError
from xpm_ce.tokens.wordpiece import SPECIAL_TOKENS

logger = logging.getLogger(__name__)

MOST_CHARACTERS = 1000
"""Characters that may enter the vocabulary, the most frequent ones; words with others become [UNK]"""

LEAST_COUNT = 2
"""Occurrences from which on a pair is merged: what occurs once cannot be learnt"""

CONTINUES = "##"
"""Prefix of a piece that does not begin a word"""

Pair = tuple[str, str]


def word_counts(texts: Iterable[str]) -> Counter[str]:
    """How often each lower-cased word occurs, split as BERT splits: at blanks and around punctuation."""
    normalizer, splitter = BertNormalizer(lowercase=True), BertPreTokenizer()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    return counts


def train_vocabulary(counts: Counter[str], *, size: int) -> list[str]:
    """At most `size` entries: special tokens, characters in order, then merged pieces as they were made.

    The most frequent pair is merged first, the alphabetically first one of several. DataError where the
    characters alone do not fit.
    """
    alphabet = _alphabet(counts)
    words = [(_pieces(word), count) for word, count in sorted(counts.items()) if alphabet.issuperset(word)]
    vocabulary = [*SPECIAL_TOKENS, *sorted({piece for pieces, _ in words for piece in pieces})]
    if len(vocabulary) > size:
        raise DataError(
            f"the text has {len(vocabulary) - len(SPECIAL_TOKENS)} different characters at the beginning and "
            f"inside of words, which do not fit into a vocabulary of {size}",
            remedy=f"Give vocab_size more than {len(vocabulary)}.",
        )
    for piece in _merged(words, most=size - len(vocabulary)):
        vocabulary.append(piece)
    logger.info("%d words give a vocabulary of %d entries", len(counts), len(vocabulary))
    return vocabulary


def save_tokenizer(folder: Path, vocabulary: list[str]) -> None:
    """Write the tokenizer as a folder that `AutoTokenizer.from_pretrained` loads."""
    from transformers import BertTokenizer

    entries = {piece: entry for entry, piece in enumerate(vocabulary)}
    with atomic.writing_folder(folder) as temporary:
        BertTokenizer(vocab=entries, do_lower_case=True).save_pretrained(temporary)


def _alphabet(counts: Counter[str]) -> frozenset[str]:
    characters: Counter[str] = Counter()
    for word, count in counts.items():
        for character in word:
            characters[character] += count
    ordered = sorted(characters, key=lambda character: (-characters[character], character))
    return frozenset(ordered[:MOST_CHARACTERS])


def _pieces(word: str) -> list[str]:
    return [word[0], *(CONTINUES + character for character in word[1:])]


def _joined(pair: Pair) -> str:
    return pair[0] + pair[1].removeprefix(CONTINUES)


def _merged(words: list[tuple[list[str], int]], *, most: int) -> list[str]:
    """New pieces in the order in which they are made; `words` are (pieces, count) and change in place.

    The heap may hold a pair with counts of the past: an entry counts only if it still is the pair's count.
    """
    counts: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[int]] = defaultdict(set)
    for number, (pieces, count) in enumerate(words):
        for pair in pairwise(pieces):
            counts[pair] += count
            where[pair].add(number)
    heap = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    made: dict[str, None] = {}
    while heap and len(made) < most:
        negative, pair = heapq.heappop(heap)
        if counts[pair] != -negative:
            continue
        if -negative < LEAST_COUNT:
            break
        made[_joined(pair)] = None
        changed: set[Pair] = set()
        for number in where.pop(pair):
            pieces, count = words[number]
            joined = _join(pieces, pair)
            before, after = (
                Counter(pairwise(pieces)),
                Counter(pairwise(joined)),
            )
            for each in before.keys() | after.keys():
                if before[each] != after[each]:
                    counts[each] += (after[each] - before[each]) * count
                    changed.add(each)
            for each in after:
                where[each].add(number)
            words[number] = (joined, count)
        counts.pop(pair, None)
        for each in changed - {pair}:
            if counts[each] > 0:
                heapq.heappush(heap, (-counts[each], each))
    return list(made)


def _join(pieces: list[str], pair: Pair) -> list[str]:
    """`pieces` with every occurrence of `pair` joined, from left to right."""
    joined: list[str] = []
    place = 0
    while place < len(pieces):
        if tuple(pieces[place : place + 2]) == pair:
            joined.append(_joined(pair))
            place += 2
        else:
            joined.append(pieces[place])
            place += 1
    return joined
