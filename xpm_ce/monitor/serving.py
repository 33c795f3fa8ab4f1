"""The web server of the monitor: a port, a link, and an orderly end.

This module does not know what is served.
"""

import asyncio
import contextlib
import dataclasses
import errno
import logging
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

import uvicorn

from xpm_ce.errors import ConfigurationError, MachineError
from xpm_ce.monitor.guard import Keys
from xpm_ce.monitor.server import site
from xpm_ce.workspace import Workspace

DEFAULT_PORT = 8642
LOOPBACK = {"127.0.0.1": ["127.0.0.1", "localhost"], "localhost": ["127.0.0.1", "localhost"], "::1": ["[::1]"]}
"""Addresses that only this machine reaches, and the names that a browser may call them by"""
MOST_CONNECTIONS = 256
LARGEST_HEAD = 32_768
"""Bytes of a request before its body"""


@dataclasses.dataclass(frozen=True)
class Address:
    """Where the monitor listens; `taken` is the port that was asked for and was busy, or None."""

    host: str
    port: int
    listener: socket.socket
    taken: int | None

    @property
    def shown_host(self) -> str:
        """What stands in the link."""
        name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(self.host, self.host)
        return f"[{name}]" if ":" in name else name

    @property
    def names(self) -> list[str]:
        """Hosts that a request may name."""
        if self.host in LOOPBACK:
            return LOOPBACK[self.host]
        own = [socket.gethostname(), socket.getfqdn(), "127.0.0.1", "localhost"]
        return [f"[{self.host}]" if ":" in self.host else self.host, *own]


def listening(host: str, port: int | None, *, allow_remote: bool) -> Address:
    """Listen; on a free port where none was asked for and the usual one is busy.

    ConfigurationError beyond loopback without `allow_remote`; MachineError where the address cannot be had.
    """
    if host not in LOOPBACK and not allow_remote:
        raise ConfigurationError(
            f"{host} can be reached from other machines",
            where="--host",
            remedy="Add --allow-remote if that is meant; `ssh -L PORT:127.0.0.1:PORT MACHINE` needs no open port.",
        )
    taken = None
    for number in (DEFAULT_PORT, 0) if port is None else (port,):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, number))
            listener.listen(128)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE and port is None and number:
                taken = number
                continue
            raise MachineError(
                f"cannot listen on {host} port {number} ({error.strerror})",
                remedy="Give another --port; without one a free port is found.",
            ) from error
        return Address(host, listener.getsockname()[1], listener, taken)
    raise MachineError("no port is free", remedy="Close some programs.")


class _Server(uvicorn.Server):
    """Ends at once on Ctrl-C: pages that listen for events are told to go."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event):
        super().__init__(config)
        self.stopping = stopping

    def handle_exit(self, sig: int, frame: Any) -> None:
        self.stopping.set()
        super().handle_exit(sig, frame)


def serve(
    workspace: Workspace, address: Address, *, tell: Callable[[str, str], None], more_links: bool = False
) -> None:
    """Serve until interrupted. `tell(link, bearer)` is called when requests are answered.

    With `more_links`, each line of the standard input gives another one-time link.
    """
    keys = Keys()

    def link() -> str:
        return f"http://{address.shown_host}:{address.port}/?token={keys.new_link()}"

    served = site(workspace, keys, hosts=address.names, port=address.port)
    config = uvicorn.Config(
        served.application, http="h11", ws="none", loop="asyncio", lifespan="off", log_config=None, access_log=False,
        server_header=False, proxy_headers=False, limit_concurrency=MOST_CONNECTIONS, timeout_keep_alive=20,
        timeout_graceful_shutdown=2, h11_max_incomplete_event_size=LARGEST_HEAD,
    )  # fmt: skip
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    server = _Server(config, served.monitor.stopping)
    with contextlib.suppress(KeyboardInterrupt):  # also uvicorn's, which hands the signal on once it has ended
        tell(link(), keys.bearer)
        if more_links:
            threading.Thread(target=_links_on_demand, args=(lambda: tell(link(), keys.bearer),), daemon=True).start()
        server.run(sockets=[address.listener])


def _links_on_demand(tell: Callable[[], None]) -> None:
    for _ in sys.stdin:
        tell()
