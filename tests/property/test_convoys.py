"""Messages that travel together: whatever comes over the wire, and in whatever pieces."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lienthong.errors import MessageMalformed, ResponseMalformed, TransportError
from lienthong.exchange.convoy import (
    LARGEST_BODY,
    LARGEST_CONVOY,
    LARGEST_IN_MEMORY,
    MOST_MESSAGES,
    AnswerReader,
    answer_frame,
    departures,
    read_requests,
    request_frame,
)
from lienthong.exchange.wire import MESSAGE_HEADER, MESSAGE_PATH, PROOF_HEADER
from lienthong.transport.messages import Body, Connection, Request, Response

ascii_text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
HERE = Connection(peer_address="test")


def request(message: str, proof: str, body: bytes) -> Request:
    headers = [(MESSAGE_HEADER, message), (PROOF_HEADER, proof)]
    return Request("POST", MESSAGE_PATH, headers, Body.of(body))


def answer(message: str, proof: str, body: bytes, status: int = 200) -> Response:
    return Response(status, [(MESSAGE_HEADER, message), (PROOF_HEADER, proof)], Body.of(body))


def told(sent: list[Response], pieces: list[bytes], folder: Path | None = None) -> dict[int, bytes]:
    """What a reader of ``len(sent)`` answers makes of these bytes: place → status and body."""
    found: dict[int, bytes] = {}

    def deliver(place: int, response: Response | TransportError) -> None:
        assert isinstance(response, Response)
        assert place not in found
        text = f"{response.status} {response.header(MESSAGE_HEADER)}|".encode()
        found[place] = text + response.body.read()
        response.body.discard()

    async def main() -> None:
        reader = AnswerReader(len(sent), deliver, folder, 1 << 30)
        for piece in pieces:
            pause = reader.feed(piece)
            if pause is not None:
                await pause
        await reader.finish()

    asyncio.run(main())
    return found


@given(st.lists(st.tuples(ascii_text, ascii_text, st.binary(max_size=200)), max_size=6))
def test_requests_come_out_as_they_went_in(messages: list[tuple[str, str, bytes]]) -> None:
    content = b"".join([request_frame(i, request(*each)) for i, each in enumerate(messages)])
    found = read_requests(content, HERE)
    assert [
        (each.header(MESSAGE_HEADER), each.header(PROOF_HEADER), each.body.read()) for each in found
    ] == messages
    assert {each.connection for each in found} <= {HERE}


@given(st.binary(max_size=300) | st.from_regex(rb"\A(\d{1,4} \d{1,7} \d{1,7} \d{1,8}\n.{0,40})+"))
def test_any_bytes_are_requests_or_refused(content: bytes) -> None:
    try:
        found = read_requests(content, HERE)
    except MessageMalformed:
        return
    again = b"".join([request_frame(i, each) for i, each in enumerate(found)])
    assert len(again) <= len(content)  # leading zeros of a number are not given back


@given(
    st.lists(st.tuples(ascii_text, ascii_text, st.binary(max_size=300)), min_size=1, max_size=5),
    st.integers(1, 97),
    st.randoms(use_true_random=False),
)
def test_answers_come_out_whole_whatever_the_pieces(
    messages: list[tuple[str, str, bytes]], size: int, random: object
) -> None:
    answers = [answer(*each) for each in messages]
    frames = [answer_frame(place, each)[0] for place, each in enumerate(answers)]
    random.shuffle(frames)  # type: ignore[attr-defined]
    content = b"".join(frames)
    pieces = [content[i : i + size] for i in range(0, len(content), size)]
    assert told(answers, pieces) == {
        place: f"200 {message}|".encode() + body
        for place, (message, _, body) in enumerate(messages)
    }


@settings(max_examples=20, deadline=None)
@given(st.integers(LARGEST_IN_MEMORY + 1, 3 * LARGEST_IN_MEMORY), st.integers(1000, 400_000))
def test_a_large_answer_goes_through_a_file_and_leaves_none_behind(
    size: int, piece_size: int
) -> None:
    large, small = answer("a", "b", bytes(range(256)) * (size // 256)), answer("c", "d", b"e")
    content = answer_frame(1, large)[0] + answer_frame(0, small)[0]
    pieces = [content[i : i + piece_size] for i in range(0, len(content), piece_size)]
    with TemporaryDirectory() as folder:
        found = told([small, large], pieces, Path(folder))
        assert list(Path(folder).iterdir()) == []
    assert found == {0: b"200 c|e", 1: b"200 a|" + large.body.read()}


@given(
    st.binary(max_size=200) | st.from_regex(rb"\A(\d{1,3} \d{3} \d{1,5} \d{1,5} \d{1,9}\n.{0,40})+")
)
def test_any_bytes_are_answers_or_refused(content: bytes) -> None:
    places: list[int] = []

    async def main() -> None:
        reader = AnswerReader(3, lambda place, _: places.append(place), None, 1000)
        reader.feed(content)
        await reader.finish()

    with contextlib.suppress(ResponseMalformed):
        asyncio.run(main())
    assert sorted(set(places)) == sorted(places)
    assert set(places) <= {0, 1, 2}


@pytest.mark.parametrize(
    "content",
    [
        b"0 200 1 1 1\nabc" * 2,  # an answer given twice
        b"3 200 1 1 1\nabc",  # to nothing that was asked
        b"0 200 1 1 1001\n",  # larger than allowed
        b"0 500 0 0 300000\n",  # a fault that is no fault
        b"0 200 131073 1 1\n",
        b"0 200 1 1 1 \nabc",
        b"0 999 1 1 1\nabc",
        b"-1 200 1 1 1\nabc",
        "0 200 2 1 1\né".encode() + b"abc",
        b"x" * 64,
    ],
)
def test_refuses_answers_that_cannot_be(content: bytes) -> None:
    reader = AnswerReader(3, lambda place, response: None, None, 1000)
    with pytest.raises(ResponseMalformed):
        reader.feed(content + b"0 " * 200_000)


@pytest.mark.parametrize(
    "content",
    [
        b"1 1 1 1\nabc",  # places begin at nought
        b"0 1 1 1\nabc0 1 1 1\nabc",
        b"0 1 1 2\nabc",  # cut short
        b"0 1 1 1\nabc1 1 1",
        b"0 131073 1 1\n",
        b"0 1 32769 1\n",
        "0 2 1 1\né".encode() + b"ab",
        b"\n",
    ],
)
def test_refuses_convoys_that_cannot_be(content: bytes) -> None:
    with pytest.raises(MessageMalformed):
        read_requests(content, HERE)


def test_refuses_a_convoy_of_too_many_messages() -> None:
    frames = [request_frame(i, request("a", "b", b"")) for i in range(MOST_MESSAGES + 1)]
    assert len(read_requests(b"".join(frames[:-1]), HERE)) == MOST_MESSAGES
    with pytest.raises(MessageMalformed):
        read_requests(b"".join(frames), HERE)


@given(st.lists(st.integers(0, LARGEST_BODY), max_size=300))
def test_every_message_leaves_once_in_order_and_no_convoy_is_too_large(sizes: list[int]) -> None:
    requests = [request("m", "p", b"")] * len(sizes)
    requests = [
        Request(r.method, r.target, r.headers, Body(b"", n, None, None, False))
        for r, n in zip(requests, sizes, strict=True)
    ]
    convoys = departures(requests)
    assert [place for convoy in convoys for place in convoy] == list(range(len(sizes)))
    for convoy in convoys:
        assert 1 <= len(convoy) <= MOST_MESSAGES
        assert sum(sizes[place] for place in convoy) <= LARGEST_CONVOY
