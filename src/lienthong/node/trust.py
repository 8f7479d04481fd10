"""A node's trust while it runs: its copy of the directory, its certificate, its TLS contexts."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from lienthong.directory.fetch import Fetch
from lienthong.directory.mirror import DirectoryMirror
from lienthong.directory.view import DirectoryView
from lienthong.errors import (
    DirectoryError,
    DirectoryUnreachable,
    LienthongError,
    NodeNotApproved,
)
from lienthong.events import log_event
from lienthong.identity.certificates import certificate_key, read_chain
from lienthong.identity.keys import PrivateKey
from lienthong.node.state import StateFolder
from lienthong.transport.tls import client_context, server_context

APPROVAL_POLL_SECONDS = 2.0

logger = logging.getLogger("lienthong.node.trust")


class Trust:
    """The directory, refreshed; and what follows from it for TLS."""

    def __init__(
        self, state: StateFolder, node: str, directory_url: str, clock: Callable[[], datetime]
    ) -> None:
        self._state = state
        self._node = node
        self.mirror = DirectoryMirror(
            state.directory, directory_url, state.root.read_bytes(), clock
        )
        self._tls_key = PrivateKey.load(state.tls_key)
        self._server: ssl.SSLContext | None = None
        self._client: ssl.SSLContext | None = None
        self._clients: ssl.SSLContext | None = None
        self._authorities: tuple[str, ...] = ()
        self._certificate = ""
        self.last_error: LienthongError | None = None
        self.ask_peers: Callable[[], list[Fetch]] = list  # where else a newer version may be

    @property
    def view(self) -> DirectoryView:
        return self.mirror.view

    async def refresh(self) -> bool:
        """Look for a newer directory; True when there was one. Never raises: see ``last_error``."""
        try:
            newer = await asyncio.to_thread(self._refresh)
            self.last_error = None
        except DirectoryError as error:
            self.last_error = error
            log_event(logger, logging.WARNING, "directory.not_refreshed", reason=str(error))
            return False
        if newer:
            log_event(logger, logging.INFO, "directory.refreshed", version=self.view.version)
        return newer

    def _refresh(self) -> bool:
        """Ask the directory; when it is away, a few other nodes. Blocking."""
        try:
            return self.mirror.refresh()
        except DirectoryUnreachable:
            for fetch in self.ask_peers():
                with suppress(DirectoryError):
                    if self.mirror.refresh(fetch):
                        log_event(logger, logging.INFO, "directory.taken_from_a_peer")
                        return True
            raise

    async def wait_for_approval(self) -> None:
        """Wait until the directory names this node with a certificate for its key."""
        told = False
        while True:
            await self.refresh()
            try:
                self.take_certificate()
                return
            except LienthongError as error:
                self.last_error = error
                if not told:
                    log_event(logger, logging.WARNING, "node.waiting", reason=error.message("vi"))
                    told = True
            await asyncio.sleep(APPROVAL_POLL_SECONDS)

    def take_certificate(self) -> None:
        """Take our certificate out of the directory. Raises NodeNotApproved."""
        try:
            node = self.view.node(self._node)
        except DirectoryError as error:
            raise NodeNotApproved(node=self._node) from error
        fitting = [
            pem
            for pem in node.certificates
            if certificate_key(read_chain(pem)[0]) == self._tls_key.public
        ]
        if not fitting:
            raise NodeNotApproved(node=self._node)
        newest = max(fitting, key=lambda pem: read_chain(pem)[0].not_valid_after_utc)
        if newest != self._certificate:
            self._state.write(self._state.tls_certificate, newest.encode(), 0o644)
            self._certificate = newest
            self._load_identity()

    @property
    def certificate(self) -> str:
        """Our certificate with its intermediates, in PEM; empty before the first approval."""
        return self._certificate

    def certificate_expires(self) -> datetime | None:
        """When our certificate ends."""
        if not self._certificate:
            return None
        return read_chain(self._certificate)[0].not_valid_after_utc

    def peer_server(self) -> ssl.SSLContext:
        """TLS for other nodes that call us; a client certificate is demanded."""
        if self._server is None:
            self._authorities = self.view.authorities
            self._server = server_context(
                self._state.tls_certificate,
                self._state.tls_key,
                "\n".join(self._authorities),
                require_client_certificate=True,
            )
        return self._server

    def peer_client(self) -> ssl.SSLContext:
        """TLS for our calls of other nodes; names are checked by the directory, not by DNS."""
        if self._client is None:
            self._client = client_context(
                self._state.tls_certificate,
                self._state.tls_key,
                "\n".join(self.view.authorities),
                check_hostname=False,
            )
        return self._client

    def follow_directory(self) -> None:
        """After a new version: take a renewed certificate and new authorities into use."""
        try:
            self.take_certificate()
        except NodeNotApproved as error:
            log_event(logger, logging.ERROR, "node.not_in_directory", reason=str(error))
        if self.view.authorities != self._authorities:
            self._authorities = self.view.authorities
            pem = "\n".join(self._authorities)
            if self._server is not None:  # listeners hold this very context
                self._server.load_verify_locations(cadata=pem)
            self._client = None

    def client_listener(self, registered: tuple[str, ...]) -> ssl.SSLContext:
        """TLS for the agency's own systems; ``registered`` are their certificates."""
        self._clients = client_listener_context(
            self._state.tls_certificate, self._state.tls_key, registered
        )
        return self._clients

    def _load_identity(self) -> None:
        for context in (self._server, self._clients):  # listeners hold these very contexts
            if context is not None:
                context.load_cert_chain(self._state.tls_certificate, self._state.tls_key)
        self._client = None


def client_listener_context(
    certificate: Path, key: Path, registered: tuple[str, ...]
) -> ssl.SSLContext:
    """TLS for the agency's own systems: a certificate is asked for, those registered accepted."""
    context = server_context(certificate, key)
    context.verify_mode = ssl.CERT_OPTIONAL
    # A registered certificate is its own root of trust, whoever issued it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for pem in registered:
        context.load_verify_locations(cadata=pem)
    return context
