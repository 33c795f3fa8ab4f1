"""Fields in which two learners differ: what was configured, and what their ledgers say was really seen.

A field that follows from another one is grouped with it. This module does not know which learners are compared, nor
whether a difference matters.
"""

import dataclasses
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from xpm_ce.parameters import Given

FOLLOWS = {
    "tokens.tokenizer": ("scorer",),
    "training_set.supervision": ("training_set.teacher",),
    "ledger.steps": ("steps",),
    "ledger.queries": ("ledger.queries_per_step", "steps", "ledger.steps"),
    "ledger.epochs": ("ledger.queries_per_step", "steps", "ledger.steps", "training_set"),
    "ledger.documents": ("ledger.documents_per_step", "steps", "ledger.steps"),
    "ledger.tokens": ("ledger.documents_per_step", "steps", "ledger.steps", "scorer.max_length"),
    "ledger.squared_tokens": ("ledger.tokens", "ledger.documents_per_step", "steps", "scorer.max_length"),
    "ledger.rectangle_tokens": ("ledger.tokens",),
    "ledger.padded_tokens": ("ledger.tokens",),
    "ledger.recomputed_tokens": ("ledger.tokens",),
    "ledger.padding_avoided": ("ledger.tokens", "ledger.rectangle_tokens"),
    "ledger.training_queries": ("training_set",),
    "ledger.skipped_queries": ("sampler", "training_set"),
    "ledger.pairs_truncated": ("ledger.truncation_rate", "ledger.documents"),
    "ledger.queries_truncated": ("ledger.query_truncation_rate", "ledger.documents"),
    "ledger.documents_truncated": ("ledger.document_truncation_rate", "ledger.documents"),
    "ledger.max_length": ("scorer.max_length",),
    "ledger.max_query_length": ("scorer.max_query_length",),
    "ledger.parameters": ("scorer",),
    "ledger.initial_head": ("scorer",),
    "ledger.new_weights": ("scorer",),
    "ledger.teacher": ("loss", "training_set"),
    "ledger.precision": ("precision",),
    "ledger.precision_used": ("precision",),
    "ledger.device": ("device",),
    "ledger.tokens_per_batch": ("tokens_per_batch",),
    "ledger.environment.threads": ("ledger.threads",),
}
"""Fields that follow, they and what is below them, from another one where that differs: the first such is the cause"""

NOT_COMPARED = ("schema", "negatives", "seeds", "executions", "checkpoint")
"""Fields of a ledger that say again what is configured, or what differs by what a learner is"""

ABSENT = "–"
SHOWN_CHARACTERS = 34
"""Width of a value in the text; the JSON form has it whole"""


@dataclasses.dataclass(frozen=True)
class Difference:
    """A field that differs, with those that follow from it; a field that one side lacks is None there."""

    field: str
    a: Any
    b: Any
    follows: tuple["Difference", ...] = ()

    @property
    def relative(self) -> float | None:
        """How much more B has than A, as a share of A; None where they are not numbers, or A is 0."""
        if any(isinstance(each, bool) or not isinstance(each, int | float) for each in (self.a, self.b)) or not self.a:
            return None
        return (self.b - self.a) / abs(self.a)

    def under(self, prefix: str) -> bool:
        """Whether it is a field, or below it."""
        return self.field == prefix or self.field.startswith(f"{prefix}.")

    def lines(self, indent: str = "  ") -> list[str]:
        """As text: name, both values, how much more."""
        more = "" if self.relative is None else f"{100 * self.relative:+.3g} %"
        values = " ".join(f"{_shown(each):<{SHOWN_CHARACTERS}}" for each in (self.a, self.b))
        own = f"{indent + self.field:<40} {values} {more}"
        return [own.rstrip(), *(line for each in self.follows for line in each.lines(indent + "  "))]

    def as_json(self) -> dict[str, Any]:
        return {
            "field": self.field, "a": self.a, "b": self.b, "relative": self.relative,
            "follows": [each.as_json() for each in self.follows],
        }  # fmt: skip


def configured_differences(a: Given, b: Given) -> list[Difference]:
    """Fields in which two configurations differ, by dotted path, the shortest for what stands at several places.

    Where two configurations are of different classes, the values that only one of them has, or that differ, follow
    from that.
    """
    compared: set[tuple[str, str]] = set()
    found: list[Difference] = []
    waiting: deque[tuple[str, Any, Any]] = deque([("", a, b)])
    while waiting:
        path, left, right = waiting.popleft()
        if isinstance(left, Given) and isinstance(right, Given):
            if (left.identity, right.identity) in compared or left.identity == right.identity:
                continue
            compared.add((left.identity, right.identity))
        ours, theirs = _parts(left), _parts(right)
        if ours is None or theirs is None:
            if left != right:
                found.append(Difference(path, _value(left), _value(right)))
            continue
        prefix = f"{path}." if path else ""
        below = [(f"{prefix}{name}", ours.get(name), theirs.get(name)) for name in _names(ours, theirs)]
        if isinstance(left, Given) and isinstance(right, Given) and left.type != right.type:
            values = [each for each in below if _parts(each[1]) is None or _parts(each[2]) is None]
            follows = [Difference(name, _value(one), _value(other)) for name, one, other in values if one != other]
            follows = [each for each in follows if each.field != f"{prefix}version"]
            found.append(Difference(path or "type", left.type, right.type, tuple(follows)))
            below = [each for each in below if each not in values]
        waiting.extend(below)
    return found


def ledger_differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    """Fields in which two ledgers differ, of different schemas those that both have; a teacher is told by its class."""
    left, right = dict(_flat(a)), dict(_flat(b))
    names = _names(left, right)
    if a["schema"] != b["schema"]:
        names = [name for name in left if name in right]
    return [
        Difference(f"ledger.{name}", left.get(name), right.get(name))
        for name in names
        if left.get(name) != right.get(name)
    ]


def group(differences: list[Difference]) -> list[Difference]:
    """The same, each that follows from another one with its cause."""
    causes: dict[str, str] = {}
    for each in differences:
        for cause in next((causes for field, causes in FOLLOWS.items() if each.under(field)), ()):
            above = [other.field for other in differences if other is not each and other.under(cause)]
            if above:
                causes[each.field] = above[0]
                break

    def with_followers(each: Difference) -> Difference:
        followers = [with_followers(other) for other in differences if causes.get(other.field) == each.field]
        return dataclasses.replace(each, follows=(*each.follows, *followers))

    return [with_followers(each) for each in differences if each.field not in causes]


def _names(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[str]:
    """Names of either, in their order."""
    return [*left, *(name for name in right if name not in left)]


def _parts(value: Any) -> Mapping[str, Any] | None:
    """What can be looked into: the fields of a configuration, the places of a list of configurations."""
    if isinstance(value, Given):
        return value.fields
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list) and any(isinstance(each, Given) for each in value):
        return {str(place): each for place, each in enumerate(value)}
    return None


def _value(value: Any) -> Any:
    """As plain data: a configuration is told by its class."""
    if isinstance(value, Given):
        return value.type
    return [_value(each) for each in value] if isinstance(value, list) else value


def _flat(ledger: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in ledger.items():
        if prefix + name in NOT_COMPARED:
            continue
        if name == "teacher":
            yield name, value and value["type"]
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _shown(value: Any) -> str:
    text = ABSENT if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
