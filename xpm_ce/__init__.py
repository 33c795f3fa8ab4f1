"""xpm-ce: a typed experiment manager for neural re-ranking. Each name below is loaded when it is first asked for."""

import importlib
from typing import Any

_WHERE = {
    "AdrMse": "xpm_ce.losses.adr_mse",
    "Architecture": "xpm_ce.scorers.architecture",
    "Bce": "xpm_ce.losses.bce",
    "CrossEncoder": "xpm_ce.scorers.cross_encoder",
    "DistillRankNet": "xpm_ce.losses.distill_ranknet",
    "Experiment": "xpm_ce.declaration",
    "Folder": "xpm_ce.data.folder",
    "Generated": "xpm_ce.data.generated",
    "GroupSampler": "xpm_ce.samplers.groups",
    "Hinge": "xpm_ce.losses.hinge",
    "HubBackbone": "xpm_ce.scorers.backbones",
    "InfoNCE": "xpm_ce.losses.infonce",
    "ListSampler": "xpm_ce.samplers.lists",
    "LocalBackbone": "xpm_ce.scorers.backbones",
    "MarginMSE": "xpm_ce.losses.margin_mse",
    "load": "xpm_ce.scorers.loading",
}
"""Public names and the modules that define them"""

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'xpm_ce' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return __all__
