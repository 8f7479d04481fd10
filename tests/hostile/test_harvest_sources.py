"""A hostile source: whatever it answers, harvesting ends, loses nothing, and lets nothing in."""

from __future__ import annotations

import gzip
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lienthong.catalogue.addresses import Addresses
from lienthong.catalogue.harvest import fetching
from lienthong.catalogue.harvest.describing import address, clean, entry_of_record
from lienthong.catalogue.harvest.fetching import Fetcher, SourceFailed
from lienthong.catalogue.harvest.models import (
    Kind,
    Outcome,
    Record,
    Run,
    Source,
    SourceState,
    Unusable,
)
from lienthong.catalogue.harvest.packages import record_of_package
from lienthong.catalogue.harvest.rdf_process import RdfProcess
from lienthong.catalogue.harvest.running import Harvester, networks_of
from lienthong.catalogue.models import HARVESTED
from lienthong.catalogue.schema_org import markup_of
from lienthong.catalogue.terms import terms_of
from lienthong.errors import InvalidSetting
from lienthong.settings import Settings, load_settings
from tests.fixtures.catalogue_web import Catalogue
from tests.fixtures.harvest_sources import Ckan, ScriptedSource, give, package
from tests.fixtures.portal_site import PortalSite

LOOPBACK = networks_of("127.0.0.0/8, ::1")
NOW = datetime(2026, 9, 1, tzinfo=UTC)
SOURCE = Source(
    name="nguon", url="https://x.example/", kind=Kind.DCAT, added=NOW, state=SourceState()
)
TURTLE_START = (
    b"@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> ."
)


def fetcher(networks: Any = LOOPBACK, seconds: float = 60.0) -> Fetcher:
    return Fetcher(networks, time.monotonic() + seconds, pause_seconds=0.01)


class Harvesting:
    """A catalogue with one source that was harvested well before it turned hostile."""

    def __init__(self, folder: Path, source: ScriptedSource, kind: Kind, path: str = "") -> None:
        self.catalogue = Catalogue(f"sqlite:///{folder}/c.db", Addresses("https://here.example"))
        values = {**load_settings().values, "harvest_networks": "127.0.0.0/8"}
        values |= {"harvest_limit_records": 400, "harvest_limit_seconds": 60.0}
        self.harvester = Harvester(
            self.catalogue.store, self.catalogue.search, Settings(values), pause_seconds=0.01
        )
        url = source.origin + path
        made = Source(name="nguon", url=url, kind=kind, added=NOW, state=SourceState())
        self.harvester.store.put(made)

    def run(self) -> Run:
        return self.harvester.run(self.harvester.store.get("nguon"), whole=True)


@pytest.fixture
def script() -> Iterator[ScriptedSource]:
    with ScriptedSource() as source:
        yield source


# --- where it may lead ------------------------------------------------------------------------

INSIDE = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://0.0.0.0:{port}/",
    "http://2130706433:{port}/",
    "http://10.0.0.1/",
    "http://192.168.1.1/",
    "http://172.16.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.64.0.1/",
    "http://[fe80::1]/",
    "http://[fd00::1]/",
    "http://224.0.0.1/",
]


@pytest.mark.parametrize("url", INSIDE)
def test_addresses_inside_are_asked_only_where_the_operator_allows(
    script: ScriptedSource, url: str
) -> None:
    script.answers["*"] = lambda request: give(request, b"secret")
    port = script.origin.rpartition(":")[2]
    with pytest.raises(SourceFailed):
        fetcher(networks=()).get(url.format(port=port))
    assert script.asked == []


@pytest.mark.parametrize("url", INSIDE[6:])
def test_a_redirect_is_judged_like_the_first_address(script: ScriptedSource, url: str) -> None:
    port = script.origin.rpartition(":")[2]
    place = url.format(port=port)
    script.answers["/"] = lambda request: give(request, b"", status=302, Location=place)
    only_here = networks_of("127.0.0.1/32") if "2130706433" not in url else []
    with pytest.raises(SourceFailed, match=r"not public|connection|not known"):
        fetcher(networks=only_here).get(f"{script.origin}/")


@pytest.mark.parametrize(
    "place",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1/",
        "http://user:pass@127.0.0.1/",
        "http://",
        "http://[/",
        "javascript:alert(1)",
        "http://\x00/",
    ],
)
def test_a_redirect_to_what_is_no_web_address_is_refused(
    script: ScriptedSource, place: str
) -> None:
    answer = place.replace("\x00", "%00")
    script.answers["/"] = lambda request: give(request, b"", status=301, Location=answer)
    with pytest.raises(SourceFailed):
        fetcher().get(f"{script.origin}/")


def test_redirects_without_end_end(script: ScriptedSource) -> None:
    script.answers["*"] = lambda request: give(request, b"", status=307, Location="/again")
    with pytest.raises(SourceFailed, match="too many redirects"):
        fetcher().get(f"{script.origin}/")
    assert len(script.asked) <= 7


def test_a_name_is_looked_up_once_so_that_it_cannot_change(
    script: ScriptedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.answers["*"] = lambda request: give(request, b"secret")
    port = int(script.origin.rpartition(":")[2])
    answers = iter(["93.184.215.14", "127.0.0.1"])
    reached: list[Any] = []

    def looked_up(host: str, *rest: Any, **more: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    def connect(where: Any, *rest: Any) -> Any:
        reached.append(where)
        raise OSError("no way out of here")

    monkeypatch.setattr(fetching.socket, "getaddrinfo", looked_up)
    monkeypatch.setattr(fetching.socket, "create_connection", connect)
    with pytest.raises(SourceFailed):
        fetcher(networks=())._connect("http://rebinding.example/", 5)
    assert reached == [("93.184.215.14", 80)]


def test_networks_are_read_from_the_setting_or_refused() -> None:
    assert networks_of("10.0.0.0/8 , fd00::/8") == [
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("fd00::/8"),
    ]
    with pytest.raises(InvalidSetting):
        networks_of("everything")


# --- how much and how long ---------------------------------------------------------------------


def test_an_answer_without_end_is_cut(
    script: ScriptedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "LARGEST_ANSWER_BYTES", 1 << 20)

    def endless(request: Any) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(1 << 40))
        request.end_headers()
        try:
            while True:
                request.wfile.write(b" " * 65_536)
        except OSError:
            return

    script.answers["*"] = endless
    with pytest.raises(SourceFailed, match="over 1048576 bytes"):
        fetcher().get(script.origin)


def test_a_packed_bomb_is_not_unpacked(
    script: ScriptedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "LARGEST_ANSWER_BYTES", 1 << 20)
    bomb = gzip.compress(b" " * (64 << 20))
    script.answers["*"] = lambda request: give(request, bomb, Content_Encoding="gzip")
    with pytest.raises(SourceFailed, match="over 1048576 bytes"):
        fetcher().get(script.origin)


def test_a_packed_answer_is_read(script: ScriptedSource) -> None:
    body = b'{"success": true}' * 1000
    packed = gzip.compress(body)
    script.answers["*"] = lambda request: give(request, packed, Content_Encoding="gzip")
    assert fetcher().get(script.origin).body == body
    script.answers["*"] = lambda request: give(request, packed[:-9], Content_Encoding="gzip")
    with pytest.raises(SourceFailed, match="cut off"):
        fetcher().get(script.origin)
    script.answers["*"] = lambda request: give(request, packed, Content_Encoding="br")
    with pytest.raises(SourceFailed):
        fetcher().get(script.origin)


@pytest.mark.parametrize("where", ["head", "body", "silent"])
def test_a_source_that_drips_is_left(
    script: ScriptedSource, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(fetching, "LONGEST_ANSWER_SECONDS", 1.0)
    stopped = threading.Event()

    def drip(request: Any) -> None:
        start = b"HTTP/1.1 200 OK\r\n"
        request.wfile.write(start + (b"Content-Length: 9999\r\n\r\n" if where == "body" else b""))
        try:
            while not stopped.wait(0.05):
                request.wfile.write(b"" if where == "silent" else b"X")
        except OSError:
            return

    script.answers["*"] = drip
    with pytest.raises(SourceFailed):
        fetcher().get(script.origin)
    stopped.set()


@pytest.mark.parametrize("framed", [True, False])
def test_an_answer_that_is_cut_off_is_no_answer(script: ScriptedSource, framed: bool) -> None:
    def cut(request: Any) -> None:
        request.send_response(200)
        if framed:
            request.send_header("Content-Length", "1000")
        request.end_headers()
        request.wfile.write(b"half")

    script.answers["*"] = cut
    with pytest.raises(SourceFailed):
        fetcher().get(script.origin)


# --- pages without end --------------------------------------------------------------------------


def test_a_ckan_that_makes_packages_up_without_end_is_left(tmp_path: Path) -> None:
    class Endless(Ckan):
        def search(self, request: Any) -> None:
            first = len(self.asked) * 100
            results = [package(first + n) for n in range(100)]
            answer = {"success": True, "result": {"count": 10**9, "results": results}}
            give(request, json.dumps(answer).encode())

    with Endless() as source:
        run = Harvesting(tmp_path, source, Kind.CKAN).run()
    assert (run.outcome, run.reason) == (Outcome.BROKEN, "over 400 records")


def page_of_turtle(number: int, following: str, datasets: int = 100) -> bytes:
    sets = b"".join(
        b'<https://x.example/%d/%d> a dcat:Dataset ; dct:title "D%d-%d" ; dct:description "x" .\n'
        % (number, n, number, n)
        for n in range(datasets)
    )
    more = b'<#p> <http://www.w3.org/ns/hydra/core#next> "' + following.encode() + b'" .\n'
    return TURTLE_START + sets + more


@pytest.mark.parametrize(
    ("following", "reason"),
    [
        (lambda n: f"/c.ttl?page={n + 1}", "over 400 records"),
        (lambda n: "/c.ttl", "circle"),
        (lambda n: "http://169.254.169.254/c.ttl", "another host"),
        (lambda n: "file:///etc/passwd", "another host"),
        (lambda n: "http://[", "another host|not readable|no address"),
    ],
)
def test_pages_without_end_or_in_a_circle_end(
    tmp_path: Path, script: ScriptedSource, following: Callable[[int], str], reason: str
) -> None:
    def page(request: Any) -> None:
        number = len(script.asked)
        give(request, page_of_turtle(number, following(number)), "text/turtle")

    script.answers["/c.ttl"] = page
    run = Harvesting(tmp_path, script, Kind.DCAT, "/c.ttl").run()
    assert run.outcome is Outcome.BROKEN
    assert any(each in run.reason for each in reason.split("|")), run.reason
    assert run.gone == 0


def test_pages_that_repeat_the_same_datasets_end(tmp_path: Path, script: ScriptedSource) -> None:
    def page(request: Any) -> None:
        give(request, page_of_turtle(1, f"/c.ttl?n={len(script.asked)}", 2), "text/turtle")

    script.answers["/c.ttl"] = page
    run = Harvesting(tmp_path, script, Kind.DCAT, "/c.ttl").run()
    assert (run.outcome, len(script.asked)) == (Outcome.BROKEN, 2)


# --- what it answers ----------------------------------------------------------------------------

JSON_ANSWERS = [
    b"",
    b"null",
    b"[]",
    b"{",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"success": true}',
    b'{"success": true, "result": []}',
    b'{"success": true, "result": {"count": -1, "results": []}}',
    b'{"success": true, "result": {"count": true, "results": []}}',
    b'{"success": true, "result": {"count": 1e400, "results": []}}',
    b'{"success": true, "result": {"count": 5, "results": {}}}',
    b'{"success": true, "result": {"count": 5, "results": []}}',
    b'{"success": false, "error": {}}',
    b'{"success": "true", "result": {"count": 0, "results": []}}',
    b"\xff\xfe\x00",
    b"<html>login</html>",
]


@pytest.mark.parametrize("body", JSON_ANSWERS, ids=range(len(JSON_ANSWERS)))
def test_what_is_no_answer_of_ckan_breaks_the_run_and_nothing_else(
    tmp_path: Path, body: bytes
) -> None:
    with Ckan([package(1), package(2)]) as source:
        harvesting = Harvesting(tmp_path, source, Kind.CKAN)
        assert harvesting.run().new == 2
        path = "/api/3/action/package_search"
        source.answers[path] = lambda request: give(request, body)
        run = harvesting.run()
        assert (run.outcome, run.gone) == (Outcome.BROKEN, 0)
        assert harvesting.catalogue.store.count() == 2


_LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">&c;</rdf:RDF>"""
_FILE = b"""<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">&x;</rdf:RDF>"""
RDF_ANSWERS = [
    ("xml", _LAUGHS),
    ("xml", _FILE),
    ("xml", _FILE.decode().encode("utf-16")),
    ("xml", b'<?xml version="1.0" encoding="cp037"?>' + _FILE),
    ("xml", b"<rdf:RDF>"),
    ("xml", b"<a>" * 20_000),
    ("turtle", b"(" * 200_000),
    ("turtle", b"[" * 200_000),
    ("turtle", b"<a> <b> '''" + b"x" * 100_000),
    ("turtle", b"\x00\x01\xff"),
    ("turtle", TURTLE_START + b"<x> a dcat:Dataset ; dct:title "),
    ("json-ld", b"[" * 200_000),
    ("json-ld", b'{"@context": "https://evil.example/context.jsonld", "@id": "x"}'),
    ("json-ld", b'{"@context": "file:///etc/passwd"}'),
    ("json-ld", b'{"@context": ["//evil.example/"]}'),
    ("json-ld", b'{"@context": {"@import": "https://evil.example/"}}'),
    ("json-ld", b'{"@context": {"a": {"@id": "b:c", "@context": "http://e.example/"}}}'),
    ("json-ld", b'{"@graph": 7, "@id": {}}'),
    ("nt", b"<a"),
]


@pytest.mark.parametrize(("form", "body"), RDF_ANSWERS, ids=range(len(RDF_ANSWERS)))
def test_hostile_rdf_is_refused_within_bounds(form: str, body: bytes) -> None:
    with RdfProcess() as reader:
        try:
            found = reader.read(body, form, "https://x.example/c")
        except SourceFailed as error:
            assert str(error)
        else:  # readable, but no dataset in it
            assert found["records"] == []
        after = reader.read(page_of_turtle(1, "", 1), "turtle", "https://x.example/c")
        assert len(after["records"]) == 1


def test_the_reader_of_rdf_cannot_ask_anybody(script: ScriptedSource) -> None:
    """Also where a way around the checks were found: the process itself refuses."""
    import subprocess
    import sys

    program = (
        "import sys, urllib.request\n"
        "from lienthong.catalogue.harvest import rdf_reading\n"
        "sys.addaudithook(rdf_reading._refuse_network)\n"
        f"try: urllib.request.urlopen('{script.origin}/')\n"
        "except PermissionError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=90, check=True
    )
    assert "asks nobody" in done.stdout
    assert script.asked == []


def test_a_reader_that_takes_too_long_is_ended() -> None:
    with RdfProcess(seconds=0.01) as reader, pytest.raises(SourceFailed, match="time or memory"):
        reader.read(page_of_turtle(1, "", 20_000), "turtle", "https://x.example/")


# --- what its words may do -----------------------------------------------------------------------

WORDS = [
    "<script>alert(1)</script>Mưa",
    "Mưa<img src=x onerror=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;Mưa",
    "&amp;lt;img src=x onerror=alert(1)&amp;gt;Mưa",
    "<scr<script>ipt>alert(1)</script>Mưa",
    "Mưa\u202egnuht\u2066\x00\x1b[31m",
    "<style>*{display:none}</style>Mưa",
    "<!-- x -->Mưa<!DOCTYPE x>",
]


@pytest.mark.parametrize("text", WORDS, ids=range(len(WORDS)))
def test_markup_in_texts_becomes_plain_text(text: str) -> None:
    found = clean(text, 100)
    assert "Mưa" in found
    assert not set(found) & set("\u202e\u2066\x00\x1b")
    for mark in ("<script", "<img", "<style", "onerror=alert(1)>"):
        assert mark not in found


def test_a_long_text_is_cut_in_little_time() -> None:
    for text in ("<" * 400_000, "<a " * 200_000, "&amp;" * 100_000, "<script" * 80_000):
        assert len(clean(text, 10_000)) <= 10_000


@pytest.mark.parametrize(
    "text",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "http://u:p@x.example/",
        'https://x.example/"onclick="alert(1)',
        "https://x.example/<script>",
        "http://[",
        "https://x.example/" + "a" * 3000,
    ],
)
def test_an_address_that_a_page_must_not_link_to_is_left_out(text: str) -> None:
    assert address(text) == ""


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
_names = st.sampled_from([*package(1), "extras", "version", "maintainer_email", "author"])


@settings(max_examples=200)
@given(st.dictionaries(_names, _anything, max_size=8) | _anything)
def test_any_package_becomes_an_entry_or_a_reason(value: Any) -> None:
    try:
        record = record_of_package(value, "https://x.example")
        entry = entry_of_record(record, SOURCE, NOW)
    except Unusable as error:
        assert str(error)
        return
    assert entry.key.startswith(f"{HARVESTED}nguon/")
    assert entry.owner.startswith(f"{HARVESTED}nguon/")
    assert not entry.is_own
    assert terms_of(entry)
    markup_of(entry, Addresses("https://here.example"))


@settings(max_examples=200)
@given(st.builds(Record, id=st.text(min_size=1), title=st.text(), description=st.text(),
                 landing_page=st.text(), tags=st.lists(st.text()).map(tuple), issued=st.text(),
                 publisher=st.text(), contact=st.text(), frequency=st.text()))  # fmt: skip
def test_any_record_becomes_a_bounded_entry_or_a_reason(record: Record) -> None:
    try:
        entry = entry_of_record(record, SOURCE, NOW)
    except Unusable:
        return
    assert len(entry.title) <= 500
    assert len(entry.key) < 200
    assert entry.published <= NOW
    assert entry.landing_page.startswith(("http://", "https://")) or not entry.landing_page


def test_a_page_shows_hostile_words_as_words(tmp_path: Path) -> None:
    portal = PortalSite(tmp_path / "portal")
    record = Record(
        id="x",
        title="Mưa <b onclick=alert(1)>đậm</b> &lt;i&gt;",
        description="'\"><script>alert(1)</script>" + "x" * 50,
        publisher="</script><script>alert(2)</script>Đài",
        landing_page="javascript:alert(3)",
        tags=("</title>mưa",),
    )
    entry = entry_of_record(record, SOURCE, NOW)
    portal.site.catalogue.save([entry])
    text = portal.visitor().get(f"/datasets/{entry.key}").text
    assert "alert(1)" not in text
    assert "alert(2)" not in text
    assert "javascript:" not in text
    assert text.count("<script") == text.count("</script>")
    portal.site.close()


def test_a_source_cannot_take_another_sources_entry_away(tmp_path: Path) -> None:
    with Ckan([package(1), package(2)]) as good, Ckan() as bad:
        harvesting = Harvesting(tmp_path, good, Kind.CKAN)
        harvesting.run()
        state = SourceState()
        thief = Source(name="ke-gian", url=bad.origin, kind=Kind.CKAN, added=NOW, state=state)
        harvesting.harvester.store.put(thief)
        bad.packages = [package(1, title="Bị thay thế"), package(3, id="../nguon/1", name="x")]
        harvesting.harvester.run(thief)
        titles = {entry.title for entry in harvesting.catalogue.store.entries()}
        assert "Bị thay thế" not in titles
        assert package(1)["title"] in titles
        assert harvesting.catalogue.store.count() == 3


def test_every_reason_that_harvesting_gives_is_told_in_vietnamese_too() -> None:
    import ast

    from lienthong.reasons import vietnamese_reasons
    from tests.unit.test_reasons import _template

    calls = [
        (call.func.id, _template(call.args[0]))
        for path in Path(fetching.__file__).parent.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.args
    ]
    ours = {text for name, text in calls if name in ("SourceFailed", "Unusable", "_Refused")}
    given = {text for text in ours if text}
    assert len(given) > 20
    assert given - vietnamese_reasons().keys() == set()
