"""The scorers and backbones by name: each is a class and a row here.

This module imports nothing before it is asked for.
"""

import pkgutil
from typing import Any

BACKBONES = {
    "architecture": "xpm_ce.scorers.architecture.Architecture",
    "hub": "xpm_ce.scorers.backbones.HubBackbone",
    "local": "xpm_ce.scorers.backbones.LocalBackbone",
    "package": "xpm_ce.scorers.backbones.PackageBackbone",
    "published": "xpm_ce.scorers.backbones.PublishedBackbone",
}
"""NAME of each backbone and where its class is"""

SCORERS = {
    "cross_encoder": "xpm_ce.scorers.cross_encoder.CrossEncoder",
}
"""NAME of each scorer and where its class is"""


def backbone_class(name: str) -> Any:
    """The class of a backbone of `BACKBONES`; KeyError for another name."""
    return pkgutil.resolve_name(BACKBONES[name])


def scorer_class(name: str) -> Any:
    """The class of a scorer of `SCORERS`; KeyError for another name."""
    return pkgutil.resolve_name(SCORERS[name])
