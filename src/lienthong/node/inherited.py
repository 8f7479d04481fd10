"""Sockets that whoever started the process holds open for it (sd_listen_fds(3)).

They stay open while one process of the node ends and the next one starts: connections made in
between wait in the system's queue and are answered by the next process, which also takes on the
idle connections that the one before has left (``connection_store.py``). So a node is upgraded or
rolled back without a failed call (docs/how-to/upgrade.md).
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass, field

from lienthong.errors import ConfigurationError
from lienthong.node.connection_store import IDLE_CLIENTS

FIRST_DESCRIPTOR = 3
PORTS = ("client_http", "client_https", "peers", "operations")


@dataclass(frozen=True)
class Inherited:
    """``listening`` by the name of their port; ``idle`` connections of the client HTTP port."""

    listening: dict[str, socket.socket] = field(default_factory=dict)
    idle: list[socket.socket] = field(default_factory=list)

    def close_idle(self) -> None:
        """Nobody will answer on them."""
        while self.idle:
            self.idle.pop().close()


def inherited_sockets(environment: MutableMapping[str, str]) -> Inherited:
    """The sockets passed to this process.

    The variables are taken out of ``environment``: they are not meant for processes of ours.
    Raises ConfigurationError for a name that is neither in ``PORTS`` nor of idle connections.
    """
    process = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "0")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if process != str(os.getpid()) or not count.isdecimal():
        return Inherited()
    descriptors = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count))
    ports = [name for name in names if name != IDLE_CLIENTS]
    if len(names) != len(descriptors) or len(set(ports)) < len(ports) or set(ports) - set(PORTS):
        raise ConfigurationError(
            reason=f"LISTEN_FDNAMES={':'.join(names)}: {len(descriptors)} of {', '.join(PORTS)}"
        )
    found = Inherited()
    for name, descriptor in zip(names, descriptors, strict=True):
        if name == IDLE_CLIENTS:
            found.idle.append(_adopted(descriptor))
        else:
            found.listening[name] = _adopted(descriptor)
    return found


def _adopted(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    adopted = socket.socket(fileno=descriptor)
    adopted.setblocking(False)
    return adopted
