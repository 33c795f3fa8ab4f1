"""Compares what is on this disk with what was declared, and obtains what is missing.

One thing that fails does not keep the others from being looked at. This module does not know who needs what.
"""

import enum
import logging
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from xpm_ce.data.need import Need, NeededHere, Standing
from xpm_ce.errors import ConfigurationError, DataError, XpmCeError, explained
from xpm_ce.network import offline, unreachable

logger = logging.getLogger(__name__)


class Verdict(enum.StrEnum):
    """What is the matter with one need."""

    RIGHT = "right"
    HERE = "here"
    OBTAINED = "obtained"
    WRONG = "wrong"
    MISSING = "missing"
    UNKNOWN = "unknown"


FINE = (Verdict.RIGHT, Verdict.HERE, Verdict.OBTAINED, Verdict.UNKNOWN)
"""Verdicts that ask for nothing"""


class Examined(NamedTuple):
    """A need and what was found."""

    need: Need
    verdict: Verdict
    found: str
    """What there is, or what happened"""
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.need.name, "kind": self.need.kind, "expected": self.need.expected,
            "verdict": self.verdict.value, "found": self.found, "remedy": self.remedy,
        }  # fmt: skip


def checked(needed: Iterable[NeededHere], *, quick: bool = False) -> Iterator[Examined]:
    """Each need compared with the disk; nothing is downloaded.

    Everything that is here is read to its end and counted, or its checksum compared; `quick` leaves that out.
    """
    for need, config in needed:
        if need.standing is Standing.ABSENT:
            yield Examined(need, Verdict.MISSING, need.standing.value, need.remedy)
        elif quick:
            here = Verdict.HERE if need.standing is Standing.HERE else Verdict.UNKNOWN
            yield Examined(need, here, need.standing.value)
        else:
            bad = Verdict.WRONG if need.standing is Standing.HERE else Verdict.MISSING
            with unreachable():
                examined = _obtained(need, config, Verdict.RIGHT, bad)
            yield examined


def obtained(needed: Iterable[NeededHere]) -> Iterator[Examined]:
    """Each need, fetched where it is not here; what is here is left as it is.

    ConfigurationError where something is missing and the environment says that there is no network.
    """
    for need, config in needed:
        if need.standing is Standing.HERE:
            yield Examined(need, Verdict.HERE, need.standing.value)
        elif not need.downloadable:
            yield Examined(need, Verdict.MISSING, "nothing downloads it", need.remedy)
        else:
            if (reason := offline()) is not None:
                raise ConfigurationError(
                    f"{need.name} ({need.kind}) is to be downloaded, but {reason}",
                    remedy="Run this where there is a network, without that switch.",
                )
            logger.info("obtaining %s (%s)", need.name, need.kind)
            yield _obtained(need, config, Verdict.OBTAINED, Verdict.MISSING)


def _obtained(need: Need, config: Any, good: Verdict, bad: Verdict) -> Examined:
    """What reading all of it gives, which compares it with what was declared."""
    try:
        return Examined(need, good, config.instance().obtain())
    except (XpmCeError, OSError) as error:
        cause = explained(error)
        if not isinstance(cause, DataError):
            raise
        return Examined(need, bad, cause.what, cause.remedy or need.remedy)
