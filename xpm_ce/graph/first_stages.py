"""From a section `first_stage` to the task that retrieves: one function per type.

Equal indexes are prepared once. This module does not know which queries are whose.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xpm_ce.data.store import DocumentStore
from xpm_ce.errors import UnknownKeyError
from xpm_ce.firststage.bm25_index import Bm25Index
from xpm_ce.firststage.retrieve import Retrieve
from xpm_ce.firststage.splade import SpladeEncoder, SpladeIndex, SpladeRetrieve
from xpm_ce.settings import Node, fields

if TYPE_CHECKING:
    from xpm_ce.graph.wiring import Wiring

TITLES = {"bm25": "BM25", "splade": "SPLADE"}
"""Names of first stages in tables, by type"""


def retrieval(
    wiring: "Wiring", node: Node, store: DocumentStore, collection: list[Node | None], wired: Mapping[str, Any]
) -> Any:
    """The task that retrieves what `node` describes from a store; `collection` are the nodes that the store is of."""
    return _MAKERS[_type(node)](wiring, node, store, collection, wired)


def title(node: Node) -> str:
    """Name of a first stage in tables."""
    return TITLES[_type(node)]


def _type(node: Node) -> str:
    kind = node.get("type")
    if kind is None or kind.text not in TITLES:
        text = kind.text if kind is not None else "(none)"
        raise UnknownKeyError(text, TITLES, where=(kind or node).where, kind="first stage")
    return kind.text


def _bm25(
    wiring: "Wiring", node: Node, store: DocumentStore, collection: list[Node | None], wired: Mapping[str, Any]
) -> Retrieve:
    index = wiring.once(
        "index", collection, lambda: wiring.submit(Bm25Index.C(store=store), kind="index", coordinates={})
    )
    return wiring.typed(Retrieve, node.without("type"), {**wired, "index": index})


def _splade(
    wiring: "Wiring", node: Node, store: DocumentStore, collection: list[Node | None], wired: Mapping[str, Any]
) -> SpladeRetrieve:
    keys = node.without("type")
    of_encoder = [field.name for field in fields(SpladeEncoder)]
    of_retrieval = [field.name for field in fields(SpladeRetrieve, (*wired, "index"))]
    for key, below in keys.nodes.items():
        if key not in (*of_encoder, *of_retrieval):
            raise UnknownKeyError(f"{node.path}.{key}", (*of_encoder, *of_retrieval), where=below.where)
    encoder_node = keys.without(*of_retrieval)

    def index() -> Any:
        encoder = wiring.typed(SpladeEncoder, encoder_node, ("backbone.sha256", "backbone.tokenizer"))
        if encoder.backbone is not None:
            encoder.backbone = encoder.backbone.prepare(wiring.submit)
        device = keys.get("device")
        where = {"device": device.text} if device is not None else {}
        return wiring.submit(SpladeIndex.C(store=store, encoder=encoder, **where), kind="index", coordinates={})

    postings = wiring.once("splade index", [*collection, encoder_node, keys.get("device")], index)
    return wiring.typed(SpladeRetrieve, keys.without(*of_encoder), {**wired, "index": postings})


_MAKERS = {"bm25": _bm25, "splade": _splade}
