"""Protocols by name: `dl19@bm25-1000` is a judged set, a first stage and how many of its documents are re-ranked.

Everything that a number depends on besides the system is here or in the rows it is made of. This module does not know
jobs, files, nor where results stand in tables.
"""

import dataclasses
from collections.abc import Iterable, Iterator

from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.protocols.first_stages import FIRST_STAGES, FirstStage
from xpm_ce.protocols.judged_sets import JUDGED_SETS, ROWS, TIES, JudgedSet

DEPTHS = (100, 1000)
"""Documents per query that protocols re-rank"""


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What a number means: its queries, judgements, first stage, depth, policies and measures."""

    judged: JudgedSet
    first_stage: FirstStage
    depth: int
    """Documents per query that are re-ranked"""

    @property
    def id(self) -> str:
        """Its name in YAML files and tables."""
        return f"{self.judged.name}@{self.first_stage.name}-{self.depth}"

    @property
    def retrieval(self) -> str:
        """The part of the id that says who is re-ranked: `bm25-1000`."""
        return f"{self.first_stage.name}-{self.depth}"

    @property
    def ties(self) -> str:
        """How documents of equal score stand."""
        return TIES


def _entering(average: str) -> tuple[str, ...]:
    return tuple(row.name for row in ROWS if average in row.averages)


AVERAGES = {average: _entering(average) for average in dict.fromkeys(name for row in ROWS for name in row.averages)}
"""The judged sets of each average, all of which it needs"""

GROUPS = {
    "in-domain": AVERAGES["ID"],
    "dl21-23": AVERAGES["DL21-23"],
    "beir13": AVERAGES["BEIR-13"],
    "lotte-search": AVERAGES["LoTTE"],
    "ood": AVERAGES["OOD"],
    "ce22": AVERAGES["All 22"],
    "nanobeir": AVERAGES["NanoBEIR"],
}
"""Names that stand for several judged sets"""


def protocols(name: str, *, where: str = "") -> list[Protocol]:
    """The protocols that a name means: one, or those of a group.

    UnknownKeyError or ConfigurationError where a part of the name is unknown, with the nearest that is not.
    """
    sets, at, retrieval = name.partition("@")
    stage, dash, depth = retrieval.rpartition("-")
    if not (at and dash and depth.isdigit()):
        raise ConfigurationError(
            f"{name!r} is not the name of a protocol",
            where=where,
            remedy="Write SET@FIRST_STAGE-DEPTH, for example dl19@bm25-1000 or beir13@bm25-100.",
        )
    if sets not in JUDGED_SETS and sets not in GROUPS:
        raise UnknownKeyError(sets, (*JUDGED_SETS, *GROUPS), where=where, kind="set of a protocol:")
    if stage not in FIRST_STAGES:
        raise UnknownKeyError(stage, FIRST_STAGES, where=where, kind="first stage of a protocol:")
    if int(depth) not in DEPTHS:
        raise ConfigurationError(
            f"no protocol re-ranks {depth} documents",
            where=where,
            remedy=f"Depths are {' and '.join(map(str, DEPTHS))}; for another, describe the set in evaluation.sets.",
        )
    return [Protocol(JUDGED_SETS[each], FIRST_STAGES[stage], int(depth)) for each in GROUPS.get(sets, (sets,))]


def averages(chosen: Iterable[Protocol]) -> dict[str, list[str]]:
    """Ids of the protocols of each average that the chosen ones make complete, by its name.

    An average is taken over one first stage at one depth; where several are chosen, its name says which.
    """
    chosen = list(chosen)
    retrievals = list(dict.fromkeys(protocol.retrieval for protocol in chosen))
    found: dict[str, list[str]] = {}
    for retrieval in retrievals:
        ids = {protocol.judged.name: protocol.id for protocol in chosen if protocol.retrieval == retrieval}
        for average, sets in AVERAGES.items():
            if set(sets) <= set(ids):
                name = average if len(retrievals) == 1 else f"{average} @{retrieval}"
                found[name] = [ids[each] for each in sets]
    return found


def every_protocol() -> Iterator[Protocol]:
    """All of them."""
    for row in ROWS:
        for first_stage in FIRST_STAGES.values():
            for depth in DEPTHS:
                yield Protocol(row, first_stage, depth)
