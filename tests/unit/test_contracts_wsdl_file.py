"""The WSDL of a SOAP service: its operations, and its public form."""

from __future__ import annotations

import pytest

from lienthong.contracts.wsdl_file import PUBLIC_ADDRESS, Operation, published_wsdl, read_wsdl
from lienthong.errors import WsdlInvalid
from tests.fixtures.soap_service import OPERATIONS, wsdl_text

TEXT = wsdl_text("http://10.0.0.5/ws")


def test_operations_have_code_version_and_action() -> None:
    found = read_wsdl(TEXT)
    assert [each.code for each in found] == list(OPERATIONS)
    assert found[0] == Operation("traCuu", "v1", "urn:traCuu")
    assert read_wsdl(wsdl_text("http://10.0.0.5/ws", ""))[0].version == ""


def test_the_public_form_hides_the_address_and_nothing_else() -> None:
    public = published_wsdl(TEXT)
    assert b"10.0.0.5" not in public
    assert public.count(PUBLIC_ADDRESS.encode()) == 1
    assert read_wsdl(public.decode()) == read_wsdl(TEXT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<a/>",
        "<definitions/>",
        TEXT[:-5],
        TEXT.replace("<w:definitions", '<!DOCTYPE a [<!ENTITY x "y">]><w:definitions', 1),
        TEXT.replace("<soap:binding", "<soap:other"),
        TEXT.replace('name="traCuu"><soap', f'name="{"x" * 101}"><soap'),
        "x" * (5 << 20),
    ],
)
def test_what_is_no_wsdl_is_refused(text: str) -> None:
    with pytest.raises(WsdlInvalid):
        read_wsdl(text)


@pytest.mark.parametrize("encoding", ["iso-8859-1", "UTF-16", "khong-co", ""])
def test_a_file_that_declares_another_encoding_is_refused_for_that(encoding: str) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding}"?>'
    body = TEXT[TEXT.index("<w:definitions") :]
    assert read_wsdl('<?xml version="1.0" encoding="utf-8"?>' + body) == read_wsdl(body)
    with pytest.raises(WsdlInvalid, match="another encoding"):
        read_wsdl(declared + body)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TEXT + " " * (4 << 20), "over"),
        (TEXT.replace("w:definitions", "w:other"), "not WSDL"),
        (TEXT[:-5], "well-formed"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(text: str, reason: str) -> None:
    with pytest.raises(WsdlInvalid, match=reason):
        published_wsdl(text)
