"""Requests and responses that two programs could read in two ways: the smuggler's corpus."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st

from lienthong.errors import TransportError
from lienthong.transport.client import Address, ConnectionPool
from lienthong.transport.limits import Limits, PoolLimits
from lienthong.transport.messages import Request, Response
from tests.fixtures.hostile_corpus import CUTS, Corpus, cut
from tests.fixtures.http_reference import requests_in, response_in
from tests.fixtures.transport_talk import HOST, raw_server, serving

LIMITS = Limits(
    head_bytes=3000,
    target_bytes=1000,
    header_count=20,
    body_bytes=5000,
    header_seconds=5,
    idle_seconds=5,
    linger_seconds=0.01,
    sweep_seconds=0.01,
)
POOL_LIMITS = PoolLimits(head_bytes=3000, header_count=20, body_bytes=5000, sweep_seconds=0.02)
LINES = [
    *(
        b"GET / HTTP/1.1\r\n",
        b"POST /a HTTP/1.1\r\n",
        b"POST /a?b HTTP/1.0\r\n",
        b"GET / HTTP/2.0\r\n",
    ),
    *(
        b"GET http://h/x HTTP/1.1\r\n",
        b"GET x HTTP/1.1\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"GET /\r\n",
    ),
    *(b"GET /\ta HTTP/1.1\r\n", b"GET  / HTTP/1.1\r\n", b"get / HTTP/1.1\r\n", b"GET / HTTP/1.1\n"),
    *(b"CONNECT h:1 HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1 \r\n"),
    *(b"GET / HTTP/1.1\r\r\n", b"\r\nGET / HTTP/1.1\r\n", b"GET /%s HTTP/1.1\r\n" % (b"a" * 1200)),
    *(
        b"SEARCH / HTTP/1.1\r\n",
        b"BREW / HTTP/1.1\r\n",
        b"GET / HTTP/1.10\r\n",
        b"GET ? HTTP/1.1\r\n",
    ),
]
FIELDS = [
    *(b"Host: h\r\n", b"Host: h\r\n", b"Host: h\r\nHost: h\r\n", b"Host : h\r\n", b"host:h\r\n"),
    *(b"Content-Length: 3\r\n", b"Content-Length: 03\r\n", b"Content-Length: +3\r\n"),
    *(b"Content-Length: 3\r\nContent-Length: 5\r\n", b"Content-Length: 3, 3\r\n"),
    *(b"Content-Length: 0x3\r\n", b"Content-Length: 3 \r\n", b"Content-Length:\r\n 3\r\n"),
    *(b"Content-Length: -1\r\n", b"Content-Length: 99999\r\n", b"Content-Length: %d\r\n" % 2**64),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: chunked, identity\r\n"),
    *(b"Transfer-Encoding: identity\r\n", b"Transfer-Encoding: identity, chunked\r\n"),
    *(b"Transfer-Encoding : chunked\r\n", b"Transfer-Encoding:\x0bchunked\r\n"),
    *(b"Transfer-Encoding: xchunked\r\n", b"Transfer-Encoding: Chunked\r\n"),
    *(b"Transfer-Encoding:\r\n chunked\r\n", b"Transfer-Encoding: chunked\n"),
    *(
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer_Encoding: chunked\r\n",
    ),
    *(
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"X: a\r\n folded\r\n",
        b"X: a\rb\r\n",
        b"X: a\nb: c\r\n",
    ),
    *(
        b"X: \x00\r\n",
        b": x\r\n",
        b"X\r\n",
        b" X: y\r\n",
        b"X:\r\n",
        b"X: \x1b[2J\r\n",
        b"X: \xff\r\n",
    ),
    *(
        b"Connection: close\r\n",
        b"Connection: keep-alive\r\n",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    ),
    *(
        b"Expect: 100-continue\r\n",
        b"Expect: x\r\n",
        b"X: %s\r\n" % (b"a" * 3500),
        b"A: b\r\n" * 25,
    ),
    *(b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", b"Trailer: x\r\n"),
]
BODIES = [
    *(
        b"abc",
        b"3\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n",
        b"3;x=y\r\nabc\r\n0\r\n\r\n",
        b"0\r\n\r\n",
    ),
    *(
        b"3\nabc\n0\n\n",
        b"03\r\nabc\r\n0\r\nX: y\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n",
    ),
    *(
        b"3 \r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcX0\r\n\r\n",
        b"ffffffffffffffffff\r\nabc",
        b"-3\r\nabc\r\n",
    ),
    *(
        b"3;\n\r\nabc\r\n0\r\n\r\n",
        b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: h\r\n\r\n",
        b"5\r\nabc\r\n\r\n",
    ),
    *(b"1\r\na\r\n" * 300 + b"0\r\n\r\n", b"1770\r\n" + b"a" * 6000 + b"\r\n0\r\n\r\n", b"0\r\n\r"),
    *(
        b"GET /admin HTTP/1.1\r\nHost: h\r\n\r\n",
        b"3;" + b"x" * 4000 + b"\r\nabc\r\n0\r\n\r\n",
        b"",
    ),
]
MESSAGE = st.builds(
    lambda line, fields, body: b"".join([line, *fields, b"\r\n", body]),
    st.sampled_from(LINES),
    st.lists(st.sampled_from(FIELDS), max_size=4),
    st.sampled_from(BODIES),
)
GOOD = [
    b"POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n0\r\nX: y\r\n\r\n",
    b"GET /b HTTP/1.1\r\nHost: h\r\nX: y\r\nConnection: close\r\n\r\n",
    b"GET /b HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
]
IGNORED = {"upgrade", "connection", "http2-settings"}  # a wish to upgrade is passed over


def kept(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value.strip(" \t")) for name, value in headers if name not in IGNORED]


def path_of(target: str) -> str:
    """A target as the handler sees it (RFC 9112 §3.2.2)."""
    if "://" not in target or target.startswith("/"):
        return target
    rest = target.partition("://")[2]
    place = min((rest.find(each) for each in "/?#" if each in rest), default=len(rest))
    return rest[place:] if rest[place:].startswith("/") else f"/{rest[place:]}"


class Server:
    """One server for all inputs; ``judge`` sends one and compares what its handler saw."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.seen: list[tuple[str, str, list[tuple[str, str]], bytes]] = []
        self.refused: list[TransportError] = []
        self.port = 0

    async def handle(self, request: Request) -> Response:
        body = b"".join(request.body.chunks())
        self.seen.append((request.method, request.target, kept(request.headers), body))
        return Response(200, [], request.body)

    def refuse(self, error: TransportError, _error_id: str) -> Response:
        self.refused.append(error)
        return Response(400)

    async def judge(self, content: bytes, near: bool) -> None:
        self.seen.clear()
        self.refused.clear()
        reader, writer = await asyncio.open_connection(HOST, self.port)
        for piece in pieces(content):
            writer.write(piece)
            if len(content) < 300:
                await asyncio.sleep(0)
        answer = b""
        with suppress(OSError):
            writer.write_eof()
            answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
        self.corpus.inputs += 1
        self.corpus.signed_again += near
        self.corpus.accepted += len(self.seen)
        for error in self.refused:
            assert str(error).isprintable()
            self.corpus.note(error)
        wanted = [
            (one.first, path_of(one.target), kept(one.headers), one.body)
            for one in requests_in(content)
        ]
        assert self.seen == wanted[: len(self.seen)], content


def pieces(content: bytes) -> list[bytes]:
    """The same bytes in up to three writes; where they are cut follows from them."""
    cuts = random.Random(content)
    places = sorted(cuts.randrange(len(content) + 1) for _ in range(2))
    return [content[: places[0]], content[places[0] : places[1]], content[places[1] :]]


def in_loop(
    loop: asyncio.AbstractEventLoop, judge: Callable[..., Awaitable[None]], near: bool
) -> Callable[[Any], None]:
    return lambda content: loop.run_until_complete(judge(content, near))


def test_the_handler_sees_the_requests_that_a_strict_reader_reads() -> None:
    corpus = Corpus(
        "HTTP request",
        "transport/request_reader.py",
        elsewhere=[
            "transport/request_reader.py:RequestReader._head_too_large",  # makes the error
            "transport/request_reader.py:RequestReader._spilled",  # a full disk
            # Made and not raised, so that no place is known to count:
            "transport/request_reader.py:RequestReader._check_body:HttpMalformed#1",
            "transport/request_reader.py:RequestReader._feed:HttpMalformed#1",
            "transport/request_reader.py:RequestReader.on_headers_complete:HttpMethodNotSupported",
        ],
    )
    server = Server(corpus)
    loop = asyncio.new_event_loop()

    async def start() -> Any:
        context = serving(server.handle, limits=LIMITS, refusal=server.refuse)
        server.port = (await context.__aenter__()).port
        return context

    context = loop.run_until_complete(start())
    one = in_loop(loop, server.judge, True)
    for line in LINES:
        one(line + b"Host: h\r\n\r\n")
    for field in FIELDS:
        for body in BODIES[:9]:
            one(b"POST /a HTTP/1.1\r\nHost: h\r\n" + field + b"\r\n" + body + GOOD[2])
    for body in BODIES:
        one(b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body + GOOD[2])
    for loose in (b"\r", b"\n", b"\r\n\r", b"\r\r"):
        one(loose + GOOD[0] + loose + GOOD[0])
    one(GOOD[0] * 200)
    one(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n" * 1000)
    one(b"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n")
    one(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: x\r\nContent-Length: 3\r\n\r\nabc")
    anything = MESSAGE | st.binary(max_size=60)
    corpus.run(st.lists(anything, max_size=3).map(b"".join), in_loop(loop, server.judge, False))
    near = st.builds(
        lambda good, how, rest: cut(good, how) + rest, st.sampled_from(GOOD), CUTS, MESSAGE
    )
    corpus.run(near, in_loop(loop, server.judge, True))
    loop.run_until_complete(context.__aexit__(None, None, None))
    loop.close()
    corpus.close()


STATUSES = [
    *(
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 204 None\r\n",
        b"HTTP/1.1 304 Same\r\n",
        b"HTTP/1.0 200 OK\r\n",
    ),
    *(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 101 Switch\r\n",
        b"HTTP/1.1 200\r\n",
    ),
    *(
        b"HTTP/1.1 99 Few\r\n",
        b"HTTP/1.1 2000 Many\r\n",
        b"HTTP/2 200\r\n",
        b"HTTP/1.1 200 O\nK\r\n",
    ),
    *(
        b"HTTP/1.1 500 \xe1\xbb\x87\r\n",
        b"HTTP/1.1 +200 OK\r\n",
        b"ICY 200 OK\r\n",
        b"http/1.1 200 OK\r\n",
    ),
    *(b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 No\r\n", b"HTTP/1.1 200 \x1b[2J\r\n"),
]
GOOD_RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nabc",
]


def test_the_client_reads_the_response_that_a_strict_reader_reads() -> None:
    """Whatever else follows on the connection is no answer to a later request."""
    corpus = Corpus(
        "HTTP response",
        "transport/client_protocol.py:ClientProtocol.on_headers_complete",
        "transport/client_protocol.py:ClientProtocol.on_message_complete",
        elsewhere=[
            # The connection is given up before a second response could be read.
            "transport/client_protocol.py:ClientProtocol.on_headers_complete:ResponseMalformed#1",
        ],
    )
    loop = asyncio.new_event_loop()
    content = [b""]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(content[0])
        writer.close()

    async def start() -> tuple[Any, int, ConnectionPool]:
        server = raw_server(answer)
        return server, await server.__aenter__(), ConnectionPool(limits=POOL_LIMITS)

    server, port, pool = loop.run_until_complete(start())

    async def judge(response: bytes, near: bool) -> None:
        content[0] = response
        corpus.inputs += 1
        corpus.signed_again += near
        try:
            found = await pool.send(
                Address(HOST, port, tls=False), Request("GET", "/"), timeout_seconds=20
            )
        except TransportError as error:
            assert str(error).isprintable()
            corpus.note(error)
            return
        corpus.accepted += 1
        wanted = response_in(response)
        assert wanted is not None, response
        assert (str(found.status), found.body.read()) == (wanted.first, wanted.body), response
        assert kept(found.headers) == kept(wanted.headers)

    one = in_loop(loop, judge, True)
    for status in STATUSES:
        one(status + b"Content-Length: 3\r\n\r\nabc")
    for field in FIELDS:
        for body in BODIES[:9]:
            one(b"HTTP/1.1 200 OK\r\n" + field + b"\r\n" + body)
    for version in (b"1.0", b"1.1"):
        one(b"HTTP/%b 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" % version + BODIES[1])
    for body in BODIES:
        one(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    one(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 6000)
    messages = st.builds(
        lambda line, fields, body: b"".join([line, *fields, b"\r\n", body]),
        st.sampled_from(STATUSES),
        st.lists(st.sampled_from(FIELDS[5:]), max_size=3),
        st.sampled_from(BODIES),
    )
    corpus.run(messages | st.binary(max_size=60), in_loop(loop, judge, False))
    near = st.builds(cut, st.sampled_from(GOOD_RESPONSES), CUTS) | messages
    corpus.run(near, in_loop(loop, judge, True))

    async def stop() -> None:
        pool.close()
        await server.__aexit__(None, None, None)

    loop.run_until_complete(stop())
    loop.close()
    corpus.close()


def test_the_strict_reader_reads_what_is_well_formed() -> None:
    """A reader that reads nothing would agree with everything."""
    for request in GOOD:
        assert [one.first for one in requests_in(request)] == [request.split()[0].decode()]
    assert [response_in(each).body for each in GOOD_RESPONSES] == [b"abc"] * 3
