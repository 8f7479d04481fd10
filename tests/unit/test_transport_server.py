"""The server's end of HTTP/1.1."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import socket
from hashlib import sha256
from pathlib import Path

import pytest

from lienthong.errors import BodyTooLarge, ListenFailed, TransportError
from lienthong.transport.limits import MIB, Limits
from lienthong.transport.messages import Body, Request, Response
from lienthong.transport.server import serve
from tests.fixtures.transport_talk import HOST, echo, raw_server, read_response, run, serving, talk

CLOSE = b"Connection: close\r\n"


def post(body: bytes, extra: bytes = CLOSE) -> bytes:
    return b"POST /a?b HTTP/1.1\r\nHost: h\r\n%bContent-Length: %d\r\n\r\n%b" % (
        extra,
        len(body),
        body,
    )


def ask(*pieces: bytes, handler=echo, **options) -> bytes:
    async def main() -> bytes:
        async with serving(handler, **options) as server:
            return await talk(server.port, *pieces)

    return run(main())


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


STATUS_LINE = re.compile(rb"HTTP/1.1 (\d{3}) ")
SMUGGLING = {
    "two lengths": b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "the same length twice": b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "a list of lengths": b"Content-Length: 1, 1\r\n\r\na",
    "a signed length": b"Content-Length: +1\r\n\r\na",
    "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "another encoding": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an unknown encoding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two encodings": b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded header": b"X-A: a\r\n b: c\r\n\r\n",
    "space before a colon": b"Content-Length : 1\r\n\r\na",
    "a control character": b"X-A: a\x01b\r\n\r\n",
    "a null": b"X-A: a\0b\r\n\r\n",
    "a bare carriage return": b"X-A: a\rb\r\n\r\n",
    "a bare line feed": b"X-A: a\nb: c\r\n\r\n",
    "no name": b": a\r\n\r\n",
    "a bad chunk size": b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    "a chunk longer than it says": b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "a huge chunk size": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "two hosts": b"Host: other\r\n\r\n",
}


@pytest.mark.parametrize("rest", SMUGGLING.values(), ids=SMUGGLING.keys())
def test_refuses_what_could_be_read_in_two_ways(rest: bytes) -> None:
    reached: list[str] = []

    async def handler(request: Request) -> Response:
        reached.append(request.target)
        return await echo(request)

    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
    answer = ask(b"POST / HTTP/1.1\r\nHost: h\r\n" + rest + smuggled, handler=handler)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert len(STATUS_LINE.findall(answer)) == 1
    assert b"connection: close\r\n" in answer
    assert reached == []


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET relative HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 501),
        (b"PROPFIND / HTTP/1.1\r\nHost: h\r\n\r\n", 501),
        (b"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 505),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\nContent-Length: 1\r\n\r\na", 417),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    ],
)
def test_refuses_what_it_does_not_speak(head: bytes, status: int) -> None:
    assert ask(head).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    ("request_bytes", "limits", "status"),
    [
        (post(b"", b"X-A: 1\r\n" * 20), Limits(header_count=10), 431),
        (post(b"", b"X-A: " + b"a" * 5000 + b"\r\n"), Limits(head_bytes=1000), 431),
        (b"GET / HTTP/1.1\r\nX-A: " + b"a" * 5000, Limits(head_bytes=1000), 431),
        (b"GET /" + b"a" * 500 + b" HTTP/1.1\r\nHost: h\r\n\r\n", Limits(target_bytes=100), 414),
        (post(b"x" * 11), Limits(body_bytes=10), 413),
    ],
)
def test_refuses_what_exceeds_a_limit(request_bytes: bytes, limits: Limits, status: int) -> None:
    assert ask(request_bytes, limits=limits).startswith(b"HTTP/1.1 %d " % status)


CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_refuses_a_chunked_body_once_it_exceeds_the_limit() -> None:
    chunks = [b"4\r\nabcd\r\n"] * 5
    assert ask(CHUNKED, *chunks, limits=Limits(body_bytes=10)).startswith(b"HTTP/1.1 413 ")
    at_once = CHUNKED + b"".join(chunks) + b"0\r\n\r\n"
    assert ask(at_once, limits=Limits(body_bytes=10)).startswith(b"HTTP/1.1 413 ")


def test_refuses_an_endless_trailer_and_an_endless_chunk_extension() -> None:
    flood = [b"a" * 30_000] * 4
    assert ask(CHUNKED, b"0\r\nX-A: ", *flood).startswith(b"HTTP/1.1 400 ")
    assert ask(CHUNKED, b"1;", *flood).startswith(b"HTTP/1.1 400 ")


def test_refuses_a_flood_of_pipelined_requests() -> None:
    one = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    answer = ask(one * 20, limits=Limits(pipelined_requests=5))
    assert 1 < answer.count(b"HTTP/1.1 200") < 20
    assert b"HTTP/1.1 400 " in answer


def test_answers_the_requests_before_a_malformed_one() -> None:
    answer = ask(post(b"one", b"") + b"BAD\r\n\r\n")
    assert STATUS_LINE.findall(answer) == [b"200", b"400"]


QUICK = Limits(
    header_seconds=0.1,
    idle_seconds=0.1,
    body_window_seconds=0.1,
    write_stall_seconds=0.2,
    linger_seconds=0.1,
    sweep_seconds=0.02,
)


def test_ends_a_head_that_arrives_too_slowly() -> None:
    assert ask(b"GET / HT", limits=QUICK).startswith(b"HTTP/1.1 408 ")


def test_ends_a_body_that_makes_no_progress() -> None:
    assert ask(post(b"hello")[:-1], limits=QUICK).startswith(b"HTTP/1.1 408 ")


def test_closes_idle_connections_without_a_word() -> None:
    assert ask(b"", limits=QUICK) == b""


def test_cuts_a_client_that_never_reads_its_answer() -> None:
    async def large(request: Request) -> Response:
        return Response(200, [], Body.of(bytes(64 * MIB)))

    async def main() -> int:
        async with serving(large, limits=QUICK) as server:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect((HOST, server.port))
            sock.sendall(post(b"", b""))
            for _ in range(500):
                await asyncio.sleep(0.02)
                if not server.connections:
                    break
            sock.close()
            return len(server.connections)

    assert run(main()) == 0


def test_refuses_connections_above_the_limit() -> None:
    async def main() -> bytes:
        async with serving(limits=Limits(connections=1)) as server:
            _, first = await asyncio.open_connection(HOST, server.port)
            await asyncio.sleep(0.02)
            answer = await talk(server.port, post(b""))
            first.close()
            return answer

    assert run(main()).startswith(b"HTTP/1.1 503 ")


def test_tells_nothing_of_a_fault_in_the_handler() -> None:
    async def broken(request: Request) -> Response:
        raise ZeroDivisionError("secret detail")

    answer = ask(post(b"", b""), handler=broken)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in answer
    assert b"connection: close\r\n" in answer
    document = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert document["code"] == "transport.handler_failed"


def test_lets_no_handler_split_a_response() -> None:
    async def splitting(request: Request) -> Response:
        return Response(200, [("x-a", "1\r\nset-cookie: x")])

    answer = ask(post(b""), handler=splitting)
    assert b"set-cookie" not in answer
    assert answer.startswith(b"HTTP/1.1 500 ")


def test_says_refusals_as_the_edge_wants_them() -> None:
    def refusal(error: TransportError, error_id: str) -> Response:
        headers = [("x-road-error", error.code), ("x-id", error_id)]
        return Response(error.status, headers, Body.of(b"{}"))

    answer = ask(post(b"12"), limits=Limits(body_bytes=1), refusal=refusal)
    assert b"x-road-error: transport.body_too_large\r\n" in answer
    assert BodyTooLarge.code in answer.decode()


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
            await asyncio.sleep(0.02)
            assert server.check_connections(lambda connection: not connection.peer_address) == 1
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            writer.close()

    run(main())


def test_spools_a_large_body_and_deletes_it_after_the_answer(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40_000
    seen: dict[str, object] = {}

    async def handler(request: Request) -> Response:
        assert request.body.path is not None
        assert request.body.path.parent == tmp_path
        request.body.sync()
        seen["digest"] = request.body.sha256()
        return Response(200, [], request.body)

    limits = Limits(spool_threshold_bytes=100_000)
    answer = ask(post(content), handler=handler, limits=limits, spool_folder=tmp_path)
    assert answer.partition(b"\r\n\r\n")[2] == content
    assert seen["digest"] == sha256(content).digest()
    assert list(tmp_path.iterdir()) == []


def test_keeps_a_spooled_body_that_was_given_a_place(tmp_path: Path) -> None:
    async def handler(request: Request) -> Response:
        request.body.keep_as(tmp_path / "kept")
        return Response(200)

    limits = Limits(spool_threshold_bytes=1000)
    ask(post(b"x" * 5000), handler=handler, limits=limits, spool_folder=tmp_path)
    assert (tmp_path / "kept").read_bytes() == b"x" * 5000
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_deletes_the_spool_file_of_a_client_that_goes_away(tmp_path: Path) -> None:
    async def main() -> None:
        limits = Limits(spool_threshold_bytes=1000)
        async with serving(limits=limits, spool_folder=tmp_path) as server:
            _, writer = await asyncio.open_connection(HOST, server.port)
            writer.write(post(b"x" * 500_000)[:400_000])
            await writer.drain()
            while not list(tmp_path.iterdir()):
                await asyncio.sleep(0.01)
            writer.close()
            while list(tmp_path.iterdir()):
                await asyncio.sleep(0.01)

    run(asyncio.wait_for(main(), 20))


def test_cuts_the_connection_when_a_file_vanishes_under_a_response(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"x" * 100)

    async def vanishing(request: Request) -> Response:
        body = Body.of_file(file)
        file.unlink()
        return Response(200, [], body)

    answer = ask(post(b""), handler=vanishing)
    assert len(STATUS_LINE.findall(answer)) <= 1


def test_says_so_when_the_disk_takes_no_body(tmp_path: Path) -> None:
    limits = Limits(spool_threshold_bytes=1000)
    gone = tmp_path / "gone"
    answer = ask(post(b"x" * 5000), limits=limits, spool_folder=gone)
    assert answer.startswith(b"HTTP/1.1 507 ")
    pieces = [post(b"x" * 3_000_000)[:1_500_000], b"x" * 1000]
    assert ask(*pieces, limits=limits, spool_folder=gone).startswith(b"HTTP/1.1 507 ")


def test_memory_stays_bounded_while_a_large_body_passes(tmp_path: Path) -> None:
    size, piece = 192 * MIB, bytes(MIB)

    async def main() -> int:
        limits = Limits(spool_threshold_bytes=MIB)
        async with serving(limits=limits, spool_folder=tmp_path) as server:
            reader, writer = await asyncio.open_connection(HOST, server.port)
            writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // MIB):
                writer.write(piece)
                await writer.drain()
            await reader.readuntil(b"\r\n\r\n")
            received = 0
            while received < size:
                received += len(await reader.read(MIB))
            writer.close()
            return received

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert run(main()) == size
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 64 * 1024


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
