"""An error of the exchange, as X-Road's clients expect to be told of it.

    fault = Fault.of(error, Place.PROVIDER, error_id, language_of(accept_language))
    response = fault_response(fault, accept=request.header("accept"), spelling="camel")

The type is a place and X-Road's name of the error: ``Server.ServerProxy.AccessDenied``. Up to
7.7 X-Road wrote it so; 7.8.0 writes ``server.serverproxy.access_denied``. Inside Liên Thông the
first form is used; the setting ``error_spelling`` chooses what clients see.

Where X-Road's specification and code differ, the code is followed, since clients were tested
against it: the status is 500 for every type that begins with ``Server.`` and 400 for the rest
(ClientRestMessageHandler.sendErrorResponse), even where PR-REST 4.6 shows 400 for a malformed
request. The exact cause stands in ``Lienthong-Error``, our own code, beside ``X-Road-Error``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

import msgspec
from lxml import etree

from lienthong.errors import LienthongError, MalformedFault
from lienthong.exchange.xroad.xml import xml_bytes, xml_text
from lienthong.transport.messages import Body, Headers, Response

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*){1,7}")
_CODE = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_DETAIL = re.compile(r"[\x21-\x7e]{1,100}")
_FAULT_ID = re.compile(rb'(?:"detail":"|<detail>)([0-9A-Za-z-]{1,100})["<]')
LARGEST_FAULT_BYTES = 65_536
LONGEST_MESSAGE = 4096  # characters; a peer's text is shown to people, not stored without end
_XML_TYPES = {
    "text/xml": "text/xml",
    "application/xml": "application/xml",
    "text/*": "text/xml",
}
# 7.8.0 renamed a few codes besides respelling all of them (commit 4229e1292e).
_RENAMED = {"OutdatedGlobalConf": "global_conf_outdated", "InvalidServiceType": "service_type"}
_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PLACES = frozenset({"Client", "Server", "ClientProxy", "ServerProxy"})


class Place(StrEnum):
    """Where an error arose, in X-Road's words."""

    CLIENT = "Client"
    CONSUMER = "Server.ClientProxy"
    PROVIDER = "Server.ServerProxy"


class _FaultBody(NamedTuple):
    type: str
    message: str
    detail: str


class Fault(msgspec.Struct, frozen=True):
    """An error that may travel between nodes: ``detail`` is its id in both nodes' logs.

    Raises MalformedFault when made of what cannot be put into a header.
    """

    type: str
    code: str
    message: str
    detail: str

    def __post_init__(self) -> None:
        for name, text, form in (
            ("type", self.type, _TYPE),
            ("code", self.code, _CODE),
            ("detail", self.detail, _DETAIL),
        ):
            if len(text) > 255 or form.fullmatch(text) is None:
                raise MalformedFault(part=name)
        if len(self.message) > LONGEST_MESSAGE:
            raise MalformedFault(part="message")

    @classmethod
    def of(cls, error: LienthongError, place: Place, error_id: str, language: str = "vi") -> Fault:
        """Describe ``error``: what went wrong and, in the same message, what to do about it."""
        message = f"{error.message(language)} {error.remedy(language)}"
        return cls(f"{place}.{error.xroad}", error.code, message[:LONGEST_MESSAGE], error_id)

    @property
    def status(self) -> int:
        return 500 if self.type.startswith("Server.") else 400


def fault_response(fault: Fault, accept: str | None, spelling: str) -> Response:
    """Make the answer; ``accept`` is the client's header, ``spelling`` ``camel`` or ``snake``."""
    kind = fault.type if spelling == "camel" else snake_spelling(fault.type)
    media_type = error_media_type(accept or "")
    render = _as_json if media_type == "application/json" else _as_xml
    headers = [
        ("content-type", f"{media_type};charset=utf-8"),
        ("x-road-error", kind),
        ("lienthong-error", fault.code),
    ]
    body = render(_FaultBody(kind, xml_text(fault.message), fault.detail))
    return Response(status=fault.status, headers=headers, body=Body.of(body))


def respelled_fault(headers: Headers, body: Body, spelling: str) -> tuple[Headers, Body]:
    """Spell a fault of another node, which is signed in the first form, for this node's clients."""
    kind = dict(headers).get("x-road-error", "")
    if spelling == "camel" or not kind or body.size > LARGEST_FAULT_BYTES:
        return headers, body
    other = snake_spelling(kind)
    spelled = [(name, other if name == "x-road-error" else value) for name, value in headers]
    return spelled, Body.of(body.read().replace(kind.encode(), other.encode(), 1))


class Told(NamedTuple):
    """An answer that may be a fault."""

    outcome: str
    body: Body


def fault_id(told: Told) -> str:
    """The id of the error that an answer tells of; empty for one that went well."""
    if told.outcome == "answered" or told.body.size > LARGEST_FAULT_BYTES:
        return ""
    found = _FAULT_ID.search(told.body.read())
    return found[1].decode() if found else ""


def _as_json(body: _FaultBody) -> bytes:
    return msgspec.json.encode(body._asdict())


def _as_xml(body: _FaultBody) -> bytes:
    root = etree.Element("error")
    for name, text in body._asdict().items():
        etree.SubElement(root, name).text = text
    return xml_bytes(root)


@lru_cache(maxsize=1024)
def snake_spelling(camel: str) -> str:
    """``Server.ServerProxy.AccessDenied`` → ``server.serverproxy.access_denied``."""
    return ".".join(
        part.lower() if part in _PLACES else _RENAMED.get(part, _snake(part))
        for part in camel.split(".")
    )


def _snake(word: str) -> str:
    return _WORD_STARTS.sub("_", word).lower()


def error_media_type(accept: str) -> str:
    """Return XML when ``Accept`` holds an XML type, JSON for anything else, as X-Road does.

    X-Road does not weigh ``q``; nor does this.
    """
    for item in accept.split(","):
        found = _XML_TYPES.get(item.partition(";")[0].strip().lower())
        if found is not None:
            return found
    return "application/json"


@lru_cache(maxsize=256)
def language_of(accept_language: str | None, default: str = "vi") -> str:
    """Return ``vi`` or ``en`` by ``Accept-Language`` (RFC 9110 §12.5.4)."""
    weights: dict[str, float] = {}
    for item in (accept_language or "")[:1000].split(","):
        tag, _, parameters = item.partition(";")
        language = tag.strip().lower().partition("-")[0]
        if language in {"vi", "en"}:
            weights[language] = max(_weight(parameters), weights.get(language, 0.0))
    best = max(weights, key=_preference(weights, default), default=default)
    return best if weights.get(best, 0.0) > 0.0 else default


def _preference(weights: dict[str, float], default: str) -> Callable[[str], tuple[float, bool]]:
    return lambda language: (weights[language], language == default)


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    found = re.fullmatch(r"\s*([01](?:\.[0-9]{0,3})?)\s*", value)
    return min(float(found[1]), 1.0) if found else 0.0
