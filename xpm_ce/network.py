"""Whether jobs and plans may count on a network: the user says so, nobody tries.

This module does not know what would be downloaded.
"""

import contextlib
import contextvars
import os
import socket
from collections.abc import Iterator

SWITCHES = ("XPM_CE_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Variables of the environment that say that there is none; the last two are the hub's own"""

_declared: contextvars.ContextVar[str | None] = contextvars.ContextVar("declared", default=None)


def offline() -> str | None:
    """What says that there is no network, as the end of a sentence ("HF_HUB_OFFLINE is set"); None where nothing does.

    That is one of `SWITCHES` (1, on, yes or true), or a study that says `offline: true`.
    """
    for name in SWITCHES:
        if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE"):
            return f"{name} is set"
    return _declared.get()


@contextlib.contextmanager
def declared_offline(where: str | None) -> Iterator[None]:
    """Within the block there is no network, because `where` (a file and line) says so; None changes nothing."""
    if where is None:
        yield
        return
    token = _declared.set(f"{where} says offline: true")
    try:
        yield
    finally:
        _declared.reset(token)


@contextlib.contextmanager
def unreachable() -> Iterator[None]:
    """Within the block no library of this process finds a host, so that what it reads is what is on this disk."""

    def refused(host: object, *_arguments: object, **_keywords: object) -> None:
        raise socket.gaierror(f"{host} is not asked for: nothing is downloaded here")

    found = socket.getaddrinfo
    socket.getaddrinfo = refused  # type: ignore[assignment]
    try:
        yield
    finally:
        socket.getaddrinfo = found
