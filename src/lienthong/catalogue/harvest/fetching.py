"""Asking a source over HTTP without trusting it in anything.

    with Fetcher(networks=(), until=time.monotonic() + 3600) as fetcher:
        answer = fetcher.get("https://du-lieu.example.vn/catalog.ttl", tag='W/"…"')

- Only http and https; only addresses of the public Internet, and those of ``networks``. A name is
  looked up once, judged, and connected to by the address that was judged: a second look-up could
  give another one (DNS rebinding). Each redirect is judged like the first address.
- An answer has at most ``LARGEST_ANSWER_BYTES``, also after unpacking, and takes at most
  ``LONGEST_ANSWER_SECONDS``: a timer closes the connection of a source that drips.
- Server errors and cut connections are tried again twice.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from lienthong import __version__

LARGEST_ANSWER_BYTES = 32 << 20
LONGEST_ANSWER_SECONDS = 120.0
MOST_REDIRECTS = 5
TRIES = 3
PAUSE_SECONDS = 1.0  # before the second try; twice as long before the third
_CHUNK = 1 << 16
_REDIRECTS = (301, 302, 303, 307, 308)
_TRANSIENT = (429, 500, 502, 503, 504)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class SourceFailed(Exception):
    """The source did not answer, or not so that it can be used; the text is an English reason.

    ``again``: it may go better another time.
    """

    def __init__(self, reason: str, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


class Answer(NamedTuple):
    """What came; ``url`` is where it came from in the end. Status 304: nothing has changed."""

    status: int
    body: bytes
    type: str
    tag: str
    url: str


class Fetcher:
    """Asks one source until ``until`` (monotonic seconds)."""

    def __init__(
        self, networks: Sequence[Network], until: float, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        self._networks = networks
        self._until = until
        self._pause = pause_seconds
        self._tls = ssl.create_default_context()

    def get(self, url: str, accept: str = "*/*", tag: str = "") -> Answer:
        """Ask; ``tag`` is that of an answer which is known. Raises SourceFailed."""
        for number in range(TRIES):
            try:
                return self._follow(url, accept, tag)
            except SourceFailed as error:
                if not error.again or number == TRIES - 1:
                    raise
            time.sleep(min(self._pause * 2**number, max(0.0, self._left())))
        raise AssertionError("unreachable")

    def _left(self) -> float:
        return self._until - time.monotonic()

    def _follow(self, url: str, accept: str, tag: str) -> Answer:
        for _ in range(MOST_REDIRECTS + 1):
            headers = {"Accept": accept, **({"If-None-Match": tag} if tag else {})}
            status, found, body = self._ask(url, headers)
            if status not in _REDIRECTS:
                return self._judge(status, found, body, url)
            place = joined(url, found.get("location", ""))
            if _is_https(url) and not _is_https(place):
                raise SourceFailed("a redirect leads away from https")
            url = place
        raise SourceFailed("too many redirects")

    def _judge(
        self, status: int, headers: http.client.HTTPMessage, body: bytes, url: str
    ) -> Answer:
        if status not in (200, 304):
            raise SourceFailed(f"status {status}", again=status in _TRANSIENT)
        kind = headers.get("content-type", "").split(";")[0].strip().lower()
        return Answer(status, body, kind, headers.get("etag", "")[:200], url)

    def _ask(self, url: str, headers: dict[str, str]) -> tuple[int, http.client.HTTPMessage, bytes]:
        seconds = min(LONGEST_ANSWER_SECONDS, self._left())
        if seconds <= 0:
            raise SourceFailed("it takes too long")
        connection, target = self._connect(url, seconds)
        sock = connection.sock
        timer = threading.Timer(seconds, _close, (sock,))
        timer.daemon = True
        timer.start()
        try:
            connection.request("GET", target, headers=headers | _OWN_HEADERS)
            response = connection.getresponse()
            body = self._read(response)
            if not timer.is_alive():  # its end may be ours
                raise SourceFailed("it takes too long")
            return response.status, response.headers, body
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = not timer.is_alive()
            reason = "it takes too long" if late else f"connection: {type(error).__name__}"
            raise SourceFailed(reason, again=not late) from error
        finally:
            timer.cancel()
            connection.close()

    def _connect(self, url: str, seconds: float) -> tuple[http.client.HTTPConnection, str]:
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").encode("idna").decode(), parts.port
        except ValueError as error:  # UnicodeError is one
            raise SourceFailed("no address") from error
        if parts.scheme not in ("http", "https") or not host or parts.username is not None:
            raise SourceFailed("no http or https address")
        port = port or (443 if parts.scheme == "https" else 80)
        address = self._resolve(host, port)
        timeout = min(seconds, 30.0)
        try:
            sock = socket.create_connection((str(address), port), timeout)
            if parts.scheme == "https":
                sock = self._tls.wrap_socket(sock, server_hostname=host)
        except OSError as error:
            raise SourceFailed(f"connection: {type(error).__name__}", again=True) from error
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(host, port)
        connection.sock = sock
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        target = quote(target, safe=_IN_TARGET)
        return connection, target

    def _resolve(self, host: str, port: int) -> Address:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise SourceFailed("the name is not known", again=True) from error
        addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
        for address in addresses:
            if not self._may_ask(address):
                raise SourceFailed("its address is not public, and harvest_networks has it not")
        return addresses[0]

    def _may_ask(self, address: Address) -> bool:
        inner = _inner(address)
        if any(inner in network for network in self._networks if network.version == inner.version):
            return True
        return inner.is_global and not inner.is_multicast and not inner.is_reserved

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        packed = response.headers.get("content-encoding", "identity").strip().lower()
        if packed not in ("identity", "", "gzip"):
            raise SourceFailed("an encoding that was not asked for")
        unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if packed == "gzip" else None
        if response.length is None and not response.chunked:
            raise SourceFailed("an answer whose end nothing tells")
        body = bytearray()
        while chunk := response.read1(_CHUNK):
            try:
                body += unpack.decompress(chunk, LARGEST_ANSWER_BYTES + 1) if unpack else chunk
            except zlib.error as error:
                raise SourceFailed("not gzip") from error
            if len(body) > LARGEST_ANSWER_BYTES or (unpack and unpack.unconsumed_tail):
                raise SourceFailed(f"over {LARGEST_ANSWER_BYTES} bytes")
        if response.length or (unpack and not unpack.eof):
            raise SourceFailed("cut off", again=True)
        return bytes(body)


def joined(base: str, place: str) -> str:
    """An address that another one names. Raises SourceFailed."""
    try:
        return urljoin(base, place)
    except ValueError as error:
        raise SourceFailed("no address") from error


_OWN_HEADERS = {
    "User-Agent": f"lienthong/{__version__} (harvest)",
    "Accept-Encoding": "gzip",
    "Connection": "close",
}


def _inner(address: Address) -> Address:
    """The IPv4 address within an IPv6 one that leads to it, as IPv4 judges it."""
    if isinstance(address, ipaddress.IPv6Address):
        if inner := address.ipv4_mapped or address.sixtofour:
            return inner
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


_IN_TARGET = "%/?:@!$&'()*+,;=-._~"
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _is_https(url: str) -> bool:
    return url.lower().startswith("https:")


def _close(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it was closed already
        sock.shutdown(socket.SHUT_RDWR)
