"""Whatever comes over the wire: an answer, a refusal or a closed connection, never a crash."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lienthong.errors import TransportError
from lienthong.transport.client import Address, ConnectionPool
from lienthong.transport.limits import Limits, PoolLimits
from lienthong.transport.messages import Body, Request, Response
from lienthong.transport.statics import static_files
from lienthong.transport.wire import FRAMING_AND_HOST, request_head, response_head
from tests.fixtures.transport_talk import HOST, raw_server, run, serving, talk

SMALL = Limits(
    head_bytes=2000,
    header_count=10,
    body_bytes=5000,
    spool_threshold_bytes=100,
    header_seconds=0.05,
    idle_seconds=0.05,
    body_window_seconds=0.05,
    linger_seconds=0.02,
    sweep_seconds=0.01,
)
WORDS = [
    b"GET / HTTP/1.1\r\n",
    b"POST /a HTTP/1.1\r\n",
    b"Host: h\r\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    b"Expect: 100-continue\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n",
    b"\r\n",
    b"abc",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b" ",
    b"\t:",
    b"\0",
]
wire_bytes = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=20)), max_size=12)


@pytest.fixture(autouse=True)
def no_faults(caplog: pytest.LogCaptureFixture) -> Callable[[], None]:
    """Fail if the loop or a handler logged an error during an example."""

    def check() -> None:
        assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []

    return check


@given(pieces=wire_bytes)
@example(pieces=[b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n", b"abc"])
def test_the_server_survives_whatever_it_is_sent(
    pieces: list[bytes], no_faults: Callable[[], None]
) -> None:
    async def echo(request: Request) -> Response:
        return Response(200, [], request.body)

    async def main() -> bytes:
        async with serving(echo, limits=SMALL) as server:
            answer = await talk(server.port, b"".join(pieces))
            again = await talk(
                server.port, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            )
            assert again.startswith(b"HTTP/1.1 200 ")
            return answer

    answer = run(main())
    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
    no_faults()


token = st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=12)
value = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_categories=["Cc"]), max_size=20
)
headers = st.lists(
    st.tuples(token.filter(lambda name: name not in FRAMING_AND_HOST), value), max_size=8
)


@given(
    headers=headers,
    body=st.binary(max_size=3000),
    cuts=st.lists(st.integers(0, 3300), max_size=6),
    chunked=st.booleans(),
)
def test_a_request_is_the_same_however_it_is_cut_up(
    headers: list[tuple[str, str]], body: bytes, cuts: list[int], chunked: bool
) -> None:
    headers = [(name, text.replace("\xa0", "")) for name, text in headers]
    head = request_head("POST", "/a?b", "h", headers, len(body))
    text = head + body
    if chunked:
        length = b"content-length: %d\r\n" % len(body)
        content = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        text = head.replace(length, b"Transfer-Encoding: chunked\r\n") + content + b"0\r\n\r\n"
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces = [text[a:b] for a, b in pairwise(places)]
    seen: list[tuple[list[tuple[str, str]], bytes]] = []

    async def handler(request: Request) -> Response:
        kept = [one for one in request.headers if one[0] not in FRAMING_AND_HOST]
        seen.append((kept, b"".join(request.body.chunks())))
        return Response(200)

    async def main() -> None:
        async with serving(handler, limits=Limits(spool_threshold_bytes=1000)) as server:
            reader, writer = await asyncio.open_connection(HOST, server.port)
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.001)
            await reader.readuntil(b"\r\n\r\n")
            writer.close()

    run(main())
    assert seen == [(headers, body)]


@given(pieces=wire_bytes)
@example(pieces=[b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n", b"a" * 150])
def test_the_client_turns_any_answer_into_a_response_or_an_error_of_ours(
    pieces: list[bytes], no_faults: Callable[[], None]
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"".join(pieces))
        writer.close()

    async def main() -> None:
        pool = ConnectionPool(limits=PoolLimits(spool_threshold_bytes=100, sweep_seconds=0.01))
        async with raw_server(answer) as port:
            address = Address(HOST, port, tls=False)
            try:
                response = await pool.send(address, Request("GET", "/"), timeout_seconds=5)
                response.body.discard()
            except TransportError:
                pass
            pool.close()
            await asyncio.sleep(0)

    run(main())
    no_faults()


@given(headers=st.lists(st.tuples(st.text(max_size=8), st.text(max_size=12)), max_size=4))
def test_a_head_is_one_message_or_refused(headers: list[tuple[str, str]]) -> None:
    for write in (
        lambda: request_head("GET", "/", "h", headers, 0),
        lambda: response_head(200, "", headers, "0", False, "date: now\r\n"),
    ):
        try:
            text = write()
        except TransportError:
            continue
        assert text.endswith(b"\r\n\r\n")
        assert text.count(b"\n") == text.count(b"\r\n")
        assert text.count(b"\r\n\r\n") == 1


@given(
    target=st.one_of(
        st.text(max_size=40),
        st.lists(st.sampled_from(["..", "%2e%2e", "/", "%2f", "\\", "a", ".", "%00"])).map("".join),
    )
)
def test_no_target_leads_out_of_a_static_folder(target: str) -> None:
    with TemporaryDirectory() as name:
        public = Path(name) / "public"
        public.mkdir()
        (Path(name) / "a").write_bytes(b"secret")
        (public / "a").write_bytes(b"public")
        response = asyncio.run(_ask(public, target))
        assert response.status in (200, 404)
        assert b"secret" not in response.body.read()


async def _ask(folder: Path, target: str) -> Response:
    return await static_files(folder)(Request("GET", f"/{target}", [], Body.of(b"")))
