"""Nodes pass newer versions of the directory on to each other (DESIGN §4).

    handler = directory_files(mirror)          # what we give to peers
    fetch = PeerDirectory(core).fetches()      # what we take from them when the directory is away

Nothing that a peer gives is trusted: the mirror verifies it as it verifies the directory's own.
"""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import TimeoutError as FutureTimeoutError

from lienthong.directory.fetch import Fetch
from lienthong.directory.mirror import DirectoryMirror
from lienthong.errors import DirectoryUnreachable, LienthongError
from lienthong.exchange import wire
from lienthong.exchange.asking import ask_node
from lienthong.exchange.core import Core
from lienthong.ledger.heads import parse_head
from lienthong.transport.messages import Body, Handler, Request, Response

PEERS_ASKED = 3
TIMEOUT_SECONDS = 10.0


def directory_files(mirror: DirectoryMirror) -> Handler:
    """Serve the public files of our copy to other nodes."""

    async def handle(request: Request) -> Response:
        content = await asyncio.to_thread(mirror.public_file, request.path.lstrip("/"))
        if content is None:
            return Response(404)
        return Response(200, [("content-type", "application/octet-stream")], Body.of(content))

    return handle


class PeerDirectory:
    """Asks other nodes for their copy."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._loop = asyncio.get_running_loop()

    def fetches(self) -> list[Fetch]:
        """A few nodes that we have talked to, in no order; to be called from a thread."""
        nodes = {parse_head(peer.note).node for peer in self._core.peers.all()}
        chosen = random.sample(sorted(nodes), min(PEERS_ASKED, len(nodes)))
        return [self._fetch_from(node) for node in chosen]

    def _fetch_from(self, node: str) -> Fetch:
        def fetch(name: str, limit_bytes: int) -> bytes | None:
            waiting = asyncio.run_coroutine_threadsafe(self._get(node, name), self._loop)
            try:
                response = waiting.result(TIMEOUT_SECONDS)
            except (LienthongError, FutureTimeoutError) as error:
                waiting.cancel()
                raise DirectoryUnreachable(url=node, reason=_reason(error)) from error
            if response.status == 404:
                return None
            if response.status != 200 or response.body.size > limit_bytes:
                raise DirectoryUnreachable(url=node, reason=f"HTTP status {response.status}")
            return response.body.read()

        return fetch

    async def _get(self, node: str, name: str) -> Response:
        core = self._core
        path = f"{wire.DIRECTORY_PATH}/{name}"
        return await ask_node(core, node, "GET", path, timeout_seconds=TIMEOUT_SECONDS)


def _reason(error: Exception) -> object:
    return error if isinstance(error, LienthongError) else "timed out"
