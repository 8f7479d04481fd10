"""Agencies stand under their names, with the identifier beside; health speaks both languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lienthong.errors import DirectoryExpired, NodeNotLinked
from lienthong.node.health import Check, FailedCheck
from lienthong.portal.names import AGAIN_SECONDS, KEPT_SECONDS, Named, Names
from lienthong.portal.pages import moments_within
from lienthong.portal.roles import Role
from lienthong.portal.views.messages import _place_on_the_path
from tests.fixtures.portal_desk import AGREEMENT, ASKER, OWNER, REQUEST, KnownDesk
from tests.fixtures.portal_site import PortalSite
from tests.fixtures.portal_visitor import words

KNOWN = {"VN/GOV/G01": "Bộ Công an", "VN/GOV/G01/dancu": "Dân cư"}


class Asked:
    """A directory that counts how often it is asked, and may be away."""

    def __init__(self) -> None:
        self.times, self.away, self.now = 0, False, 0.0

    def __call__(self, identifiers: Sequence[str]) -> Mapping[str, str]:
        self.times += 1
        if self.away:
            raise NodeNotLinked()
        return {each: KNOWN[each] for each in identifiers if each in KNOWN}

    def clock(self) -> float:
        return self.now


def test_members_systems_nodes_and_services_have_names() -> None:
    asked = Asked()
    names = Names(asked, asked.clock)
    assert names.of("VN/GOV/G01") == Named("Bộ Công an", "")
    assert names.of("VN/GOV/G01/dancu") == Named("Bộ Công an · Dân cư", "")
    assert names.of("VN/GOV/G01/dancu/cong-dan") == Named("Bộ Công an · Dân cư", "cong-dan")
    assert names.of("VN/GOV/G01/n1") == Named("Bộ Công an", "n1")
    assert names.of("VN/GOV/XX/a") == Named("", "VN/GOV/XX/a")


def test_names_are_remembered_for_a_while_and_then_asked_for_again() -> None:
    asked = Asked()
    names = Names(asked, asked.clock)
    for _ in range(5):
        names.of("VN/GOV/G01")
    assert asked.times == 1
    asked.now = KEPT_SECONDS + 1
    names.of("VN/GOV/G01")
    assert asked.times == 2


def test_a_node_that_is_away_is_not_asked_again_for_each_name() -> None:
    asked = Asked()
    asked.away = True
    names = Names(asked, asked.clock)
    assert names.shown("VN/GOV/G01") == "<code>VN/GOV/G01</code>"
    names.of("VN/GOV/G02")
    assert asked.times == 1
    asked.away, asked.now = False, AGAIN_SECONDS + 1
    assert names.of("VN/GOV/G01").name == "Bộ Công an"


@given(st.text() | st.sampled_from(list(KNOWN)))
def test_whatever_stands_in_a_text_is_escaped_and_kept(text: str) -> None:
    asked = Asked()
    shown = Names(asked, asked.clock).within(f"<b> {text} VN/GOV/G01/n1, hết")
    assert "<b>" not in shown
    assert "Bộ Công an" in shown


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalSite]:
    folder = tmp_path_factory.mktemp("portal")
    made = PortalSite(folder / "p")
    made.site.desk = KnownDesk(folder / "node")
    made.add("auditor", Role.AUDITOR)
    made.site.audit.write("an", "contract.publish", f"{OWNER}/test-nguoi 2.0.0", "done", "")
    yield made
    made.site.close()


@pytest.mark.parametrize(
    "path",
    [
        "/console",
        "/console/messages",
        f"/console/messages/{REQUEST}",
        "/console/agreements",
        f"/console/agreements/{AGREEMENT}",
        "/console/audit",
    ],
)
def test_pages_name_agencies_and_keep_the_identifier_beside(portal: PortalSite, path: str) -> None:
    told = words(portal.signed_in("auditor").get(path))
    assert "Bộ Công an" in told
    assert OWNER in told
    if "audit" not in path:
        assert f"Thành phố Huế · motcua {ASKER}/motcua" in told


def test_health_is_told_in_the_language_of_the_page(portal: PortalSite) -> None:
    visitor = portal.signed_in("auditor")
    assert "chậm 12 giây" in words(visitor.get("/console/health"))
    english = words(visitor.get("/console/health?lang=en"))
    assert "12 s behind" in english
    assert "giây" not in english


def test_every_check_of_a_node_speaks_both_languages() -> None:
    assert Check("clock", ok=False, reason="12 s behind its own ledger").facts() == {
        "name": "clock",
        "ok": False,
        "reason": "12 s behind its own ledger",
        "alarm": False,
        "reason_vi": "chậm 12 giây so với sổ của chính nút",
        "reason_en": "12 s behind its own ledger",
    }
    error = DirectoryExpired(part="version 3", expires="2026")
    failed = FailedCheck("directory", ok=False, reason=error.message("en"), error=error)
    assert failed.facts()["reason_vi"] == error.message("vi")
    assert failed.facts()["reason_en"] == error.message("en")
    assert set(failed.plain()) == {"name", "ok", "reason", "alarm"}


def test_a_path_goes_as_messages_go_also_where_clocks_differ_by_parts_of_a_second() -> None:
    told = [
        {"event": "ledger.request_received", "time": "2026-11-01T08:00:00.100Z"},
        {"event": "ledger.request_sent", "time": "2026-11-01T08:00:00.900Z"},
        {"event": "ledger.answer_received", "time": "2026-11-01T08:00:01.000Z"},
        {"event": "exchange.refused", "time": "2026-11-01T08:00:00.000Z"},
    ]
    events = [each["event"] for each in sorted(told, key=_place_on_the_path)]
    assert events == [
        "ledger.request_sent",
        "ledger.request_received",
        "exchange.refused",
        "ledger.answer_received",
    ]


@given(st.text())
def test_times_within_a_text_are_those_of_vietnam(text: str) -> None:
    shown = moments_within(f"hết hạn 2026-11-25T01:26:38+00:00 <b>{text}")
    assert "25/11/2026 08:26:38</time> &lt;b&gt;" in shown
    assert moments_within("2026-99-99T01:26:38Z") == "2026-99-99T01:26:38Z"
