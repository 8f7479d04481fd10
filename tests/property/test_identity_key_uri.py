"""``pkcs11:`` URIs: what is written is read back, and no text breaks the parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lienthong.errors import InvalidKeyUri
from lienthong.identity.key_uri import LARGEST_URI_CHARACTERS, KeyUri

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@given(
    st.builds(
        KeyUri,
        token=WORDS,
        serial=WORDS,
        slot_id=st.none() | st.integers(0, (1 << 64) - 1),
        label=WORDS,
        key_id=st.binary(max_size=20),
        module_path=WORDS,
        pin_source=WORDS.filter(lambda text: not text.startswith("file:")),
    )
)
def test_a_uri_reads_back_what_was_written(uri: KeyUri) -> None:
    if len(uri.text) <= LARGEST_URI_CHARACTERS:
        assert KeyUri.parse(uri.text) == uri
        assert "\n" not in uri.text


@given(st.text() | st.text().map(lambda text: f"pkcs11:{text}"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        uri = KeyUri.parse(text)
    except InvalidKeyUri:
        return
    assert KeyUri.parse(uri.text) == uri


@given(st.text(max_size=30), st.sampled_from(["?", "?module-path=a&", ";"]))
def test_a_pin_in_a_uri_is_always_refused(pin: str, before: str) -> None:
    with pytest.raises(InvalidKeyUri):
        KeyUri.parse(f"pkcs11:token=a{before}pin-value={pin}")
