"""A SOAP service behind this node: where each version of it is, and what its WSDL says.

Agreements are about the service's code without its version (PR-MESS 3.1); all versions of one
code keep one promise.
"""

from __future__ import annotations

from dataclasses import dataclass

from lienthong.errors import SoapActionRefused, UnknownService
from lienthong.exchange.soap.headers import version_of
from lienthong.sources.relay import Relay


@dataclass(frozen=True, slots=True)
class SoapVersion:
    """One version: where it is, the SOAPAction of its WSDL, and the WSDL for clients."""

    relay: Relay
    path: str  # "/" where the service's address ends with a slash
    soap_action: str
    wsdl: bytes


@dataclass(frozen=True, slots=True)
class SoapService:
    """All versions by their names; the empty name is a service without versions."""

    id: str
    versions: dict[str, SoapVersion]

    def version(self, name: str) -> SoapVersion:
        """Raises UnknownService."""
        found = self.versions.get(name)
        if found is None:
            raise UnknownService(service=version_of(self.id, name[:100]))
        return found


def check_action(version: SoapVersion, action: str | None) -> None:
    """Refuse a SOAPAction of another operation.

    Some services look at it and not at the body: it would be a way around the agreement.
    Empty and missing ones are as good as the right one. Raises SoapActionRefused.
    """
    given = (action or "").strip().strip('"')
    if given not in ("", version.soap_action):
        raise SoapActionRefused()
