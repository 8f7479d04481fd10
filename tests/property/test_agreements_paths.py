"""No accepted path escapes its pattern's prefix, however it is written."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from lienthong.agreements.paths import encode_path, normalise_path
from lienthong.agreements.patterns import Endpoint, literal_prefix
from lienthong.errors import InvalidPath, InvalidPattern

_TRICKS = st.sampled_from(
    [
        *("/", "//", ".", "..", "/../", "/./", "%2e", "%2E%2e", "%2f", "%5c", "\\", ";", "..;"),
        *("%252e", "%25", "%00", "%c0%ae", "%", "%2", "*", "{key}", "**", "a", "admin", "records"),
        *("public", "?", "#", "\u2025", "%e2%80%a5", "ệ", "%E1%BB%87", " ", "\n", ":", "~"),
    ]
)
_PATHS = st.one_of(
    st.lists(_TRICKS, max_size=12).map("".join),
    st.lists(_TRICKS, max_size=12).map(lambda parts: "/public/" + "".join(parts)),
    st.text(max_size=50),
)
_PATTERNS = st.one_of(
    st.sampled_from(["/public/**", "/public/*", "/public/{key}", "/public/{key}/a", "/**"]),
    st.lists(_TRICKS, max_size=6).map(lambda parts: "/" + "".join(parts)),
    st.text(max_size=30),
)


def _normal(raw: str) -> str | None:
    try:
        return normalise_path(raw)
    except InvalidPath:
        return None


@given(_PATHS)
def test_a_normal_path_has_no_two_readings(raw: str) -> None:
    normal = _normal(raw)
    if normal is None:
        return
    assert normal.startswith("/")
    assert "//" not in normal
    assert not {".", ".."} & set(normal.split("/"))
    assert not any(character in normal for character in "\\;\x00\n\r")
    assert unquote(normal) == normal, "a service that decodes again sees the same path"
    assert posixpath.normpath(normal) == (normal.rstrip("/") or "/")


@given(_PATHS)
def test_what_is_sent_on_is_what_was_decided(raw: str) -> None:
    normal = _normal(raw)
    if normal is not None:
        assert encode_path(normal).isascii()
        assert normalise_path(encode_path(normal)) == normal


@given(_PATHS)
def test_decoding_and_resolving_by_others_leads_to_the_same_path(raw: str) -> None:
    """An independent reading of the raw path, as a lenient service would make it."""
    normal = _normal(raw)
    if normal:
        lenient = posixpath.normpath(unquote(raw or "/"))
        assert lenient == (normal.rstrip("/") or "/")


@given(_PATTERNS, _PATHS)
def test_no_accepted_path_escapes_the_prefix_of_its_pattern(pattern: str, raw: str) -> None:
    try:
        endpoint = Endpoint("GET", pattern)
    except InvalidPattern:
        return
    normal = _normal(raw)
    if normal is not None and endpoint.matches("GET", normal):
        assert normal.startswith(literal_prefix(pattern))


@given(st.text(max_size=60))
def test_any_text_is_an_endpoint_or_a_refusal(text: str) -> None:
    try:
        endpoint = Endpoint.parse(text)
    except InvalidPattern:
        return
    assert Endpoint.parse(str(endpoint)) == endpoint
