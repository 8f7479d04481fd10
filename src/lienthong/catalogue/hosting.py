"""``lienthong catalogue serve``: the catalogue's HTTP interface by itself, without web pages.

HTTP without TLS is for the loopback address only, where a server in front does TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from lienthong.catalogue.addresses import Addresses
from lienthong.catalogue.folder import CatalogueFolder
from lienthong.catalogue.harvest.scheduler import HarvestScheduler
from lienthong.catalogue.open_routes import open_routes, robots_route
from lienthong.catalogue.routes import catalogue_routes
from lienthong.catalogue.service import CatalogueService
from lienthong.directory.mirror import DirectoryMirror
from lienthong.errors import DirectoryError, OptionInvalid

_LOG = logging.getLogger("lienthong.catalogue")


def host(
    folder: CatalogueFolder,
    address: str,
    port: int,
    certificate: Path | None = None,
    key: Path | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT. Raises OptionInvalid."""
    if certificate is None and not _is_loopback(address):
        raise OptionInvalid(
            option="--listen", value=address, wanted="127.0.0.1, or --certificate and --key"
        )
    mirror = folder.mirror()
    with folder.store() as store:
        service = CatalogueService(store, lambda: mirror.view)
        url = folder.settings.catalogue_public_url.rstrip("/") or (
            f"http{'s' if certificate else ''}://{address}:{port}"
        )
        at = Addresses(url, publisher=folder.settings.catalogue_publisher)
        application = application_of(service, mirror, folder.settings.directory_refresh_seconds, at)
        with HarvestScheduler(store, service.search, folder.settings):
            uvicorn.run(
                application,
                host=address,
                port=port,
                ssl_certfile=certificate,
                ssl_keyfile=key,
                log_level="warning",
                server_header=False,
            )


def application_of(
    service: CatalogueService, mirror: DirectoryMirror, refresh_seconds: float, at: Addresses
) -> Starlette:
    """The application; the directory is refreshed as long as it runs."""

    @contextlib.asynccontextmanager
    async def lifespan(_application: Starlette) -> AsyncIterator[None]:
        refreshing = asyncio.create_task(_keep_fresh(mirror, refresh_seconds))
        yield
        refreshing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await refreshing

    routes = [
        *catalogue_routes(service),
        *open_routes(service.store, service.search, at),
        robots_route(at),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _keep_fresh(mirror: DirectoryMirror, seconds: float) -> None:
    while True:
        try:
            await asyncio.to_thread(mirror.refresh)
        except DirectoryError as error:  # the copy counts until it expires
            _LOG.warning("directory not refreshed: %s", error)
        await asyncio.sleep(seconds)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address == "localhost"
