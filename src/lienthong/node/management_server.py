"""The management API on its Unix socket, served by uvicorn.

A module of its own because FastAPI takes a third of a second to load: a node that was killed
answers its clients first and loads this after.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import uvicorn

from lienthong.node.management import management_app

if TYPE_CHECKING:
    from lienthong.node.node import Node


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the node's own process decides when to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ManagementServer:
    """Serves one node's management API. It is made in a thread, and starts in the event loop."""

    def __init__(self, node: Node) -> None:
        config = uvicorn.Config(
            management_app(node),
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
        )
        config.load()
        self._server = _Server(config)

    def start(self, listening: socket.socket) -> None:
        serving = self._server.serve(sockets=[listening])
        self._task = asyncio.create_task(serving, name="management")

    async def stop(self) -> None:
        self._server.should_exit = True
        with suppress(asyncio.CancelledError):
            await self._task
