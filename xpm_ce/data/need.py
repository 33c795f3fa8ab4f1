"""What a study needs from elsewhere, and whether it is on this disk: told cheaply, without a network or a library.

This module does not know any library of data, nor what needs what.
"""

import enum
from typing import Any, NamedTuple

from xpm_ce.network import offline

PREPARING = "Where there is a network: `xpm-ce data prepare FILE`."
"""What to do about data that can be downloaded"""


class Standing(enum.StrEnum):
    """Whether something is on this disk."""

    HERE = "on disk"
    ABSENT = "not on disk"
    UNKNOWN = "cannot be told without its library"


class Need(NamedTuple):
    """One thing that a study needs from elsewhere."""

    name: str
    """Its id where it comes from"""
    kind: str
    """documents, queries, judgements, training file or weights"""
    expected: str
    """What it must be, as far as that is known: a count, a checksum, a commit"""
    standing: Standing
    remedy: str
    """How to obtain it by hand"""
    downloadable: bool = True
    """Whether its library can download it"""


class NeededHere(NamedTuple):
    """A need, and the configuration that has it as its `need`."""

    need: Need
    config: Any
    """Its instance has `obtain()`: read all of it, downloading what is missing, and compare it with what was declared;
    what was found, in words. DataError where it cannot be had or is not as declared"""


def obstacle_of(need: Need | None) -> str | None:
    """What keeps something from being had here, and what to do about it; None where nothing is known to.

    Data that a library can download is no obstacle unless the user says that there is no network.
    """
    if need is None or need.standing is not Standing.ABSENT:
        return None
    if not need.downloadable:
        return f"{need.name} ({need.kind}) is not on this disk, and nothing downloads it. {need.remedy}"
    if (reason := offline()) is not None:
        return f"{need.name} ({need.kind}) is not on this disk, and {reason}. {PREPARING}"
    return None
