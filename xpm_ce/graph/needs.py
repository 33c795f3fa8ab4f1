"""What a plan needs from elsewhere: data sets, published training files, weights; each once.

Nothing is downloaded here, and no library of data is loaded. This module does not know how anything is obtained.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from xpm_ce.data.need import Need, NeededHere, Standing
from xpm_ce.data.table import collection_class
from xpm_ce.graph.naming import configurations_below
from xpm_ce.graph.planner import PlannedJob
from xpm_ce.graph.states import State
from xpm_ce.protocols.judged_sets import ROWS


def needs_of_plan(jobs: Iterable[PlannedJob]) -> list[NeededHere]:
    """What the jobs read that no job makes, in the order of the plan; those that will be reused read nothing."""
    seen: set[int] = set()

    def walk(config: Any) -> Iterator[Any]:
        for below in configurations_below(config):
            if below.__xpm__.task is None and id(below) not in seen:
                seen.add(id(below))
                yield below
                yield from walk(below)

    waiting = [job.config for job in jobs if job.state is not State.REUSE]
    return _each_once(below for config in waiting for below in (config, *walk(config)))


def needs_of_registry() -> list[NeededHere]:
    """What all registered protocols read, by their ids in ir_datasets."""

    def parts() -> Iterator[Any]:
        for row in ROWS:
            place = row.ir_datasets
            of_collection = collection_class("ir_datasets").C(id=place.collection).prepare(None)  # type: ignore[arg-type]
            yield of_collection.documents
            yield of_collection.queries(place.split)
            yield of_collection.qrels(place.split)

    return _each_once(parts())


def absent(needed: Iterable[NeededHere]) -> list[Need]:
    """Those that are not on this disk."""
    return [each.need for each in needed if each.need.standing is Standing.ABSENT]


def _each_once(configs: Iterable[Any]) -> list[NeededHere]:
    found: dict[tuple[str, str, str], NeededHere] = {}
    for config in configs:
        need = getattr(config, "need", None)
        if isinstance(need, Need):
            found.setdefault((need.name, need.kind, need.expected), NeededHere(need, config))
    return list(found.values())
