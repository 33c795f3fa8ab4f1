"""What is known of how a checkpoint came to be, for its card: backbone, loss, data, licence, citations.

Read from what the learner's job was given. This module does not know how a card looks.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from xpm_ce.losses.table import LOSSES, loss_class
from xpm_ce.parameters import Given
from xpm_ce.scorers.published import PUBLISHED, Published

DATA_SETS = ("IrDatasetsDocuments", "DatamaestroDocuments")
"""Classes whose id names a collection for everybody"""


@dataclasses.dataclass(frozen=True)
class History:
    """What a learner was given, in the words of a card."""

    backbone: str | None = None
    """Repository of the hub; None where the encoder is not from there"""

    revision: str | None = None
    """Its commit"""

    licence: str | None = None
    """SPDX identifier of the backbone's weights, where it is a published one"""

    loss: str | None = None
    """The loss as tables name it"""

    data_sets: tuple[str, ...] = ()
    """Ids of ir_datasets and datamaestro that were trained on"""

    citations: tuple[str, ...] = ()
    """BibTeX of the backbone, then of the loss"""


def history(given: Given | None) -> History:
    """The history of what a learner was given; an empty one for a mere folder."""
    if given is None:
        return History()
    hub = next((each for each in below(given.fields.get("scorer")) if each.type == "HubBackbone"), None)
    row = _published(hub)
    losses = {loss_class(name).__name__: loss_class(name) for name in LOSSES}
    kind = given.fields["loss"].type
    loss = losses.get(kind)
    citations = [row.citation if row else "", loss.CITATION if loss else ""]
    names = {str(each.fields["id"]) for each in below(given.fields.get("tokens")) if each.type in DATA_SETS}
    return History(
        backbone=str(hub.fields["id"]) if hub else None,
        revision=str(hub.fields["revision"]) if hub else None,
        licence=row.licence if row else None,
        loss=loss.LABEL if loss else kind,
        data_sets=tuple(sorted(names)),
        citations=tuple(each.strip() for each in citations if each.strip()),
    )


def below(value: Any) -> Iterator[Given]:
    """Every configuration at or below a value."""
    if isinstance(value, Given):
        yield value
        value = value.fields
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from below(each)


def _published(hub: Given | None) -> Published | None:
    return next((row for row in PUBLISHED.values() if hub is not None and row.id == hub.fields["id"]), None)
