"""A node's trust while it runs: its copy of the directory, its certificate, its TLS contexts."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

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
from lienthong.node.keys import Settling
from lienthong.node.state import StateFolder
from lienthong.transport.tls import client_context, server_context

APPROVAL_POLL_SECONDS = 2.0
# A start does not wait longer for a directory that is silent when the copy on disk still counts.
START_PATIENCE_SECONDS = 2.0

logger = logging.getLogger("lienthong.node.trust")


class Trust:
    """The directory, refreshed; and what follows from it for TLS."""

    def __init__(
        self,
        state: StateFolder,
        node: str,
        directory_url: str,
        clock: Callable[[], datetime],
        refresh_seconds: float = 60.0,
    ) -> None:
        self._state = state
        self._clock = clock
        self._settling = Settling(refresh_seconds)
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
        self._refreshing: asyncio.Task[bool] | None = None  # until somebody has its result

    @property
    def view(self) -> DirectoryView:
        return self.mirror.view

    async def refresh(self) -> bool:
        """Look for a newer directory; True when there was one. Never raises: see ``last_error``.

        A look that goes on already is waited for: its result is for the next who asks.
        """
        looking = self._refreshing = self._refreshing or asyncio.create_task(self._look())
        newer = await asyncio.shield(looking)
        self._refreshing = None
        return newer

    async def _look(self) -> bool:
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
            with suppress(TimeoutError):
                async with asyncio.timeout(START_PATIENCE_SECONDS):
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
        """At the start: take the certificate for our key into use. Raises NodeNotApproved.

        The one used last goes on, as long as it counts: nodes know it.
        """
        listed = self._listed(self._tls_key)
        if not listed:
            raise NodeNotApproved(node=self._node)
        counting = self._counting(listed)
        last = _read_text(self._state.tls_certificate)
        self._use(last if last in counting else _newest(counting or listed))

    def _listed(self, key: PrivateKey) -> list[str]:
        """The certificates (PEM) that the directory lists for a TLS key of ours."""
        try:
            node = self.view.node(self._node)
        except DirectoryError as error:
            raise NodeNotApproved(node=self._node) from error
        return [
            pem for pem in node.certificates if certificate_key(read_chain(pem)[0]) == key.public
        ]

    def _counting(self, certificates: list[str]) -> list[str]:
        """Those of them that another node accepts now."""
        return [pem for pem in certificates if self._is_accepted(pem)]

    def _is_accepted(self, pem: str) -> bool:
        der = read_chain(pem)[0].public_bytes(Encoding.DER)
        try:
            self.view.check_certificate(self._node, der, self._clock())
        except DirectoryError:
            return False
        return True

    def _use(self, pem: str) -> bool:
        if pem == self._certificate:
            return False
        self._state.write(self._state.tls_certificate, pem.encode(), 0o644)
        self._certificate = pem
        self._load_identity()
        return True

    def _follow_certificate(self) -> bool:
        """Take the next certificate into use when it is time; True when one was.

        1. A next TLS key with a certificate that counts goes before the key in use.
        2. All nodes have had time to learn of the certificate, unless ours counts no more.
        """
        self._follow_others()
        following = self._state.next_key(self._state.tls_key)
        key = PrivateKey.load(following) if following.exists() else self._tls_key
        wanted = self._counting(self._listed(key))
        if not wanted and key is not self._tls_key:
            key, wanted = self._tls_key, self._counting(self._listed(self._tls_key))
        if not wanted or _newest(wanted) == self._certificate:
            return False
        pem = _newest(wanted)
        settled = self._settling.is_settled(pem)
        if not settled and self._certificate and self._is_accepted(self._certificate):
            return False
        if key is not self._tls_key:
            self._state.promote(following, self._state.tls_key)
            self._tls_key = key
        used = self._use(pem)
        log_event(logger, logging.INFO, "certificate.changed", key=key.public.key_id)
        return used

    def _follow_others(self) -> None:
        """Another process of this node has taken the next key into use."""
        on_disk = PrivateKey.load(self._state.tls_key)
        if on_disk.public != self._tls_key.public:
            self._tls_key = on_disk
            self._certificate = ""

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

    def follow_directory(self) -> bool:
        """After each refresh: take the next certificate and new authorities into use.

        True when our certificate is another one now: connections should not live on with the
        former.
        """
        changed = False
        try:
            changed = self._follow_certificate()
        except NodeNotApproved as error:
            log_event(logger, logging.ERROR, "node.not_in_directory", reason=str(error))
        if self.view.authorities != self._authorities:
            self._authorities = self.view.authorities
            pem = "\n".join(self._authorities)
            if self._server is not None:  # listeners hold this very context
                self._server.load_verify_locations(cadata=pem)
            self._client = None
        return changed

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


def _newest(certificates: list[str]) -> str:
    return max(certificates, key=lambda pem: read_chain(pem)[0].not_valid_after_utc)


def _read_text(path: Path) -> str:
    return path.read_text(encoding="ascii") if path.exists() else ""


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
