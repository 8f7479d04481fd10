"""The server's end of HTTP/1.1."""

from __future__ import annotations

import asyncio
import socket

import pytest

from lienthong.errors import ListenFailed
from lienthong.transport.limits import Limits
from lienthong.transport.messages import Body, Request, Response
from lienthong.transport.request_reader import Listener
from lienthong.transport.server import serve
from lienthong.transport.server_protocol import ServerProtocol
from tests.fixtures.transport_talk import (
    CLOSE,
    HOST,
    ask,
    echo,
    post,
    raw_server,
    read_response,
    run,
    serving,
    settled,
    talk,
)


def test_answers_a_request_and_closes_when_asked_to() -> None:
    answer = ask(post(b"hello"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"x-target: /a?b\r\n" in answer
    assert b"connection: close\r\n" in answer
    assert b"\r\ndate: " in answer
    assert answer.endswith(b"\r\n\r\nhello")


def test_keeps_a_connection_for_the_next_request() -> None:
    async def main() -> None:
        async with serving() as server:
            reader, writer = await asyncio.open_connection(HOST, server.port)
            for body in (b"one", b"two"):
                writer.write(post(body, b""))
                assert (await read_response(reader))[1] == body
            assert len(server.connections) == 1
            writer.close()

    run(main())


def test_answers_pipelined_requests_in_order_and_one_at_a_time() -> None:
    running = 0

    async def slow_first(request: Request) -> Response:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0.05 if request.body.read() == b"1" else 0)
        running -= 1
        return await echo(request)

    requests = [post(b"%d" % n, b"") for n in range(1, 5)] + [post(b"5")]
    answer = ask(b"".join(requests[:2]), b"".join(requests[2:]), handler=slow_first)
    bodies = [part[:1] for part in answer.split(b"\r\n\r\n")[1:]]
    assert bodies == [b"1", b"2", b"3", b"4", b"5"]


def test_reads_a_chunked_body_and_drops_its_trailers() -> None:
    seen: list[Request] = []

    async def keep(request: Request) -> Response:
        seen.append(request)
        return await echo(request)

    answer = ask(
        b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"3\r\nabc\r\n2;note=x\r\nde\r\n",
        b"0\r\nX-Road-Client: forged\r\n\r\n",
        handler=keep,
    )
    assert answer.endswith(b"abcde")
    assert seen[0].header("x-road-client") is None


def test_joins_a_request_that_arrives_byte_by_byte() -> None:
    async def main() -> bytes:
        async with serving() as server:
            reader, writer = await asyncio.open_connection(HOST, server.port)
            for byte in post(b"hello"):
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
            return await reader.read()

    assert run(main()).endswith(b"hello")


def test_says_continue_before_it_reads_an_announced_body() -> None:
    async def main() -> None:
        async with serving() as server:
            reader, writer = await asyncio.open_connection(HOST, server.port)
            writer.write(post(b"hello", b"Expect: 100-continue\r\n")[:-5])
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"hello")
            assert (await read_response(reader))[1] == b"hello"
            writer.close()

    run(main())


def test_refuses_a_body_that_is_too_large_before_it_is_sent() -> None:
    head = post(b"x" * 11, b"Expect: 100-continue\r\n")[:-11]
    answer = ask(head, limits=Limits(body_bytes=10))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in answer


@pytest.mark.parametrize("status", [204, 304])
def test_sends_no_body_with_a_status_that_has_none(status: int) -> None:
    async def answer(request: Request) -> Response:
        return Response(status, [], Body.of(b"never"))

    assert ask(post(b""), handler=answer).endswith(b"\r\n\r\n")


def test_answers_head_with_the_length_and_without_the_body() -> None:
    async def answer(request: Request) -> Response:
        return Response(200, [], Body.of(b"12345"))

    text = ask(b"HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", handler=answer)
    assert b"content-length: 5\r\n" in text
    assert text.endswith(b"\r\n\r\n")


def test_passes_the_length_on_that_a_service_stated_for_head() -> None:
    async def answer(request: Request) -> Response:
        return Response(200, [("content-length", "77")])

    text = ask(b"HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", handler=answer)
    assert text.count(b"content-length: 77\r\n") == 1


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        (b"http://example.vn/a?b=c", b"/a?b=c"),
        (b"HTTPS://example.vn", b"/"),
        (b"http://example.vn?x", b"/?x"),
        (b"/%2e%2E/a", b"/%2e%2E/a"),
    ],
)
def test_reduces_absolute_targets_and_leaves_others_as_they_are(target: bytes, seen: bytes) -> None:
    answer = ask(b"GET %b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" % target)
    assert b"x-target: %b\r\n" % seen in answer


def test_closes_after_an_http_1_0_request() -> None:
    assert b"connection: close\r\n" in ask(b"GET / HTTP/1.0\r\n\r\n")


def test_ignores_a_wish_to_upgrade_and_still_reads_the_body() -> None:
    extra = CLOSE[:-2] + b", Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    assert ask(post(b"hello", extra)).endswith(b"\r\n\r\nhello")
    two = post(b"one", b"Connection: Upgrade\r\nUpgrade: h2c\r\n") + post(b"two")
    assert ask(two).count(b"HTTP/1.1 200") == 2


def test_answers_a_client_that_has_closed_its_sending_half() -> None:
    async def main() -> bytes:
        async with serving(slow) as server:
            reader, writer = await asyncio.open_connection(HOST, server.port)
            writer.write(post(b"hello", b""))
            writer.write_eof()
            return await reader.read()

    async def slow(request: Request) -> Response:
        await asyncio.sleep(0.05)
        return await echo(request)

    assert run(main()).endswith(b"hello")


def test_logs_what_was_wrong_with_a_request_under_the_id_that_its_sender_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("INFO", "lienthong"):
        answer = ask(b"GET / HTTP/1.1\r\n\r\n")
    (record,) = [each for each in caplog.records if each.msg == "http.refused"]
    fields = vars(record)["fields"]
    assert fields["code"] == "transport.http_malformed"
    assert "no Host header" in fields["reason"]
    assert fields["peer"].startswith(HOST)
    assert f"urn:uuid:{fields['error_id']}".encode() in answer


def test_drain_answers_running_requests_and_closes_idle_connections() -> None:
    started = asyncio.Event()

    async def slow(request: Request) -> Response:
        started.set()
        await asyncio.sleep(0.1)
        return await echo(request)

    async def main() -> None:
        async with serving(slow) as server:
            idle_reader, idle = await asyncio.open_connection(HOST, server.port)
            reader, writer = await asyncio.open_connection(HOST, server.port)
            writer.write(post(b"last", b""))
            await started.wait()
            await server.drain(10)
            assert (await reader.read()).endswith(b"last")
            assert await idle_reader.read() == b""
            with pytest.raises(ConnectionError):
                await asyncio.open_connection(HOST, server.port)
            writer.close()
            idle.close()

    run(main())


def test_names_the_port_that_cannot_be_opened() -> None:
    async def main() -> None:
        async with serving() as server:
            with pytest.raises(ListenFailed):
                await serve(echo, HOST, server.port)

    run(main())


def test_cuts_connections_that_are_no_longer_good() -> None:
    async def main() -> None:
        async with serving() as server:
            reader, writer = await asyncio.open_connection(HOST, server.port)
            await settled(lambda: len(server.connections) == 1)
            assert server.check_connections(lambda connection: not connection.peer_address) == 1
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            writer.close()

    run(main())


def test_runs_on_the_loop_of_the_standard_library_too() -> None:
    async def main() -> bytes:
        async with serving() as server:
            return await talk(server.port, post(b"hello"))

    assert asyncio.run(main()).endswith(b"hello")


def test_raw_server_of_the_tests_answers() -> None:
    async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async def main() -> bytes:
        async with raw_server(hello) as port:
            return await talk(port)

    assert run(main()) == b"hello"


def test_takes_a_large_head_whose_body_comes_after_it() -> None:
    """The bytes in which a head of 150 KB ends are no body without content."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        limits = Limits(head_bytes=262_144)
        listener = Listener(
            echo, limits, lambda error, _: Response(error.status), None, date="date: x\r\n"
        )
        ours, theirs = socket.socketpair()
        _, connection = await loop.create_connection(
            lambda: ServerProtocol(loop, listener), sock=ours
        )
        reader, writer = await asyncio.open_connection(sock=theirs)
        request = post(b"hello", b"X-Large: " + b"a" * 150_000 + b"\r\n")
        for piece in (request[:9], request[9:-5], request[-5:]):  # as reads may bring them
            connection.data_received(piece)
        head, body = await read_response(reader)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body == b"hello"
        writer.close()

    run(main())
