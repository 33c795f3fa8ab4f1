"""What learners are validated on: sets of the study's own and protocols, prepared once for all that read alike.

This module does not know when a learner validates, nor what it does with the values.
"""

from typing import TYPE_CHECKING

from xpm_ce.errors import ConfigurationError
from xpm_ce.graph.prepared import PreparedSet
from xpm_ce.graph.protocol_sets import chosen_protocols, protocol_sets
from xpm_ce.graph.sections import TABLES, Evaluation, EvaluationSet
from xpm_ce.graph.study import DATA_SECTIONS
from xpm_ce.learn.validation import Validation, ValidationSet
from xpm_ce.protocols.registry import Protocol
from xpm_ce.scorers.scorer import Scorer
from xpm_ce.settings import Document, Node, typed

if TYPE_CHECKING:
    from xpm_ce.graph.wiring import Wiring


def validation(wiring: "Wiring", document: Document, node: Node | None, scorer: Scorer) -> Validation | None:
    """What a learner is validated on, made once for all that read alike; None where it is not."""
    if node is None or node.value is None:
        return None
    own, chosen = node.get("sets"), chosen_protocols(node.get("protocols"))
    if (own is None or own.value is None) and not chosen:
        raise ConfigurationError(
            f"{node.path}.sets is missing",
            where=node.where,
            remedy="For example: sets: [{split: validation}], or protocols: [nanobeir@bm25-100]",
        )
    found = wiring.once(
        f"validation sets {scorer.__xpm__.identifier.all.hex()}",
        [
            own,
            node.get("protocols"),
            document.get("evaluation"),
            *(document.get(section) for section in DATA_SECTIONS),
        ],
        lambda: [_set(wiring, each, scorer) for each in _prepared(wiring, document, own, chosen)],
    )
    in_order = sorted(found, key=lambda each: each.__xpm__.identifier.all.hex())  # which the user's has no part in
    made = wiring.typed(Validation, node.without("sets", "protocols"), {"sets": in_order})
    for protocol in chosen:
        if protocol.depth != made.depth:
            raise ConfigurationError(
                f"depth is {made.depth}, but {protocol.id} re-ranks {protocol.depth}",
                where=node.nodes["protocols"].where,
                remedy="Give both the same depth.",
            )
    return made


def _prepared(wiring: "Wiring", document: Document, own: Node | None, chosen: list[Protocol]) -> list[PreparedSet]:
    """The sets of the study's own, then those of protocols, from the library that `evaluation` names."""
    found = []
    if own is not None and own.value is not None:
        entries = typed(list[EvaluationSet], own, tables=TABLES)
        found += [wiring.evaluation_set(document, entry, below) for entry, below in zip(entries, own, strict=True)]
    if chosen:
        evaluation = wiring.typed(Evaluation, document.require("evaluation"))
        found += protocol_sets(wiring, document, chosen, library=evaluation.library)
    return found


def _set(wiring: "Wiring", prepared: PreparedSet, scorer: Scorer) -> ValidationSet:
    """A set of queries that a scorer is validated on."""
    return ValidationSet.C(
        name=prepared.label, queries=prepared.queries, qrels=prepared.qrels, run=prepared.run,
        store=prepared.store, tokens=wiring.tokens(prepared.store, scorer),
    )  # fmt: skip
