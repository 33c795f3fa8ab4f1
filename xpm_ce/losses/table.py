"""The losses by name, and which of them a training set can serve.

This module does not import a loss before it is asked for.
"""

import pkgutil
from collections.abc import Iterable

from xpm_ce.data.supervision import carried
from xpm_ce.losses.loss import Loss

LOSSES = {
    "bce": "xpm_ce.losses.bce.Bce",
    "hinge": "xpm_ce.losses.hinge.Hinge",
    "infonce": "xpm_ce.losses.infonce.InfoNCE",
    "margin_mse": "xpm_ce.losses.margin_mse.MarginMSE",
    "distill_ranknet": "xpm_ce.losses.distill_ranknet.DistillRankNet",
    "adr_mse": "xpm_ce.losses.adr_mse.AdrMse",
}
"""NAME of each loss and where its class is; a loss is one file and one row"""


def loss_class(name: str) -> type[Loss]:
    """The class of a loss of `LOSSES`; KeyError for another name."""
    return pkgutil.resolve_name(LOSSES[name])


def served_by(kinds: Iterable[str]) -> list[str]:
    """Names of the losses that need nothing beyond these kinds of supervision, for a message or a menu."""
    available = carried(kinds)
    return [name for name in LOSSES if available.issuperset(loss_class(name).NEEDS)]
