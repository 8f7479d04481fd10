"""A data owner hands in a contract: faults beside the text, nothing lost, published when seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest

from lienthong.contracts.document import LARGEST_CONTRACT_BYTES
from lienthong.errors import CatalogueRefused
from lienthong.node.state import HostedMember, Identity
from lienthong.portal.roles import Role
from tests.fixtures.people import CONTRACT_TEXT
from tests.fixtures.portal_site import PortalSite, Visitor
from tests.fixtures.portal_visitor import words
from tests.unit.test_portal_contracts import FIRST, NOW, OWNER, SECOND, published

PATH = "/console/contracts/submit"


class Desk:
    """The console's node, by what it was asked: a real one is in the browser tests."""

    linked = True

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self.orders: list[dict[str, Any]] = []
        self.refusal: CatalogueRefused | None = None

    def identity(self) -> Identity:
        return self._identity

    def publish(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.refusal is not None:
            raise self.refusal
        self.orders.append(body)
        return {}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalSite]:
    made = PortalSite(tmp_path_factory.mktemp("portal"))
    made.add("owner", Role.DATA_OWNER, member=OWNER)
    made.add("other", Role.DATA_OWNER, member="VN-TEST/GOV/H37")
    published(made, FIRST, NOW)
    yield made
    made.site.close()


@pytest.fixture
def portal(made: PortalSite) -> PortalSite:
    """The same portal, its node new: what it was asked is this test's."""
    members = (HostedMember(OWNER, "Bộ Công an"), HostedMember("VN-TEST/GOV/H37", "Huế"))
    desk: Any = Desk(Identity(f"{OWNER}/n1", "Nút", (), members))
    made.site.desk = desk
    return made


def handed_in(visitor: Visitor, text: str, step: str = "check", **more: Any) -> Any:
    values = {"owner": OWNER, "contract": text, "step": step}
    return visitor.send(PATH, values, files={"file": ("", b"")}, **more)


def typed(page: Any) -> str:
    """What stands in the text area; a browser drops the first end of a line."""
    found = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page.text, re.DOTALL)
    assert found
    return unescape(found[1])


def test_faults_stand_beside_the_text_with_line_and_path_and_nothing_is_lost(
    portal: PortalSite,
) -> None:
    text = FIRST.replace("primaryKey: true", "primaryKey: có").replace(
        "version: 1.0.0", "version: 1"
    )
    visitor = portal.signed_in("owner")
    page = handed_in(visitor, text)
    assert page.status_code == 422
    told = words(page)
    assert "Hợp đồng có 2 lỗi:" in told
    assert "dòng 18, schema[0].properties[0].primaryKey primaryKey: có" in told
    assert "phải là đúng hoặc sai (true, false), không phải chữ" in told
    assert "dòng 5, version version: 1" in told
    assert 'aria-describedby="contract-hint contract-error"' in page.text
    assert typed(page) == text
    visitor.get("/?lang=en")
    english = words(handed_in(visitor, text))
    assert "line 5, version version: 1 The contract breaks the ODCS standard" in english
    assert "must be text, not a whole number" in english
    assert portal.site.desk.orders == []  # type: ignore[attr-defined]


def test_a_good_contract_is_shown_with_its_changes_before_anything_is_published(
    portal: PortalSite,
) -> None:
    page = handed_in(portal.signed_in("owner"), SECOND)
    assert page.status_code == 200
    assert "Phá vỡ tương thích. 1.0.0 → 2.0.0" in words(page)
    assert 'value="publish"' in page.text
    assert typed(page) == SECOND
    assert portal.site.desk.orders == []  # type: ignore[attr-defined]


def test_publishing_asks_the_node_and_is_written_down(portal: PortalSite) -> None:
    answer = handed_in(portal.signed_in("owner"), SECOND.replace("\n", "\r\n"), "publish")
    assert answer.headers["location"] == f"/console/contracts/of/{OWNER}/test-nguoi?done=handed"
    (order,) = portal.site.desk.orders  # type: ignore[attr-defined]
    assert order == {"service": f"{OWNER}/dancu/cong-dan", "contract": SECOND}
    line = portal.site.audit.lines(act="contract.publish")[0]
    assert (line.account, line.outcome) == ("owner", "done")
    assert line.subject == f"{OWNER}/test-nguoi 2.0.0"


def test_a_first_contract_is_published_for_its_owner(portal: PortalSite) -> None:
    text = CONTRACT_TEXT.replace("id: test-nguoi", "id: khac")
    visitor = portal.signed_in("owner")
    assert "đây là bản đầu tiên" in words(handed_in(visitor, text))
    assert handed_in(visitor, text, "publish").status_code == 303
    assert portal.site.desk.orders == [  # type: ignore[attr-defined]
        {"contract": text, "owner": OWNER, "facts": {}}
    ]


def test_a_refusal_of_the_node_loses_nothing_and_is_written_down(portal: PortalSite) -> None:
    portal.site.desk.refusal = CatalogueRefused(detail="đang bảo trì")  # type: ignore[attr-defined]
    page = handed_in(portal.signed_in("owner"), SECOND, "publish")
    assert page.status_code == 422
    assert "đang bảo trì" in words(page)
    assert typed(page) == SECOND
    assert portal.site.audit.lines(act="contract.publish")[0].outcome == "catalogue.refused"


def test_an_uploaded_file_takes_the_place_of_the_text(portal: PortalSite) -> None:
    visitor = portal.signed_in("owner")
    files = {"file": ("a.odcs.yaml", b"\xef\xbb\xbf" + SECOND.encode())}
    page = visitor.send(PATH, {"owner": OWNER, "contract": "cũ"}, files=files)
    assert page.status_code == 200
    assert typed(page) == SECOND
    bad = visitor.send(PATH, {"owner": OWNER, "contract": "cũ"}, files={"file": ("a", b"\xff")})
    assert "không phải UTF-8 (byte 0)" in words(bad)
    assert typed(bad) == "cũ"


def test_the_same_version_with_another_content_is_told_before_the_catalogue_refuses_it(
    portal: PortalSite,
) -> None:
    page = handed_in(portal.signed_in("owner"), FIRST + "# ghi chú\n")
    assert page.status_code == 422
    assert "Phiên bản 1.0.0 quá thấp" in words(page)
    assert "dòng 5, version" in words(page)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "anchor (&) của YAML ở dòng 1"),
        ("a: !!python/object/apply:os.system [id]\n", "tag (!) của YAML ở dòng 1"),
        ("[" * 100_000, "nesting vượt 40"),
        ("x" * (LARGEST_CONTRACT_BYTES + 1), "size_bytes vượt"),
        ("\x00", "Không đọc được hợp đồng"),
    ],
    ids=["aliases", "tag", "nesting", "size", "control"],
)
def test_hostile_yaml_is_refused_and_shown_as_text(
    portal: PortalSite, text: str, told: str
) -> None:
    page = handed_in(portal.signed_in("owner"), text)
    assert page.status_code == 422
    assert told in words(page)
    assert portal.site.desk.orders == []  # type: ignore[attr-defined]


def test_more_than_the_form_may_hold_is_refused(portal: PortalSite) -> None:
    assert handed_in(portal.signed_in("owner"), "x" * 4 * LARGEST_CONTRACT_BYTES).status_code == 413


def test_markup_in_a_contract_stays_text(portal: PortalSite) -> None:
    page = handed_in(portal.signed_in("owner"), "</textarea><script>alert(1)</script>: 1")
    assert "<script>alert" not in page.text
    assert typed(page) == "</textarea><script>alert(1)</script>: 1"


def test_nobody_hands_in_for_another_agency(portal: PortalSite) -> None:
    page = handed_in(portal.signed_in("other"), SECOND, "publish")
    assert page.status_code == 422
    assert 'id="owner-error"' in page.text
    assert portal.site.desk.orders == []  # type: ignore[attr-defined]


def test_a_wrong_owner_and_a_broken_contract_are_told_at_once(portal: PortalSite) -> None:
    visitor = portal.signed_in("owner")
    broken = CONTRACT_TEXT.replace("kind: DataContract", "kind: Khac")
    values = {"owner": "VN-TEST/GOV/KHAC", "contract": broken, "step": "check"}
    page = visitor.send(PATH, values, files={"file": ("", b"")})
    assert page.status_code == 422
    assert 'id="owner-error"' in page.text
    assert "kind" in words(page)
    assert "Khac" in typed(page)
