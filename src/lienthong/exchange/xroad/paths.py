"""The request target of the X-Road REST interface (PR-REST 4.1).

    parse_service_target("/r1/VN/GOV/G01/dancu/cong-dan/records/5?fields=ho_ten")
    == ServiceTarget(ServiceId(…), "/records/5", "fields=ho_ten", None)

Nothing but the identifier is decoded: the rest of the path and the query travel as they came.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl

from lienthong.errors import (
    AmbiguousParameter,
    InvalidIdentifier,
    MalformedTarget,
    MissingParameter,
    ReservedServiceCode,
    UnsupportedMethod,
    UnsupportedProtocolVersion,
)
from lienthong.identity.identifiers import ServiceId

LIST_CLIENTS = "/listClients"
LIST_METHODS = "listMethods"
ALLOWED_METHODS = "allowedMethods"
GET_OPENAPI = "getOpenAPI"
GET_WSDL = "getWsdl"  # over SOAP only
METASERVICES = frozenset({LIST_METHODS, ALLOWED_METHODS, GET_OPENAPI, GET_WSDL})
# X-Road reserves these since 7.7.0 (XRDDEV-599).
RESERVED_SERVICE_CODES = METASERVICES | {
    "getSecurityServerHealthData",
    "getSecurityServerMetrics",
    "getSecurityServerOperationalData",
}
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
LONGEST_TARGET = 16_384  # characters; longer ones are refused before they are copied around
LARGEST_PARAMETER_COUNT = 100
# RFC 3986 leaves visible ASCII only; '#' starts a fragment, which never travels.
_FORBIDDEN = re.compile(r"[^\x21-\x7e]|#")
_SHOWN = 100  # characters of a bad target that an error repeats
_IDENTIFIER_PARTS = slice(2, 7)


class ServiceTarget(NamedTuple):
    """Whom a request is for: ``path`` is ``""`` or begins with ``/``; ``query`` has no ``?``."""

    service: ServiceId
    path: str
    query: str
    metaservice: str | None


@lru_cache(maxsize=4096)
def _service(identifier: str) -> ServiceId:
    try:
        return ServiceId.parse(identifier)
    except InvalidIdentifier as error:
        reason = error.facts["reason"]
        raise MalformedTarget(target=_printable(identifier), reason=reason) from error


def parse_service_target(target: str) -> ServiceTarget:
    """Read ``/r1/{instance}/{class}/{member}/{subsystem}/{service}[/path][?query]``.

    Exactly five identifier parts: PR-REST calls the subsystem optional, X-Road's code does not.
    Raises MalformedTarget, UnsupportedProtocolVersion.
    """
    if len(target) > LONGEST_TARGET or _FORBIDDEN.search(target) is not None:
        raise MalformedTarget(target=_printable(target), reason="too long or forbidden character")
    whole_path, _, query = target.partition("?")
    parts = whole_path.split("/", 7)
    if len(parts) < 7 or parts[0]:
        raise MalformedTarget(target=_printable(target), reason="five identifier parts wanted")
    if parts[1] != "r1":
        _refuse_version(parts[1], target)
    service = _service("/".join(parts[_IDENTIFIER_PARTS]))
    path = f"/{parts[7]}" if len(parts) == 8 else ""
    metaservice = service.service if service.service in METASERVICES else None
    return ServiceTarget(service, path, query, metaservice)


def check_method(method: str, metaservice: str | None = None) -> None:
    """Refuse what X-Road does not pass on, and all but GET for a metaservice.

    Raises UnsupportedMethod.
    """
    if method not in METHODS or (metaservice is not None and method != "GET"):
        raise UnsupportedMethod(method=_FORBIDDEN.sub("?", method[:_SHOWN]))


def is_list_clients(target: str) -> bool:
    """Tell whether the target is the metaservice that has no identifier of its own."""
    return target.partition("?")[0] == LIST_CLIENTS


def query_parameter(query: str, name: str, *, required: bool = False) -> str | None:
    """Read one decoded parameter of a metaservice's query.

    Raises MalformedTarget, MissingParameter, AmbiguousParameter.
    """
    try:
        pairs = parse_qsl(
            query,
            keep_blank_values=True,
            errors="strict",
            max_num_fields=LARGEST_PARAMETER_COUNT,
        )
    except ValueError as error:  # UnicodeDecodeError among them
        raise MalformedTarget(target=_printable(query), reason="query cannot be read") from error
    values = [value for key, value in pairs if key == name]
    if len(values) > 1:
        raise AmbiguousParameter(parameter=name)
    if required and (not values or not values[0]):
        raise MissingParameter(parameter=name)
    return values[0] if values else None


def check_service_code(code: str) -> None:
    """Refuse a code that names a metaservice. Raises ReservedServiceCode."""
    if code in RESERVED_SERVICE_CODES:
        raise ReservedServiceCode(service=code)


def _refuse_version(version: str, target: str) -> None:
    if re.fullmatch(r"r[0-9]", version):
        raise UnsupportedProtocolVersion(version=version)
    raise MalformedTarget(target=_printable(target), reason="must begin with /r1/")


def _printable(target: str) -> str:
    """Return the identifier part of a bad target: behind it a personal key may follow."""
    shown = "/".join(target.partition("?")[0].split("/", 7)[:7])
    return _FORBIDDEN.sub("?", shown[:_SHOWN])
