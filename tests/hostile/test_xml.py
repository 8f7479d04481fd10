"""SOAP envelopes and WSDL files: XML bombs, entities, and messages with two readings."""

from __future__ import annotations

import re
import resource
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

import pytest
from hypothesis import strategies as st

from lienthong.contracts.wsdl_file import published_wsdl, read_wsdl
from lienthong.errors import LienthongError
from lienthong.exchange.soap.envelope import read_envelope
from lienthong.exchange.soap.headers import read_headers
from lienthong.exchange.soap.multipart import soap_part
from lienthong.transport.messages import Body
from tests.fixtures.hostile_corpus import CUTS, Corpus, cut
from tests.fixtures.soap_calls import envelope, multipart
from tests.fixtures.soap_service import ENVELOPE, wsdl_text

GOOD = envelope("VN/GOV/H37/motcua", "VN/GOV/G01/hotich/traCuu/v1")
PARTS, PARTS_KIND = multipart(GOOD, b"tep", xop=True)
WSDL = wsdl_text("http://10.0.0.5/ws").encode()
XROAD = "http://x-road.eu/xsd/xroad.xsd"
IDENTIFIERS = "http://x-road.eu/xsd/identifiers"
LAUGHS = b"".join(
    b"<!ENTITY %c '%s'>" % (98 + number, b"&%c;" % (97 + number) * 10) for number in range(9)
)
DOCTYPES = [
    b"<!DOCTYPE a [<!ENTITY a 'ha'>" + LAUGHS + b"]>",
    b"<!DOCTYPE a [<!ENTITY a '" + b"x" * 100_000 + b"'>]>",
    b"<!DOCTYPE a [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>",
    b"<!DOCTYPE a [<!ENTITY % a SYSTEM 'http://127.0.0.1:1/x.dtd'> %a;]>",
    b"<!DOCTYPE a SYSTEM 'http://127.0.0.1:1/x.dtd'>",
    b"<!DOCTYPE a>",
]
BOMBS = [
    b"<a>" * 200_000,
    b"<a " + b" ".join(b"a%d='b'" % number for number in range(100_000)) + b"/>",
    b"<a b='" + b"c" * 12_000_000 + b"'/>",
    b"<a>" + b"<b/>" * 500_000 + b"</a>",
    b"<" + b"a" * 2_000_000 + b"/>",
    b"<a xmlns:b='" + b"c" * 2_000_000 + b"'/>",
]


def with_doctype(document: bytes, doctype: bytes) -> bytes:
    """The document type behind the declaration, and its entity used in the text."""
    start, end, rest = document.partition(b"?>")
    if not end:
        start, end, rest = b"", b"", document
    return start + end + doctype + rest.replace(b"</", b"&j;</", 1)


def readers() -> list[tuple[str, bytes, Any]]:
    return [
        ("envelope", GOOD, lambda content: read_envelope(soap_part("text/xml", Body.of(content)))),
        ("wsdl", WSDL, lambda content: read_wsdl(content.decode("utf-8", "replace"))),
        ("wsdl", WSDL, lambda content: published_wsdl(content.decode("utf-8", "replace"))),
    ]


@pytest.mark.parametrize(("name", "good", "read"), readers())
def test_xml_bombs_are_refused_in_bounded_memory(name: str, good: bytes, read: Any) -> None:
    """No entity is expanded or fetched, no document type taken, no depth or width is endless."""
    assert read(good), name
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for content in [*(with_doctype(good, each) for each in DOCTYPES), *BOMBS]:
        with pytest.raises(LienthongError):
            read(content)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 300_000


def short(tag: str) -> str:
    """The local name of what X-Road and SOAP define; others keep their namespace, or its lack."""
    space, _, local = tag.rpartition(" ")
    return local if space in (ENVELOPE, XROAD, IDENTIFIERS) else f"{{{space}}}{local}"


def second_reading(content: bytes) -> dict[str, str]:
    """X-Road's simple header fields and the client, as expat reads them."""
    found: dict[str, str] = {}
    path: list[str] = []
    parser = expat.ParserCreate(namespace_separator=" ")

    def start(tag: str, _attributes: Any) -> None:
        path.append(tag)
        if len(path) > 2:
            found.setdefault("/".join(map(short, path[1:])), "")

    def data(text: str) -> None:
        key = "/".join(map(short, path[1:]))
        found[key] = found.get(key, "") + text

    def doctype(*_: Any) -> None:
        raise AssertionError("a document type was taken")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _tag: path.pop()
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = doctype
    parser.Parse(content, True)
    return found


def test_soap_messages_are_refused_or_read_as_another_parser_reads_them() -> None:
    corpus = Corpus("SOAP message")

    def judge(content: bytes, kind: str, near: bool) -> None:
        def read() -> Any:
            part = soap_part(kind, Body.of(content))
            return part, read_headers(read_envelope(part))

        found = corpus.try_(read, signed_again=near)
        if found is None:
            return
        part, said = found
        other = second_reading(part.content)
        assert said.id == other["Header/id"].strip()
        parts = [other[f"Header/client/{name}"].strip() for name in CLIENT_PARTS]
        assert str(said.client).split("/") == parts

    judge(GOOD, "text/xml", True)
    judge(PARTS, PARTS_KIND, True)
    stranger = b"<id>y</id>"  # of no namespace: a header block of somebody else
    judge(GOOD.replace(b"<xrd:id>", stranger * 2 + b"<xrd:id>", 1), "text/xml", True)
    for doctype in DOCTYPES:
        judge(with_doctype(GOOD, doctype), "text/xml", True)
    kinds = st.sampled_from([(GOOD, "text/xml"), (PARTS, PARTS_KIND)])
    corpus.run(st.tuples(kinds, CUTS), lambda one: judge(cut(one[0][0], one[1]), one[0][1], False))

    def near(one: Any) -> None:
        (base, kind), pieces = one
        for place, piece in pieces:
            place %= len(base)
            base = base[:place] + piece + base[place:]
        judge(base, kind, True)

    corpus.run(
        st.tuples(kinds, st.lists(st.tuples(CUTS.map(lambda one: one[0]), PIECES), max_size=2)),
        near,
    )
    corpus.close()


def operations_of(content: bytes) -> set[tuple[str, str]]:
    """Name and version of the operations in SOAP 1.1 bindings, by another parser."""
    found = set()
    wsdl = "{http://schemas.xmlsoap.org/wsdl/}"
    for binding in ElementTree.fromstring(content).findall(f"{wsdl}binding"):
        if binding.find("{http://schemas.xmlsoap.org/wsdl/soap/}binding") is None:
            continue
        for each in binding.findall(f"{wsdl}operation"):
            told = [
                (each.findtext(f"{{{space}}}version") or "").strip()
                for space in (XROAD, IDENTIFIERS)
            ]
            found.add((each.get("name", ""), told[0] or told[1]))
    return found


def test_wsdl_files_are_refused_or_read_as_another_parser_reads_them() -> None:
    """What is published tells no address of the agency's own network."""
    corpus = Corpus("WSDL file", "contracts/wsdl_file.py")

    def judge(content: bytes, near: bool) -> None:
        text = content.decode("utf-8", "replace")
        found = corpus.try_(lambda: (read_wsdl(text), published_wsdl(text)), signed_again=near)
        if found is None:
            return
        operations, published = found
        try:
            said = operations_of(text.encode())
        except ElementTree.ParseError:
            # The fifth edition of XML 1.0 allows names that expat, of the fourth, does not.
            assert not text.isascii()
            return
        assert {(each.code, each.version) for each in operations} == said
        assert 0 < len(operations) <= 1000
        root = ElementTree.fromstring(published)
        for space in ("soap/", "soap12/", "http/"):
            for each in root.iter(f"{{http://schemas.xmlsoap.org/wsdl/{space}}}address"):
                assert each.get("location") == "http://example.org/xroad-endpoint"

    operation = re.search(
        rb"<(\w+:)?binding\b.*?(<(\w+:)?operation\b.*?</(\w+:)?operation>)", WSDL, re.S
    )
    assert operation is not None
    one = operation[2]
    judge(WSDL, True)
    judge(
        WSDL.replace(
            one, b"".join(one.replace(b'name="', b'name="a%d' % n, 1) for n in range(1001))
        ),
        True,
    )
    judge(WSDL + b" " * (4 << 20), True)
    judge(re.sub(rb"<(\w+:)?binding\b.*</(\w+:)?binding>", b"", WSDL, flags=re.S), True)
    judge(re.sub(rb'(<(?:\w+:)?operation name=")', rb"\1" + b"x" * 101, WSDL), True)
    judge(b"<a/>", True)
    for encoding in (b"UF-8", b"iso-8859-1", b"utf-16"):
        judge(WSDL.replace(b"UTF-8", encoding, 1), True)
    for doctype in DOCTYPES:
        judge(with_doctype(WSDL, doctype), True)
    corpus.run(CUTS, lambda how: judge(cut(WSDL, how), False))

    def near(pieces: Any) -> None:
        content = WSDL
        for place, piece in pieces:
            # Where text stands an element may stand; elsewhere it is nearly never well-formed.
            places = [found.end() for found in re.finditer(rb">", content)]
            at = places[place % len(places)] if place % 3 else place % len(content)
            content = content[:at] + piece + content[at:]
        judge(content, True)

    pieces = PIECES | st.sampled_from(
        [one, one.replace(b'name="', b'name="\xc4\x91', 1), *WSDL_PIECES]
    )
    corpus.run(
        st.lists(st.tuples(CUTS.map(lambda how: how[0]), pieces), min_size=1, max_size=3), near
    )
    corpus.close()


WSDL_PIECES = [
    b'<soap:address xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" location="http://10.0.0.5/"/>',
    b'<a:address xmlns:a="http://schemas.xmlsoap.org/wsdl/soap12/" location="http://10.0.0.5/"/>',
    b'<a:address xmlns:a="http://schemas.xmlsoap.org/wsdl/http/" location="http://10.0.0.5/"/>',
    b'<v:version xmlns:v="http://x-road.eu/xsd/xroad.xsd"> v9 </v:version>',
    b'<v:version xmlns:v="http://x-road.eu/xsd/identifiers">v8</v:version>',
    b'<w:operation xmlns:w="http://schemas.xmlsoap.org/wsdl/" name=""/>',
]
CLIENT_PARTS = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode")
PIECES = st.sampled_from(
    [
        *(
            b"&lt;",
            b"&#65;",
            b"&#0;",
            b"&#x1b;",
            b"&b;",
            b"<!-- x -->",
            b"<![CDATA[x]]>",
            b"<?x y?>",
        ),
        *(b" ", b"\n", b"\r", b"\t", b"\x00", b"\x85", "\u2028".encode(), "\u202e".encode(), b"x"),
        *(
            b"<xrd:id>y</xrd:id>",
            b"<id>y</id>",
            b"</xrd:id><xrd:id>",
            b' xmlns:xrd="urn:x"',
            b"<a/>",
        ),
        *(
            b"\r\n--ranh-gioi\r\n",
            b"Content-Type: text/xml\r\n",
            b"--",
            b"<s:Body/>",
            b"</s:Header>",
        ),
    ]
)
