"""Training queries that are also test queries, up to writing.

This module does not know which data sets are compared, nor whether an overlap is intended.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

_SEPARATORS = re.compile(r"[\W_]+")


class Overlap(NamedTuple):
    """What two sets of queries have in common."""

    train_queries: int
    """Number of training queries"""
    test_queries: int
    """Number of test queries"""
    shared_train_queries: int
    """Training queries whose text is that of a test query"""
    pairs: tuple[tuple[str, str], ...]
    """The first of them, with a test query each: (training id, test id)"""


def normalised(text: str) -> str:
    """The text without what makes no other question of it: compatibility forms, case, blanks and punctuation."""
    return _SEPARATORS.sub(" ", unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())).strip()


def overlap(train: Mapping[str, str], test: Mapping[str, str], *, shown: int = 10) -> Overlap:
    """Count the training queries whose normalised text is a test query's; at most `shown` pairs are named.

    Queries without a letter or digit are never counted.
    """
    tests: dict[str, str] = {}
    for test_id, text in test.items():
        tests.setdefault(normalised(text), test_id)
    tests.pop("", None)
    pairs = [(train_id, tests[key]) for train_id, text in train.items() if (key := normalised(text)) in tests]
    return Overlap(len(train), len(test), len(pairs), tuple(pairs[:shown]))
