"""Convoys of requests and of answers: conflicting lengths, places and pieces."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from lienthong.errors import LienthongError
from lienthong.exchange.convoy import AnswerReader, read_requests
from lienthong.exchange.wire import MESSAGE_HEADER, PROOF_HEADER
from lienthong.transport.messages import Connection, Response
from tests.fixtures.hostile_corpus import CUTS, Corpus, cut, mostly

HERE = Connection(peer_address="test")
LARGEST_BODY = 300_000  # bytes, of an answer in these tests; over 262,144 go to a file
NUMBERS = st.integers(0, 400) | st.sampled_from(
    [
        "",
        "-1",
        "+1",
        " 1",
        "01",
        "0x1",
        "1e1",
        "1_0",
        "٣",
        "²",
        "32769",
        "131073",
        "9" * 12,
        "1" * 40,
    ]
)
TEXTS = st.sampled_from(
    [b"", b"{}", b"abc", b"a\nb", b"0 1 1 1\n", "é".encode(), b"\x00", b"x" * 90]
)
Frame = tuple[bytes, ...]


def requests_read(content: bytes) -> list[Frame]:
    """A second reading, from docs/protocols/0001-message.md §2: message, proof, body of each."""
    found: list[Frame] = []
    while content:
        line, end, rest = content.partition(b"\n")
        assert end
        assert re.fullmatch(rb"[0-9]+ [0-9]+ [0-9]+ [0-9]+", line)
        place, *sizes = map(int, line.split(b" "))
        assert place == len(found)
        assert sizes[0] <= 131_072
        assert sizes[1] <= 32_768
        assert sum(sizes) <= len(rest)
        parts = []
        for size in sizes:
            parts.append(rest[:size])
            rest = rest[size:]
        found.append(tuple(parts))
        content = rest
    assert len(found) <= 128
    return found


def test_convoys_of_requests_are_refused_or_read_in_one_way() -> None:
    corpus = Corpus(
        "convoy of requests",
        "exchange/convoy.py:read_requests",
        "exchange/convoy.py:_headers",
        "exchange/convoy.py:_check_sizes",
    )

    def judge(content: bytes, near: bool) -> None:
        found = corpus.try_(lambda: read_requests(content, HERE), signed_again=near)
        if found is None:
            return
        assert requests_read(content) == [
            (
                (each.header(MESSAGE_HEADER) or "").encode(),
                (each.header(PROOF_HEADER) or "").encode(),
                each.body.read(),
            )
            for each in found
        ]
        assert {each.connection for each in found} <= {HERE}

    def convoy(frames: list[Any]) -> bytes:
        content = b""
        for index, (place, sizes, parts) in enumerate(frames):
            told = index if place is None else place
            numbers = [len(p) if s is None else s for s, p in zip(sizes, parts, strict=True)]
            content += " ".join(map(str, [told, *numbers])).encode() + b"\n" + b"".join(parts)
        return content

    usual = (None, (None, None, None), (b'{"a":1}', b'{"b":2}', b"body"))
    good = convoy([usual] * 3)
    judge(good, True)
    judge(convoy([usual] * 128), True)
    judge(convoy([usual] * 129), True)
    judge(convoy([(None, (None, None, None), (b"x" * 131_073, b"", b""))]), True)
    judge(convoy([(None, (None, None, None), (b"", b"x" * 32_769, b""))]), True)
    corpus.run(CUTS, lambda how: judge(cut(good, how), False))
    size = mostly(None, NUMBERS, 9)
    one = st.tuples(size, st.tuples(size, size, size), st.tuples(TEXTS, TEXTS, TEXTS))
    corpus.run(st.lists(one, max_size=6), lambda frames: judge(convoy(frames), True))
    corpus.close()


def answers_read(content: bytes, count: int) -> dict[int, tuple[int, Frame]]:
    """A second reading of answers: place → status, message, proof, body."""
    found: dict[int, tuple[int, Frame]] = {}
    while content:
        line, end, rest = content.partition(b"\n")
        if not end:
            return found  # what follows is not whole
        assert re.fullmatch(rb"[0-9]+ [0-9]{3} [0-9]+ [0-9]+ [0-9]+", line)
        place, status, *sizes = map(int, line.split(b" "))
        assert 0 <= place < count
        assert place not in found
        assert 100 <= status < 600
        assert sizes[2] <= LARGEST_BODY
        if sum(sizes) > len(rest):
            return found
        parts = []
        for size in sizes:
            parts.append(rest[:size])
            rest = rest[size:]
        found[place] = (status, tuple(parts))
        content = rest
    return found


def test_convoys_of_answers_are_refused_or_read_in_one_way(tmp_path: Path) -> None:
    corpus = Corpus(
        "convoy of answers",
        "exchange/convoy.py:AnswerReader",
        "exchange/convoy.py:_headers",
        "exchange/convoy.py:_check_sizes",
        elsewhere=["exchange/convoy.py:AnswerReader._malformed"],  # makes the error
    )
    count = 4

    async def take(content: bytes, piece: int) -> tuple[dict[int, Response], LienthongError | None]:
        told: dict[int, Response] = {}

        def deliver(place: int, response: Response | Exception) -> None:
            assert isinstance(response, Response)
            assert place not in told
            told[place] = response

        reader = AnswerReader(count, deliver, tmp_path, LARGEST_BODY)
        try:
            for start in range(0, len(content), piece):
                pause = reader.feed(content[start : start + piece])
                if pause is not None:
                    await pause
            await reader.finish()
        except LienthongError as error:
            return told, error
        finally:
            reader.abandon()
        return told, None

    def judge(content: bytes, piece: int, near: bool) -> None:
        told, error = asyncio.run(take(content, piece))

        def result() -> Any:
            if error is not None:
                raise error
            return told

        whole = corpus.try_(result, signed_again=near)
        if whole is None:
            return
        other = answers_read(content, count)
        assert set(told) == set(other)
        for place, response in told.items():
            status, (message, proof, body) = other[place]
            assert (response.status, response.body.read()) == (status, body)
            if status == 200:
                assert response.header(MESSAGE_HEADER) == message.decode("ascii")
                assert response.header(PROOF_HEADER) == proof.decode("ascii")
            else:
                assert response.header(MESSAGE_HEADER) is None

    def convoy(frames: list[Any]) -> bytes:
        content = b""
        for index, (place, status, sizes, parts) in enumerate(frames):
            told = index if place is None else place
            numbers = [len(p) if s is None else s for s, p in zip(sizes, parts, strict=True)]
            line = " ".join(map(str, [told, status, *numbers]))
            content += line.encode() + b"\n" + b"".join(parts)
        return content

    usual = (None, 200, (None, None, None), (b'{"a":1}', b'{"b":2}', b"body"))
    good = convoy([usual] * count)
    judge(good, 10, True)
    judge(convoy([(None, 200, (None, None, None), (b"x" * 131_073, b"", b""))]), 4096, True)
    judge(convoy([(None, 200, (None, None, None), (b"", b"x" * 32_769, b""))]), 4096, True)
    judge(convoy([(0, 200, (None, None, None), ("é".encode(), b"", b""))]), 4096, True)
    judge(convoy([usual, (0, *usual[1:])]), 7, True)
    judge(b"0 200 1 1 300001\n", 7, True)
    judge(b"0 500 0 0 270000\n" + b"x" * 270_000, 4096, True)
    judge(convoy([(2, 200, (None, None, None), (b"a", b"b", b"x" * 270_000)), usual]), 4096, True)
    pieces = st.sampled_from([1, 2, 7, 30, 1000])
    corpus.run(st.tuples(CUTS, pieces), lambda one: judge(cut(good, one[0]), one[1], False))
    size = mostly(None, NUMBERS, 9)
    status = mostly(200, NUMBERS | st.sampled_from([100, 204, 500, 503, 599, 600, 999]), 5)
    one = st.tuples(size, status, st.tuples(size, size, size), st.tuples(TEXTS, TEXTS, TEXTS))
    corpus.run(
        st.tuples(st.lists(one, max_size=5), pieces),
        lambda pair: judge(convoy(pair[0]), pair[1], True),
    )
    corpus.close()
