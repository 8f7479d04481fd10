"""``lienthong directory serve``: the public folder over HTTP, signed anew as time goes by.

Any web server may serve the folder instead; then ``lienthong directory publish`` has to run
by a timer. Nothing here is trusted by nodes: TLS in front is for privacy only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable

from lienthong.directory.repository import Repository
from lienthong.errors import LienthongError
from lienthong.transport.server import Server, serve
from lienthong.transport.statics import static_files

_LOG = logging.getLogger("lienthong.directory")
_DRAIN_SECONDS = 5.0
_SIGNINGS_PER_LIFE = 24  # of a timestamp: hourly, when it counts for a day


async def host(
    repository: Repository, address: str, port: int, ready: Callable[[int], None]
) -> None:
    """Serve until SIGTERM or SIGINT; ``ready`` is told the port. Raises ListenFailed."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await start(repository, address, port)
    ready(server.port)
    signing = asyncio.create_task(keep_signed(repository))
    try:
        await stop.wait()
    finally:
        signing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await signing
        await server.drain(_DRAIN_SECONDS)


async def start(repository: Repository, address: str, port: int) -> Server:
    """Serve the public folder. Raises ListenFailed."""
    return await serve(static_files(repository.public_folder), address, port)


async def keep_signed(repository: Repository) -> None:
    """Sign the timestamp anew again and again; a failure is logged and tried again."""
    pause = repository.settings.periods.timestamp_hours * 3600 / _SIGNINGS_PER_LIFE
    while True:
        try:
            await asyncio.to_thread(repository.publish)
        except (LienthongError, OSError) as error:  # a full disk must not end it for good
            _LOG.error("the directory could not be signed anew: %s", error)
        await asyncio.sleep(pause)
