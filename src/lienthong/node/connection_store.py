"""Idle connections of the agency's own systems, kept while one process ends and the next starts.

    store = ConnectionStore.of(os.environ)
    store.keep(sockets)     # the process that ends
    store.forget()          # the next one, which was given them at its start (``inherited.py``)

HTTP/1.1 has no word for "I am about to close": whoever closes an idle connection loses the request
that is on its way in it, and a client may not send a POST again by itself. So these are not closed.
The service manager's file descriptor store holds them (``FDSTORE`` in sd_notify(3)); what a client
sends meanwhile waits in them. Where no manager offers a store, they are closed.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

from lienthong.events import log_event

IDLE_CLIENTS = "client_http.idle"  # their name in LISTEN_FDNAMES
MOST_AT_ONCE = 200  # the kernel passes at most 253 descriptors in one message
PATIENCE_SECONDS = 2.0  # for a manager that has a lot to read

logger = logging.getLogger("lienthong.node")


class ConnectionStore:
    """The service manager at the other end of ``NOTIFY_SOCKET``."""

    def __init__(self, address: str) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self | None:
        address = environment.get("NOTIFY_SOCKET", "")
        return cls(address) if address else None

    def keep(self, connections: Sequence[socket.socket]) -> None:
        """Leave connections with the manager. One that it does not take is closed."""
        with suppress(OSError):  # logged
            for first in range(0, len(connections), MOST_AT_ONCE):
                descriptors = [each.fileno() for each in connections[first : first + MOST_AT_ONCE]]
                self._tell(f"FDSTORE=1\nFDNAME={IDLE_CLIENTS}", descriptors)
        for each in connections:
            each.close()

    def forget(self) -> None:
        """Have the manager close its copies: while it has one, ours cannot be closed."""
        with suppress(OSError):
            self._tell(f"FDSTOREREMOVE=1\nFDNAME={IDLE_CLIENTS}", [])

    def _tell(self, message: str, descriptors: list[int]) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.settimeout(PATIENCE_SECONDS)
                manager.connect(self._address)
                socket.send_fds(manager, [message.encode()], descriptors)
        except OSError as error:
            log_event(logger, logging.WARNING, "node.connections_not_kept", reason=str(error))
            raise
