"""Listening sockets that whoever started the process has opened already (sd_listen_fds(3)).

They stay open while one process of the node ends and the next one starts: connections made in
between wait in the system's queue and are answered by the next process. So a node is upgraded or
rolled back without a failed call (docs/how-to/upgrade.md).
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from lienthong.errors import ConfigurationError

FIRST_DESCRIPTOR = 3
PORTS = ("client_http", "client_https", "peers", "operations")


def inherited_sockets(environment: MutableMapping[str, str]) -> dict[str, socket.socket]:
    """The sockets passed to this process, by the name of the port that they are for.

    The variables are taken out of ``environment``: they are not meant for processes of ours.
    Raises ConfigurationError for a name that is none of ``PORTS``.
    """
    process = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "0")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if process != str(os.getpid()) or not count.isdecimal():
        return {}
    descriptors = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count))
    if len(names) != len(descriptors) or len(set(names)) < len(names) or set(names) - set(PORTS):
        raise ConfigurationError(
            reason=f"LISTEN_FDNAMES={':'.join(names)}: {len(descriptors)} of {', '.join(PORTS)}"
        )
    return dict(zip(names, map(_adopted, descriptors), strict=True))


def _adopted(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    adopted = socket.socket(fileno=descriptor)
    adopted.setblocking(False)
    return adopted
