"""An existing HTTP service, passed through as it is.

    relay = Relay("http://127.0.0.1:9000/api", pool)
    response = await relay.send("GET", "/so/7", "nam=2024", headers, body, 60)

What X-Road does, so that services written for it need no change (PR-REST §4): the path below
the service is joined to the service's address with a single ``/``, the query is untouched,
headers that belong to one connection are dropped in both directions, redirects are not
followed, and whatever the service answers, errors too, is passed on.
"""

from __future__ import annotations

import logging
import re
import ssl
from urllib.parse import urlsplit

from lienthong.errors import (
    ConnectFailed,
    InvalidAddress,
    PeerClosed,
    RelayAddressInvalid,
    RelayAnswerUnusable,
    RelayTargetInvalid,
    RelayTimeout,
    RelayUnreachable,
    RequestUnsendable,
    ResponseMalformed,
    ResponseTooLarge,
    TimedOut,
    TlsFailed,
    TransportError,
)
from lienthong.events import log_event
from lienthong.transport.client import Address, Transport
from lienthong.transport.messages import Body, Headers, Request, Response
from lienthong.transport.tls import client_context

# RestMessage.SKIPPED_HEADERS of X-Road.
SKIPPED_HEADERS = frozenset(
    {
        "transfer-encoding",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "upgrade",
        "connection",
        "user-agent",
        "host",
        "content-length",
        "server",
        "expect",
    }
)
_TARGET = re.compile(r"[!-~]*\Z")  # printable ASCII without space: nothing that splits a request
_logger = logging.getLogger(__name__)


class Relay:
    """One existing service behind a node.

    ``transport`` decides about TLS: give it the context of ``relay_tls_context``.
    """

    def __init__(self, url: str, transport: Transport) -> None:
        """Raises RelayAddressInvalid."""
        self.address, self._base = _parse(url)
        self._transport = transport

    async def send(
        self,
        method: str,
        path: str,
        query: str,
        headers: Headers,
        body: Body,
        timeout_seconds: float,
    ) -> Response:
        """Pass one request on; ``path`` and ``query`` are percent-encoded, as on the wire.

        Raises RelayTargetInvalid, RelayTimeout, RelayUnreachable, RelayAnswerUnusable.
        """
        request = Request(method, self._target(path, query), passed_headers(headers), body)
        try:
            response = await self._transport.send(
                self.address, request, timeout_seconds=timeout_seconds
            )
        except TimedOut as error:
            self._log(error, request)
            raise RelayTimeout(seconds=f"{timeout_seconds:g}") from error
        except RequestUnsendable as error:
            raise RelayTargetInvalid() from error
        except (ResponseMalformed, ResponseTooLarge) as error:
            self._log(error, request)
            raise RelayAnswerUnusable() from error
        except (ConnectFailed, TlsFailed, PeerClosed) as error:
            self._log(error, request)
            raise RelayUnreachable() from error
        return Response(
            response.status,
            passed_headers(response.headers),
            response.body,
            response.reason,
            response.connection,
        )

    def _log(self, error: TransportError, request: Request) -> None:
        """For the provider's own log only: where its services stand is not for consumers."""
        log_event(
            _logger,
            logging.WARNING,
            "relay.failed",
            request_id=request.header("x-road-request-id"),
            address=str(self.address),
            reason=str(error),
        )

    def _target(self, path: str, query: str) -> str:
        joined = f"{self._base}/{path.removeprefix('/')}" if path else self._base or "/"
        target = f"{joined}?{query}" if query else joined
        if not _TARGET.match(target):
            raise RelayTargetInvalid()
        return target


def passed_headers(headers: Headers) -> Headers:
    """Return the headers without those that belong to one connection."""
    dropped = SKIPPED_HEADERS
    for name, value in headers:
        if name == "connection":
            dropped = dropped | {part.strip().lower() for part in value.split(",")}
    return [(name, value) for name, value in headers if name not in dropped]


def relay_tls_context(verify: bool = True, authorities_pem: str | None = None) -> ssl.SSLContext:
    """Make the TLS context for services behind a node.

    ``authorities_pem`` are the agency's own authorities; None: the system's. ``verify=False``
    takes any certificate, as X-Road does unless told otherwise: for a service on the same
    machine only. Raises TlsConfigurationInvalid.
    """
    context = client_context(authorities_pem=authorities_pem, check_hostname=verify)
    if not verify:
        context.verify_mode = ssl.CERT_NONE
    return context


def _parse(url: str) -> tuple[Address, str]:
    try:
        address = Address.parse(url)
        parts = urlsplit(url)
    except (InvalidAddress, ValueError) as error:
        raise RelayAddressInvalid(reason="http://host/path wanted") from error
    if parts.query or parts.fragment or parts.password or "?" in url or "#" in url:
        raise RelayAddressInvalid(reason="query, fragment or password")
    base = parts.path.rstrip("/")
    if not _TARGET.match(base) or not 0 < address.port < 65536:
        raise RelayAddressInvalid(reason="path or port")
    return address, base
