"""Calling the running node from the command line, over the Unix socket in its state folder.

    call(Path("state"), "GET", "/status")

Whoever may open the socket (mode 0600, in a folder of mode 0700) administers the node.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from lienthong.errors import NodeNotRunning, NodeReported, NodeWaiting
from lienthong.node.state import StateFolder

TIMEOUT_SECONDS = 120.0
STARTING_SECONDS = 10.0
LONGEST_SOCKET_PATH = 107  # bytes, sockaddr_un on Linux


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(short_socket_path(self._path))


def short_socket_path(path: Path) -> str:
    """A path that fits into a socket address: through /proc when the real one is too long."""
    if len(str(path).encode()) <= LONGEST_SOCKET_PATH:
        return str(path)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    return f"/proc/self/fd/{folder}/{path.name}"


def call(state: Path, method: str, path: str, body: Any = None) -> Any:
    """Call the management API; return the JSON value, or bytes for other content.

    Raises NodeNotInitialised, NodeStateDamaged, NodeNotRunning, NodeWaiting, NodeReported.
    """
    folder = StateFolder(state)
    folder.read_identity()
    connection = _connected(folder)
    content = None if body is None else json.dumps(body).encode()
    headers = {} if content is None else {"content-type": "application/json"}
    try:
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as error:
        refusal = NodeWaiting if _runs(folder) else NodeNotRunning
        raise refusal(path=folder.folder) from error
    finally:
        connection.close()
    if response.status >= 400 and "json" not in response.headers.get("content-type", ""):
        raise NodeReported(detail=response.reason, detail_en=response.reason)
    if "json" not in response.headers.get("content-type", ""):
        return answer
    value = json.loads(answer or b"null")
    if response.status >= 400:
        raise NodeReported(**(value if isinstance(value, dict) else {}))
    return value


def _connected(folder: StateFolder) -> _UnixConnection:
    """A node that starts answers its clients before it takes commands: wait for it a while.

    Raises NodeWaiting, NodeNotRunning.
    """
    deadline = time.monotonic() + STARTING_SECONDS
    while True:
        connection = _UnixConnection(folder.admin_socket)
        try:
            connection.connect()
            return connection
        except OSError as error:
            connection.close()
            if not _runs(folder):
                raise NodeNotRunning(path=folder.folder) from error
            if time.monotonic() > deadline:
                raise NodeWaiting(path=folder.folder) from error
        time.sleep(0.1)


def _runs(folder: StateFolder) -> bool:
    """Whether the process that last ran this node is there; its lock must not be touched."""
    try:
        os.kill(int(folder.lock.read_text()), 0)
    except PermissionError:
        return True
    except (OSError, ValueError, OverflowError):
        return False
    return True
