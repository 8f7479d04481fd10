"""The X-Road headers of a request and of its answer (PR-REST 4.2, 4.3).

    headers = XRoadHeaders.read(request.headers, instance="VN")
    headers.client == SubsystemId("VN", "GOV", "H37", "motcua")

Names are lower-case here: HTTP does not tell them apart, and the transport lowers them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote

import msgspec

from lienthong.errors import InvalidHeader, MissingClient
from lienthong.identity.identifiers import NodeId, ServiceId, SubsystemId
from lienthong.ledger.messages import new_request_id
from lienthong.transport.messages import Headers, Request

# What X-Road's code drops in both directions (RestMessage.SKIPPED_HEADERS): they belong to one
# connection, or describe its two ends.
SKIPPED_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
SOAP_MARK = ("x-road-message-type", "SOAP")  # no client can send it over REST
# The consumer's node writes these itself; a client may not choose its request id or hash.
_FAULT_HEADERS = {"lienthong-error", "x-road-error"}
_NEVER_FROM_A_CLIENT = (
    SKIPPED_HEADERS
    | _FAULT_HEADERS
    | {
        SOAP_MARK[0],
        "x-road-request-hash",
        "x-road-request-id",
    }
)
_WRITTEN_ON_ANSWERS = SKIPPED_HEADERS | {
    "x-road-client",
    "x-road-id",
    "x-road-request-hash",
    "x-road-request-id",
    "x-road-service",
}
# A service may not pass for the exchange: neither name the parties nor forge a fault.
_NEVER_FROM_A_SERVICE = _WRITTEN_ON_ANSWERS | _FAULT_HEADERS
_READ = frozenset(
    {
        "lienthong-purpose",
        "x-road-client",
        "x-road-id",
        "x-road-issue",
        "x-road-represented-party",
        "x-road-security-server",
        "x-road-userid",
    }
)
LONGEST_VALUE = 255  # characters; X-Road's message log has columns of this length
_NOT_VISIBLE = re.compile(r"[^\x20-\x7e]")


class RepresentedParty(msgspec.Struct, frozen=True):
    """On whose behalf the client acts; X-Road does not check it against the directory."""

    party_class: str | None
    code: str


class XRoadHeaders(msgspec.Struct, frozen=True):
    """What a request says in its ``X-Road-*`` and ``Lienthong-Purpose`` headers."""

    client: SubsystemId
    id: str
    id_generated: bool
    user_id: str | None = None
    issue: str | None = None
    security_server: NodeId | None = None
    represented_party: RepresentedParty | None = None
    purpose: str | None = None
    soap: bool = False  # it came in an envelope: soap/headers.py

    @classmethod
    def read(cls, headers: Iterable[tuple[str, str]], instance: str) -> XRoadHeaders:
        """Read them; of a repeated header the last one counts, as in X-Road.

        Raises MissingClient, InvalidHeader, InvalidIdentifier.
        """
        values = {name: _checked(name, value) for name, value in headers if name in _READ}
        client = values.get("x-road-client")
        if client is None:
            raise MissingClient()
        message_id = values.get("x-road-id")
        server = values.get("x-road-security-server")
        party = values.get("x-road-represented-party")
        return cls(
            client=_client(client),
            id=message_id or f"{instance}-{new_request_id()}",
            id_generated=message_id is None,
            user_id=values.get("x-road-userid"),
            issue=values.get("x-road-issue"),
            security_server=_security_server(server) if server else None,
            represented_party=_represented_party(party) if party else None,
            purpose=values.get("lienthong-purpose"),
        )


def _checked(name: str, value: str) -> str:
    if len(value) > LONGEST_VALUE:
        raise InvalidHeader(header=name, reason=f"longer than {LONGEST_VALUE} characters")
    if _NOT_VISIBLE.search(value) is not None:
        raise InvalidHeader(header=name, reason="not visible ASCII; percent-encode UTF-8")
    value = value.strip(" ")
    if not value:
        raise InvalidHeader(header=name, reason="empty")
    return value


def purpose_of(request: Request) -> str | None:
    """``Lienthong-Purpose`` of a request. Raises InvalidHeader."""
    value = request.header("lienthong-purpose")
    return None if value is None else _checked("lienthong-purpose", value)


@lru_cache(maxsize=4096)
def _client(value: str) -> SubsystemId:
    return SubsystemId.parse(value)


@lru_cache(maxsize=1024)
def _security_server(value: str) -> NodeId:
    return NodeId.parse(value)


@lru_cache(maxsize=1024)
def _represented_party(value: str) -> RepresentedParty:
    parts = value.split("/")
    try:
        decoded = [unquote(part, errors="strict") for part in parts]
    except UnicodeDecodeError as error:
        raise InvalidHeader(header="x-road-represented-party", reason="not UTF-8") from error
    if len(parts) > 2 or not all(decoded) or any(not part.isprintable() for part in decoded):
        raise InvalidHeader(header="x-road-represented-party", reason="[class/]code wanted")
    return RepresentedParty(decoded[0] if len(parts) == 2 else None, decoded[-1])


@lru_cache(maxsize=8192)
def encoded(identifier: SubsystemId | ServiceId) -> str:
    """Return the percent-encoded form of an identifier; the same few come again and again."""
    return identifier.encoded


def client_headers(headers: Headers, *, soap: bool = False) -> Headers:
    """Return what of a client's headers travels on, with a mark when it speaks SOAP."""
    passed = passthrough(headers, _NEVER_FROM_A_CLIENT)
    if soap:
        passed.append(SOAP_MARK)
    return passed


def request_headers(passed: Headers, xroad: XRoadHeaders, request_id: str) -> Headers:
    """Return ``client_headers`` with the ids that the node has given.

    The order is X-Road's, on which the request hash depends: the client's own headers as they
    came, then ``x-road-request-id``, then ``x-road-id`` when the client sent none.
    """
    given = [*passed, ("x-road-request-id", request_id)]
    if xroad.id_generated:
        given.append(("x-road-id", xroad.id))
    return given


def service_headers(headers: Headers) -> Headers:
    """Return what of a service's own headers its node signs and sends on."""
    return passthrough(headers, _NEVER_FROM_A_SERVICE)


def response_headers(
    headers: Headers, xroad: XRoadHeaders, service: ServiceId, request_id: str, request_hash: str
) -> Headers:
    """Return the headers of the provider's answer, and X-Road's five behind them.

    A fault that the provider's *node* tells of stays; it has signed it.
    """
    passed = passthrough(headers, _WRITTEN_ON_ANSWERS)
    passed += (
        ("x-road-id", xroad.id),
        ("x-road-client", encoded(xroad.client)),
        ("x-road-service", encoded(service)),
        ("x-road-request-id", request_id),
        ("x-road-request-hash", request_hash),
    )
    return passed


def passthrough(headers: Headers, dropped: frozenset[str] = SKIPPED_HEADERS) -> Headers:
    """Return the headers without those of one connection.

    Beyond X-Road, a header that ``Connection`` names is dropped too (RFC 9110 §7.6.1), except
    X-Road's own: a client cannot make a node forget who is asking.
    """
    passed = [pair for pair in headers if pair[0] not in dropped]
    for name, value in headers:
        if name == "connection" and value not in _USUAL_CONNECTION:
            passed = _without_named(passed, value)
    return passed


_USUAL_CONNECTION = frozenset({"keep-alive", "close", "Keep-Alive", "Close"})


def _without_named(headers: Headers, connection: str) -> Headers:
    named = {token.strip().lower() for token in connection.split(",")}
    return [
        pair
        for pair in headers
        if pair[0] not in named or pair[0].startswith(("x-road-", "lienthong-"))
    ]
