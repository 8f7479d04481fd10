"""The process of a portal: uvicorn around the application. ``lienthong portal run`` ends here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import uvicorn

from lienthong.catalogue.harvest.scheduler import HarvestScheduler
from lienthong.errors import InvalidSetting
from lienthong.portal.app import portal_app
from lienthong.portal.folder import PortalFolder
from lienthong.portal.site import Site
from lienthong.settings import Settings, load_settings

GRACE_SECONDS = 10
LARGEST_HEADERS = 32 * 1024
CONNECTIONS_AT_ONCE = 1000


def run(folder: Path, listen: str = "", tell: Callable[[str, str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. ``tell(name, password)`` is called when the first
    administrator was made. Raises LienthongError leaves."""
    state = PortalFolder(folder)
    state.check()
    settings = load_settings(state.settings, os.environ)
    if listen:
        settings = Settings({**settings.values, "portal_listen": listen})
    host, port = _address(settings.portal_listen)
    site = Site(state, settings)
    try:
        password = site.first_administrator()
        if password and tell is not None:
            tell(site.url, password)
        with HarvestScheduler(site.catalogue, site.search, settings):
            uvicorn.Server(_configuration(site, settings, host, port)).run()
    finally:
        site.close()


def _configuration(site: Site, settings: Settings, host: str, port: int) -> uvicorn.Config:
    tls = {}
    if settings.portal_certificate:
        tls = {
            "ssl_certfile": settings.portal_certificate,
            "ssl_keyfile": settings.portal_key or None,
        }
    return uvicorn.Config(
        portal_app(site),
        host=host,
        port=port,
        log_level=settings.log_level,
        access_log=False,  # addresses hold what was searched; the audit says who did what
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=CONNECTIONS_AT_ONCE,
        h11_max_incomplete_event_size=LARGEST_HEADERS,
        **tls,
    )


def _address(listen: str) -> tuple[str, int]:
    """``127.0.0.1:8090`` or ``[::1]:8090``. Raises InvalidSetting."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise InvalidSetting(name="portal_listen", reason=listen)
    return host.strip("[]"), int(port)
