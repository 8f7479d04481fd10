"""One-time passwords as RFC 6238 has them; recovery codes."""

from __future__ import annotations

import base64

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lienthong.portal.totp import (
    code_at,
    matching_step,
    new_recovery_codes,
    new_secret,
    provisioning_uri,
    recovery_digest,
)

# RFC 6238 appendix B, SHA-1, the last six of its eight digits.
SECRET = base64.b32encode(b"12345678901234567890").decode()
VECTORS = (
    (59, "287082"), (1111111109, "081804"), (1111111111, "050471"),
    (1234567890, "005924"), (2000000000, "279037"), (20000000000, "353130"),
)  # fmt: skip


@pytest.mark.parametrize(("moment", "code"), VECTORS)
def test_codes_are_those_of_the_standard(moment: int, code: str) -> None:
    assert code_at(SECRET, moment // 30) == code
    assert matching_step(SECRET, code, moment) == moment // 30


@given(st.integers(min_value=0, max_value=2**33))
def test_another_implementation_gives_the_same_codes(moment: int) -> None:
    assert pyotp.TOTP(SECRET).at(moment) == code_at(SECRET, moment // 30)


@given(st.text(max_size=20))
def test_whatever_is_typed_is_a_code_or_none(typed: str) -> None:
    step = matching_step(SECRET, typed, 59)
    assert step is None or code_at(SECRET, step) == "".join(typed.split())


def test_a_clock_may_differ_by_one_step_and_no_more() -> None:
    code = code_at(SECRET, 100)
    assert [matching_step(SECRET, code, step * 30) for step in (98, 99, 100, 101, 102)] == [
        None, 100, 100, 100, None,
    ]  # fmt: skip


def test_an_authenticator_reads_the_address() -> None:
    secret = new_secret()
    read = pyotp.parse_uri(provisioning_uri(secret, "an"))
    assert (read.secret, read.name, read.issuer) == (secret, "an", "Liên Thông")


def test_recovery_codes_differ_and_belong_to_one_account() -> None:
    codes = new_recovery_codes()
    assert len(set(codes)) == 10
    assert recovery_digest("an", codes[0]) == recovery_digest("an", codes[0].upper())
    assert recovery_digest("an", codes[0]) != recovery_digest("binh", codes[0])
