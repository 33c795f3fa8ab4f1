"""From the names of protocols to prepared evaluation sets: the collection, the first stage, the depth and the measures
are those of the registry.

This module does not know what is trained, nor where results stand in tables.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from xpm_ce.errors import ConfigurationError
from xpm_ce.graph.prepared import PreparedSet
from xpm_ce.graph.sections import DATAMAESTRO
from xpm_ce.protocols.first_stages import FirstStage
from xpm_ce.protocols.judged_sets import JudgedSet, Place
from xpm_ce.protocols.registry import Protocol, protocols
from xpm_ce.settings import Document, Node

if TYPE_CHECKING:
    from xpm_ce.graph.wiring import Wiring


def chosen_protocols(node: Node | None) -> list[Protocol]:
    """The protocols that a list of names means, each once, in its order."""
    if node is None or node.value is None:
        return []
    if node.kind != "list":
        raise ConfigurationError(
            f"{node.path} is {node.described}, not a list",
            where=node.where,
            remedy="For example: protocols: [dl19@bm25-1000, beir13@bm25-100]",
        )
    found = [protocol for below in node for protocol in protocols(below.text, where=below.where)]
    return list({protocol.id: protocol for protocol in found}.values())


def protocol_sets(
    wiring: "Wiring", document: Document, chosen: Iterable[Protocol], *, library: str
) -> list[PreparedSet]:
    """The evaluation sets of protocols, from a library; the section `evaluation` says where first stages compute."""
    section = document.require("evaluation")
    return [_protocol_set(wiring, document, protocol, section, library=library) for protocol in chosen]


def _protocol_set(
    wiring: "Wiring", document: Document, protocol: Protocol, section: Node, *, library: str
) -> PreparedSet:
    """The texts, judgements and first-stage run of a protocol."""
    judged, where = protocol.judged, (section.get("protocols") or section).where
    place = _place(judged, library, where=where)
    collection = Node.of({"type": library, "id": place.collection}, where=where, path="collection")
    parts, store = wiring.collection(document, collection)
    queries, qrels = parts.queries(place.split), parts.qrels(place.split)
    run = wiring.first_stage(
        document, collection, queries, judged.name,
        node=_first_stage(protocol.first_stage, section, where=where), ignore_identical_ids=judged.ignore_identical_ids,
    )  # fmt: skip
    return PreparedSet(
        protocol.id, store, queries, qrels, run, judged.ignore_identical_ids, depths=(protocol.depth,),
        measures=judged.measures, first_stage=protocol.first_stage.title, protocol=protocol,
    )  # fmt: skip


def _place(judged: JudgedSet, library: str, *, where: str) -> Place:
    """Where a library has a set; ConfigurationError where it has not."""
    place = judged.datamaestro if library == DATAMAESTRO else judged.ir_datasets
    if place is None:
        raise ConfigurationError(
            f"{library} does not have {judged.name} as the protocol wants it: {judged.note}",
            where=where,
            remedy="Use library: ir_datasets, or leave the set out.",
        )
    return place


def _first_stage(row: FirstStage, section: Node, *, where: str) -> Node:
    """The section `first_stage` of a row, with what the row leaves open: the place of weights, and the device."""
    node = Node.of(dict(row.section), where=where, path="first_stage")
    if row.section["type"] != "splade":
        return node
    for key, of_section in (("device", "device"), ("backbone", "splade_backbone")):
        if (given := section.get(of_section)) is not None:
            node = node.with_value(key, given)
    return node
