"""X-Road's header fields of an envelope, and what they must agree with (PR-MESS 2.2).

said = read_headers(envelope)                    # client, service, version, id, user, …
check_message(said, request)                     # the envelope against the signed message
check_answer(envelope, answer_envelope)          # an answer repeats the request's fields
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from lienthong.errors import (
    SoapAnswerInconsistent,
    SoapFieldInvalid,
    SoapFieldMissing,
    SoapHeaderMissing,
    SoapInconsistent,
    SoapOperationMismatch,
    SoapVersionUnsupported,
)
from lienthong.exchange.soap.envelope import REPRESENTED_PARTY, Envelope, Field
from lienthong.exchange.xroad.headers import RepresentedParty, XRoadHeaders
from lienthong.identity.identifiers import NodeId, ServiceId, SubsystemId
from lienthong.ledger.messages import Request

_MEMBER = ("xRoadInstance", "memberClass", "memberCode")
# Any 4.x is compatible (PR-MESS 2.2); "4.x" itself stands in examples of PR-META.
_VERSION = re.compile(r"4(\.[0-9]{1,3}|\.x)?")


@dataclass(frozen=True, slots=True)
class SoapHeaders:
    """What the header of a request says."""

    client: SubsystemId
    service: ServiceId
    version: str
    id: str
    user: str
    issue: str
    security_server: NodeId | None
    represented_party: RepresentedParty | None

    def xroad(self, purpose: str | None) -> XRoadHeaders:
        """The same as the headers of X-Road REST would say it."""
        return XRoadHeaders(
            client=self.client,
            id=self.id,
            id_generated=False,
            user_id=self.user or None,
            issue=self.issue or None,
            security_server=self.security_server,
            represented_party=self.represented_party,
            purpose=purpose,
            soap=True,
        )

    @property
    def party(self) -> str:
        """``X-Road-Represented-Party`` as a message between nodes has it; or empty."""
        party = self.represented_party
        if party is None:
            return ""
        parts = (party.party_class, party.code)
        return "/".join(quote(part, safe="") for part in parts if part is not None)


def read_headers(envelope: Envelope) -> SoapHeaders:
    """Read a request's header. Raises leaves of SoapError, InvalidIdentifier."""
    if not envelope.has_header:
        raise SoapHeaderMissing()
    version = _text(envelope, "protocolVersion")
    if _VERSION.fullmatch(version) is None:
        raise SoapVersionUnsupported(version=version[:20])
    service = _compound(envelope, "service", "SERVICE")
    found = SoapHeaders(
        client=SubsystemId(*_parts("client", _client(envelope), "subsystemCode")),
        service=ServiceId(*_parts("service", service, "subsystemCode", "serviceCode")),
        version=service.parts.get("serviceVersion", ""),
        id=_text(envelope, "id"),
        user=_optional(envelope, "userId"),
        issue=_optional(envelope, "issue"),
        security_server=_security_server(envelope),
        represented_party=_represented_party(envelope),
    )
    # X-Road takes any element that begins with the code; a service that looks at the element
    # would then execute an operation that nobody granted.
    if envelope.operation != found.service.service:
        raise SoapOperationMismatch(operation=envelope.operation[:100])
    return found


def check_message(said: SoapHeaders, request: Request, node: str) -> None:
    """Refuse an envelope that says another thing than the signed message that carries it.

    The message was decided on, the envelope will be executed. Raises SoapInconsistent.
    """
    pairs = (
        ("client", str(said.client), request.client),
        ("service", str(said.service), request.service),
        ("id", said.id, request.message_id),
        ("userId", said.user, request.user),
        ("issue", said.issue, request.dossier),
        ("representedParty", said.party, request.represented_party),
    )
    for name, within, around in pairs:
        if within != around:
            raise SoapInconsistent(field=name)
    if said.security_server is not None and str(said.security_server) != node:
        raise SoapInconsistent(field="securityServer")


def check_answer(asked: Envelope, answered: Envelope) -> None:
    """An answer must repeat the request's fields with their values. A fault need not.

    Raises SoapAnswerInconsistent.
    """
    for name in sorted({*asked.fields, *answered.fields} - {"requestHash"}):
        sent, came = asked.fields.get(name), answered.fields.get(name)
        if sent is None or came is None or _value(sent) != _value(came):
            raise SoapAnswerInconsistent(field=name)
    if not answered.operation.startswith(asked.operation):
        raise SoapAnswerInconsistent(field="Body")


def _value(field: Field) -> tuple[str, dict[str, str]]:
    return field.text, field.parts


def _text(envelope: Envelope, name: str) -> str:
    text = _optional(envelope, name)
    if not text:
        raise SoapFieldMissing(field=name)
    return text


def _optional(envelope: Envelope, name: str) -> str:
    found = envelope.fields.get(name)
    return "" if found is None else found.text


def _compound(envelope: Envelope, name: str, kind: str) -> Field:
    found = envelope.fields.get(name)
    if found is None:
        raise SoapFieldMissing(field=name)
    if found.object_type != kind:
        raise SoapFieldInvalid(field=name, reason=f"objectType {kind} wanted")
    return found


def _client(envelope: Envelope) -> Field:
    return _compound(envelope, "client", "SUBSYSTEM")


def _parts(name: str, field: Field, *more: str) -> list[str]:
    parts = [field.parts.get(part, "") for part in (*_MEMBER, *more)]
    missing = [part for part in (*_MEMBER, *more) if not field.parts.get(part)]
    if missing:
        raise SoapFieldMissing(field=f"{name}/{missing[0]}")
    return parts


def _security_server(envelope: Envelope) -> NodeId | None:
    if "securityServer" not in envelope.fields:
        return None
    field = _compound(envelope, "securityServer", "SERVER")
    return NodeId(*_parts("securityServer", field, "serverCode"))


def _represented_party(envelope: Envelope) -> RepresentedParty | None:
    field = envelope.fields.get(REPRESENTED_PARTY)
    if field is None:
        return None
    code = field.parts.get("partyCode", "")
    if not code:
        raise SoapFieldMissing(field=f"{REPRESENTED_PARTY}/partyCode")
    return RepresentedParty(field.parts.get("partyClass") or None, code)


def version_of(service: str, version: str) -> str:
    """A service and its version, as people are told of them."""
    return f"{service}/{version}" if version else service
