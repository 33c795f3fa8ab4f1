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


class Comparison:
    """Compares jobs by identity; what two inputs differ in is found once."""

    def __init__(self, lookup: Lookup):
        self._lookup = lookup
        self._known: dict[tuple[str, str], tuple[_Found, ...]] = {}

    def changes(self, before: str, after: str) -> tuple[Change, ...]:
        """The fields in which two jobs differ, those of inputs included; empty where one of them is not known."""
        return tuple(each.named for each in self._found(before, after))

    def _found(self, before: str, after: str) -> tuple[_Found, ...]:
        pair = (before, after)
        if pair not in self._known:
            self._known[pair] = ()  # should a job be its own input
            a, b = self._lookup(before), self._lookup(after)
            if a is not None and b is not None:
                self._known[pair] = self._between(a, b)
        return self._known[pair]

    def _between(self, a: Signature, b: Signature) -> tuple[_Found, ...]:
        own = list(_own(a.fields, b.fields))
        replaced = [each.field for each in own if _is_class(each.field, a.fields, b.fields)]
        of_inputs: dict[_Found, None] = {}
        for path in _names(a.inputs, b.inputs):
            before, after = a.inputs.get(path), b.inputs.get(path)
            if before != after and not _below(path, replaced):
                of_inputs.update(dict.fromkeys(self._of_input(path, before, after)))
        fields = {each.field for each in own}
        told = {_Found("", each).told for each in own}
        inputs = [each for each in of_inputs if each.told not in told and FOLLOWS.get(each.named.field) not in fields]
        described = [each.field for each in own if _leaf(each.field) not in CONTENT]
        kept = [
            _Found("", each)
            for each in own
            if _leaf(each.field) not in CONTENT or not (inputs or _beside(each.field, described))
        ]
        return (*kept, *inputs)

    def _of_input(self, path: str, before: str | None, after: str | None) -> list[_Found]:
        """What an input differs in; the input itself where there is another type of job, or none, in its place."""
        a, b = (self._lookup(each) if each is not None else None for each in (before, after))
        if before is None or after is None or a is None or b is None or a.task != b.task:
            return [_Found("", Change(path, a and section(a.task), b and section(b.task)))]
        return [_Found(each.section or section(b.task), each.change) for each in self._found(before, after)]


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
