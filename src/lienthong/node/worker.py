"""One of several processes of a node on one machine, as its supervisor started it.

    worker = Worker.of("2:peers=7,client_http=8,operations=9,admin=10,lifeline=11")

The text is the argument of the hidden option ``--worker`` of ``lienthong node run``: the
worker's number, and the file descriptors that it was given.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from lienthong.errors import ConfigurationError, ListenFailed

BACKLOG = 1024


@dataclass(frozen=True)
class Worker:
    """``sockets`` listen already, by the name of their port; ``admin`` need not do so yet.

    ``lifeline`` is the reading end of a pipe that ends with the supervisor.
    """

    number: int
    sockets: dict[str, socket.socket]
    admin: socket.socket
    lifeline: int

    @classmethod
    def of(cls, text: str) -> Self:
        """Raises ConfigurationError."""
        try:
            number, _, given = text.partition(":")
            descriptors = {
                name: int(descriptor)
                for name, _, descriptor in (each.partition("=") for each in given.split(","))
            }
            lifeline = descriptors.pop("lifeline")
            os.set_inheritable(lifeline, False)
            sockets = {name: _adopted(each) for name, each in descriptors.items()}
            return cls(int(number), sockets, sockets.pop("admin"), lifeline)
        except (ValueError, KeyError, OSError) as error:
            raise ConfigurationError(reason="--worker: for the supervisor only") from error

    def when_orphaned(self, stop: Callable[[], None]) -> None:
        """Call ``stop`` once the supervisor is gone, however it ended."""
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(self.lifeline)
            stop()

        loop.add_reader(self.lifeline, ended)


def _adopted(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    adopted = socket.socket(fileno=descriptor)
    adopted.setblocking(False)
    return adopted


def shared_listener(listen: str) -> socket.socket:
    """A socket on a port that several listen on. Raises ListenFailed."""
    host, _, port = listen.rpartition(":")
    try:
        found = socket.getaddrinfo(
            host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except (OSError, ValueError, OverflowError) as error:
        raise ListenFailed(address=listen, reason=str(error)) from error
    return listener
