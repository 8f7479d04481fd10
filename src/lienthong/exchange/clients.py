"""The agency's own systems that may call this node, and how each must connect.

    clients.check("VN/GOV/H37/motcua", connection)      # raises unless it may

X-Road's three connection types: ``http`` (on loopback), ``https`` (the system does not prove
who it is), ``mtls`` (it shows a certificate that was registered for it).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from hashlib import sha256

import msgspec

from lienthong.errors import ClientNotAuthenticated, UnknownClient
from lienthong.transport.messages import Connection


class ConnectionType(StrEnum):
    """How a client system connects; each accepts what is stricter than itself."""

    HTTP = "http"
    HTTPS = "https"
    MTLS = "mtls"


class ClientSystem(msgspec.Struct, frozen=True):
    """One subsystem whose systems call this node. ``certificates``: SHA-256 of the DER, hex."""

    subsystem: str
    connection: ConnectionType
    certificates: frozenset[str] = frozenset()


class ClientRegistry:
    """Client systems by subsystem."""

    def __init__(self, systems: Iterable[ClientSystem] = ()) -> None:
        self._systems = {system.subsystem: system for system in systems}
        self._fingerprints: dict[bytes, str] = {}

    def put(self, system: ClientSystem) -> None:
        self._systems[system.subsystem] = system

    def remove(self, subsystem: str) -> None:
        self._systems.pop(subsystem, None)

    def all(self) -> list[ClientSystem]:
        return [each for _, each in sorted(self._systems.items())]

    def check(self, subsystem: str, connection: Connection) -> None:
        """Raises UnknownClient, ClientNotAuthenticated."""
        system = self._systems.get(subsystem)
        if system is None:
            raise UnknownClient(client=subsystem)
        if system.connection is ConnectionType.HTTP:
            return
        if not connection.secure:
            raise ClientNotAuthenticated(client=subsystem, wanted=system.connection.value)
        if system.connection is ConnectionType.HTTPS:
            return
        certificate = connection.peer_certificate
        if certificate is None or self._fingerprint(certificate) not in system.certificates:
            raise ClientNotAuthenticated(client=subsystem, wanted=system.connection.value)

    def _fingerprint(self, certificate: bytes) -> str:
        known = self._fingerprints.get(certificate)
        if known is None:
            if len(self._fingerprints) > 1000:
                self._fingerprints.clear()
            known = self._fingerprints[certificate] = sha256(certificate).hexdigest()
        return known
