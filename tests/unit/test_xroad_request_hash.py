"""The request hash, against a computation written from X-Road's definition."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from lienthong.exchange.xroad.request_hash import request_hash, request_header_part
from lienthong.transport.messages import Body

HEADERS = [("x-road-client", "VN/GOV/H37/motcua"), ("accept", "a"), ("accept", "b")]
PART = (
    b"POST\r\n/r1/VN/GOV/G01/dancu/cong-dan/records:lookup?a=1\r\n"
    b"x-road-client:VN/GOV/H37/motcua\r\naccept:a\r\naccept:b\r\n"
)


def sha512(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


def test_the_header_part_is_written_byte_for_byte() -> None:
    target = "/r1/VN/GOV/G01/dancu/cong-dan/records:lookup?a=1"
    assert request_header_part("POST", target, HEADERS) == PART


def test_values_keep_the_bytes_of_the_wire() -> None:
    value = "Tỉnh".encode().decode("latin-1")
    assert request_header_part("GET", "/", [("x-a", value)]) == "GET\r\n/\r\nx-a:Tỉnh\r\n".encode()


def test_hashes_header_part_and_body() -> None:
    expected = base64.b64encode(sha512(sha512(PART) + sha512(b"{}"))).decode()
    assert request_hash(PART, Body.of(b"{}")) == expected


def test_a_request_without_a_body_is_its_header_part() -> None:
    expected = base64.b64encode(sha512(PART)).decode()
    assert request_hash(PART, None) == request_hash(PART, Body.of(b"")) == expected


def test_a_spooled_body_gives_the_same_hash(tmp_path: Path) -> None:
    content = b"0123456789" * 100_000
    (tmp_path / "body").write_bytes(content)
    assert request_hash(PART, Body.of_file(tmp_path / "body")) == request_hash(
        PART, Body.of(content)
    )


def test_golden_value() -> None:
    assert request_hash(PART, Body.of(b'{"keys":["001090000001"]}')) == (
        "8/BDICunBeliGvswOU8RjhkULfwPz9+d2YcsLYT7t+VDUaGyGZSA/d8ebnTMBdeQETswBPd6z440UtqCvxndQg=="
    )
