"""The fields in which two jobs differ, named as a user wrote them; what follows from another difference is left out.

This module does not know where jobs are found, nor which are worth comparing.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from xpm_ce.graph.signature import Signature
from xpm_ce.graph.states import Change

SECTIONS = {
    "xpm_ce.data.generate": "collection",
    "xpm_ce.data.store_documents": "store",
    "xpm_ce.data.mine_training_set": "training_set",
    "xpm_ce.data.run_training_set": "training_set",
    "xpm_ce.data.triple_training_set": "training_set",
    "xpm_ce.firststage.bm25_index": "index",
    "xpm_ce.firststage.splade_index": "index",
    "xpm_ce.firststage.retrieve": "first_stage",
    "xpm_ce.firststage.splade_retrieve": "first_stage",
    "xpm_ce.tokens.train_wordpiece": "tokenizer",
    "xpm_ce.tokens.tokenise_documents": "tokens",
}
"""The section of a study that describes a type of job, where it is not the last word of the type"""
CONTENT = frozenset({"sha256", "revision"})
"""Fields that say again, as a checksum, what is described beside them"""
FOLLOWS = {"rerank.depth": "depths"}
"""Fields of an input that follow from a field of the job, where that differs"""

Lookup = Callable[[str], Signature | None]


def section(task: str) -> str:
    """What a type of job is called in a study."""
    return SECTIONS.get(task, task.rpartition(".")[2])


class _Found(NamedTuple):
    """A change, and the section of the job in which it was found; the job itself where that is empty."""

    section: str
    change: Change

    @property
    def named(self) -> Change:
        """The change with its path as a user wrote it."""
        field = self.change.field
        if not self.section or field == self.section or field.startswith(f"{self.section}."):
            return self.change
        return dataclasses.replace(self.change, field=f"{self.section}.{field}")

    @property
    def told(self) -> tuple[str, Any, Any]:
        """What makes it the same as another change elsewhere."""
        return (_leaf(self.change.field), self.change.before, self.change.after)


class _Compared(NamedTuple):
    """What two jobs differ in, and what follows from that, here or in what they take in."""

    found: tuple[_Found, ...] = ()
    follow: frozenset[_Found] = frozenset()


class Comparison:
    """Compares jobs by identity; what two inputs differ in is found once."""

    def __init__(self, lookup: Lookup):
        self._lookup = lookup
        self._known: dict[tuple[str, str], _Compared] = {}

    def changes(self, before: str, after: str) -> tuple[Change, ...]:
        """The fields in which two jobs differ, those of inputs included; empty where one of them is not known."""
        return tuple(each.named for each in self._compared(before, after).found)

    def _compared(self, before: str, after: str) -> _Compared:
        pair = (before, after)
        if pair not in self._known:
            self._known[pair] = _Compared()  # should a job be its own input
            a, b = self._lookup(before), self._lookup(after)
            if a is not None and b is not None:
                self._known[pair] = self._between(a, b)
        return self._known[pair]

    def _between(self, a: Signature, b: Signature) -> _Compared:
        own = [_Found("", each) for each in _own(a.fields, b.fields)]
        replaced = [each.change.field for each in own if _is_class(each.change.field, a.fields, b.fields)]
        of_inputs: dict[_Found, None] = {}
        follow: set[_Found] = set()
        for path in _names(a.inputs, b.inputs):
            before, after = a.inputs.get(path), b.inputs.get(path)
            if before != after and not _below(path, replaced):
                compared = self._of_input(path, before, after)
                of_inputs.update(dict.fromkeys(compared.found))
                follow |= compared.follow
        fields = {each.change.field for each in own}
        told = {each.told for each in own}
        follow |= {each for each in of_inputs if each.told in told or FOLLOWS.get(each.named.field) in fields}
        inputs = [each for each in of_inputs if each not in follow]
        described = [each.change.field for each in own if _leaf(each.change.field) not in CONTENT]
        kept = [
            each
            for each in own
            if _leaf(each.change.field) not in CONTENT or not (inputs or _beside(each.change.field, described))
        ]
        return _Compared((*kept, *inputs), frozenset(follow))

    def _of_input(self, path: str, before: str | None, after: str | None) -> _Compared:
        """What an input differs in; the input itself where there is another type of job, or none, in its place."""
        a, b = (self._lookup(each) if each is not None else None for each in (before, after))
        if before is None or after is None or a is None or b is None or a.task != b.task:
            return _Compared((_Found("", Change(path, a and section(a.task), b and section(b.task))),))
        compared = self._compared(before, after)
        found = tuple(_Found(each.section or section(b.task), each.change) for each in compared.found)
        return _Compared(found, compared.follow)


def _own(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Change]:
    """Fields that differ, those left out that are below a configuration of another class, or say it again."""
    differing = {path: (a.get(path), b.get(path)) for path in _names(a, b) if a.get(path) != b.get(path)}
    replaced = [path for path in differing if _is_class(path, a, b)]
    for path, (before, after) in differing.items():
        if _below(path, replaced):
            continue
        if path.startswith("qrels.") and differing.get(path.replace("qrels.", "queries.", 1)) == (before, after):
            continue
        yield Change(path, before, after)


def _names(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Names of either, in the order of the second."""
    return [*b, *(name for name in a if name not in b)]


def _is_class(path: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether a configuration stands at a path, whose own value is its class."""
    return any(name.startswith(f"{path}.") for fields in (a, b) for name in fields)


def _below(path: str, prefixes: list[str]) -> bool:
    return any(path.startswith(f"{each}.") for each in prefixes)


def _leaf(field: str) -> str:
    return field.rpartition(".")[2]


def _beside(field: str, described: list[str]) -> bool:
    """Whether one of some fields is in the configuration that holds a field, or below it."""
    holder = field.rpartition(".")[0]
    return any(not holder or each.startswith(f"{holder}.") for each in described)
