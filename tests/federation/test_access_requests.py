"""From a dataset's page to data, and to its end: two agencies, two portals, two sets of keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lienthong.portal.desk import NodeDesk
from tests.fixtures.access_world import TITLE, AccessWorld, described_contract
from tests.fixtures.federation import TestNode, eventually
from tests.fixtures.portal_visitor import PortalVisitor, words

OFFICER, OWNER = "an", "binh"
# An agreement that ends within a test has to be accepted before: a busy machine tries again.
LASTING = timedelta(seconds=15), timedelta(seconds=120)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccessWorld]:
    with AccessWorld(tmp_path_factory.mktemp("w")) as made:
        yield made


@pytest.fixture(scope="module")
def officer(world: AccessWorld) -> PortalVisitor:
    return PortalVisitor(world.asking.url).sign_in(OFFICER)


@pytest.fixture(scope="module")
def owner(world: AccessWorld) -> PortalVisitor:
    return PortalVisitor(world.owning.url).sign_in(OWNER)


def ask(officer: PortalVisitor, world: AccessWorld, purpose: str, *fields: str) -> str:
    """Send the form of the dataset's page; returns the agreement's id."""
    answer = officer.send(
        f"/ask/{world.entry.key}",
        {
            "consumer": world.pair.consumer.client_id,
            "fields": fields or ("so_dinh_danh", "ho_ten"),
            "purpose": purpose,
            "legal_basis": "Điều 5 Nghị định 47/2020/NĐ-CP",
            "valid_from": "01/01/2026",
            "valid_until": "31/12/2035",
            "daily_quota": "1.000",
        },
    )
    assert answer.status_code == 303, words(answer)
    return answer.headers["location"].rpartition("/")[2].partition("?")[0]


def step(visitor: PortalVisitor, agreement: str, verb: str, **values: Any) -> str:
    """Send one of an agreement's forms; returns where the page leads to."""
    answer = visitor.send(f"/console/agreements/{agreement}/{verb}", values)
    assert answer.status_code == 303, words(answer)
    return answer.headers["location"].partition("?")[0]


def shown(visitor: PortalVisitor, agreement: str) -> str:
    return words(visitor.get(f"/console/agreements/{agreement}"))


def acts_in_ledger(node: TestNode, agreement: str) -> list[str]:
    """The steps of an agreement that the node's ledger holds, the oldest first."""
    found = json.loads(node.command("ledger", "search", "--message", agreement, "--json"))
    prefix = "agreement-"
    steps = [each["outcome"] for each in reversed(found) if each["kind"] == "event"]
    assert all(each.startswith(prefix) for each in steps), found
    return [each.removeprefix(prefix) for each in steps]


def test_a_call_is_refused_then_granted_after_approval_then_refused_after_withdrawal(
    world: AccessWorld, officer: PortalVisitor, owner: PortalVisitor
) -> None:
    found = words(officer.get("/catalogue?q=cong+dan+so+goc"))
    assert TITLE in found
    assert "Xin dùng dữ liệu" in words(officer.get(f"/datasets/{world.entry.key}"))
    assert world.refuses("ho-so-1")

    agreement = ask(officer, world, "ho-so-1")
    assert "Đang đề nghị" in shown(officer, agreement)
    assert "ho-so-1" in words(owner.get("/console"))
    assert world.refuses("ho-so-1")

    step(owner, agreement, "accept")
    answer = world.lookup("ho-so-1")
    assert answer.status == 200
    assert answer.json["records"][0]["ho_ten"] == "Nguyễn Văn Mẫu"
    for visitor in (officer, owner):
        assert "Hiệu lực" in shown(visitor, agreement)

    step(owner, agreement, "withdraw", reason="Hồ sơ đã xong")
    assert world.refuses("ho-so-1")
    for visitor in (officer, owner):
        page = shown(visitor, agreement)
        assert "Đã rút" in page
        assert "Hồ sơ đã xong" in page
    for node in (world.pair.consumer, world.pair.provider):
        assert acts_in_ledger(node, agreement) == ["propose", "accept", "withdraw"]


def test_the_asker_withdraws_as_well_and_both_nodes_refuse_from_then_on(
    world: AccessWorld, officer: PortalVisitor, owner: PortalVisitor
) -> None:
    agreement = ask(officer, world, "ho-so-2")
    step(owner, agreement, "accept")
    assert not world.refuses("ho-so-2")
    step(officer, agreement, "withdraw", reason="Không cần nữa")
    assert world.refuses("ho-so-2")
    assert "Không cần nữa" in shown(owner, agreement)


def test_an_owner_refuses_with_a_reason_that_the_asker_reads(
    world: AccessWorld, officer: PortalVisitor, owner: PortalVisitor
) -> None:
    agreement = ask(officer, world, "ho-so-3")
    without = owner.send(f"/console/agreements/{agreement}/refuse", {"reason": " "})
    assert without.status_code == 422
    assert "Cần điền mục này." in words(without)
    step(owner, agreement, "refuse", reason="Mục đích chưa rõ")
    assert "Mục đích chưa rõ" in shown(officer, agreement)
    assert world.refuses("ho-so-3")
    again = owner.send(f"/console/agreements/{agreement}/accept", {})
    assert again.status_code == 403


def test_an_owner_narrows_and_the_asker_gets_what_was_offered_and_no_more(
    world: AccessWorld, officer: PortalVisitor, owner: PortalVisitor
) -> None:
    asked = ask(officer, world, "ho-so-4", "so_dinh_danh", "ho_ten", "ngay_sinh")
    wider = {"fields": ["ho_ten"], "valid_until": "01/01/2040", "daily_quota": "5.000"}
    refused = owner.send(f"/console/agreements/{asked}/narrow", {**wider, "reason": "x"})
    assert refused.status_code == 422
    assert "Không được dài hơn thời hạn đã xin." in words(refused)
    assert "Không được nhiều hơn số đã xin." in words(refused)
    less = {"fields": ["so_dinh_danh", "ho_ten"], "valid_until": "31/12/2030", "daily_quota": "10"}
    there = step(owner, asked, "narrow", **less, reason="Không cần ngày sinh")
    offered = there.rpartition("/")[2]
    assert offered != asked
    assert "Không cần ngày sinh" in shown(officer, asked)
    step(officer, offered, "accept")
    assert not world.refuses("ho-so-4")
    assert world.refuses("ho-so-4", "ngay_sinh")
    for node in (world.pair.consumer, world.pair.provider):
        assert acts_in_ledger(node, asked) == ["propose", "refuse"]
        assert acts_in_ledger(node, offered) == ["propose", "accept"]


def test_an_agreement_ends_by_itself(
    world: AccessWorld, officer: PortalVisitor, owner: PortalVisitor
) -> None:
    """Pages name days; what ends within a test is proposed with the node's own command."""
    for lasting in LASTING:
        until = datetime.now(UTC) + lasting
        agreement = propose_until(world, until)
        accepted = owner.send(f"/console/agreements/{agreement}/accept", {})
        if accepted.status_code == 303:
            break
        assert datetime.now(UTC) >= until, words(accepted)
    assert not world.refuses("ho-so-5") or datetime.now(UTC) >= until
    assert eventually(lambda: "Hết hạn" in shown(owner, agreement), 240)
    assert datetime.now(UTC) >= until - timedelta(seconds=1)
    assert world.refuses("ho-so-5")
    assert "Hết hạn" in shown(officer, agreement)


def propose_until(world: AccessWorld, until: datetime) -> str:
    node = world.pair.consumer
    proposed = node.command(
        "agreement",
        "propose",
        *("--consumer", node.client_id, "--service", world.pair.citizens, "--purpose", "ho-so-5"),
        *("--fields", "so_dinh_danh,ho_ten", "--legal-basis", "Nghị định 47/2020/NĐ-CP"),
        *("--from", "2026-01-01", "--until", until.isoformat(), "--json"),
    )
    return str(json.loads(proposed)["id"])


def test_each_step_stands_in_the_audit_of_the_portal_where_it_was_made(
    world: AccessWorld, officer: PortalVisitor, owner: PortalVisitor
) -> None:
    agreement = ask(officer, world, "ho-so-6")
    step(owner, agreement, "refuse", reason="Trùng với đề nghị khác")
    for portal, name, act in (
        (world.asking, "an", "Gửi đề nghị"),
        (world.owning, "binh", "Từ chối thỏa thuận"),
    ):
        audit = words(PortalVisitor(portal.url).sign_in("cuong").get("/console/audit"))
        assert f"{name} {act} {agreement} xong" in audit


def test_who_is_no_party_or_has_no_such_role_makes_no_step(
    world: AccessWorld, officer: PortalVisitor, owner: PortalVisitor
) -> None:
    agreement = ask(officer, world, "ho-so-7")
    assert officer.send(f"/console/agreements/{agreement}/accept", {}).status_code == 403
    assert owner.send(f"/ask/{world.entry.key}", {}).status_code == 403
    stranger = PortalVisitor(world.owning.url).sign_in("cuong")
    assert stranger.send(f"/console/agreements/{agreement}/accept", {}).status_code == 403
    assert "Đang đề nghị" in shown(officer, agreement)


def test_a_request_with_every_field_wrong_is_told_beside_each_and_loses_nothing(
    world: AccessWorld, officer: PortalVisitor
) -> None:
    typed = {
        "consumer": "VN-TEST/GOV/X/y",
        "fields": "khong_co",
        "purpose": "một mục đích quá dài " * 20,
        "legal_basis": " ",
        "valid_from": "31/02/2026",
        "valid_until": "hôm nào đó",
        "daily_quota": "nhiều",
    }
    answer = officer.send(f"/ask/{world.entry.key}", typed)
    assert answer.status_code == 422
    for name in typed:
        assert f'id="{name}-error"' in answer.text
        assert answer.text.count(f'id="{name}-error"') == 1
    for kept in ("một mục đích quá dài", "31/02/2026", "hôm nào đó", "nhiều"):
        assert kept in answer.text


def test_the_last_day_is_whole_in_however_many_parts_it_is_read(world: AccessWorld) -> None:
    for _ in range(12):
        world.refuses("khong-co")
    state = world.pair.consumer.state
    whole = NodeDesk(state).last_day()
    assert len(whole) >= 12
    parts = NodeDesk(state, summary_records=10).last_day()
    assert {each.request_id for each in parts} == {each.request_id for each in whole}
    assert all(each.outcome for each in parts)


def test_an_owner_hands_in_a_new_version_that_the_node_measures_publishes_and_keeps_to(
    world: AccessWorld, owner: PortalVisitor
) -> None:
    new = described_contract().replace("version: 1.0.0", "version: 1.1.0")
    new = new.replace("businessName: Số con", "businessName: Số con đẻ và con nuôi")
    form = {"owner": world.pair.provider.member_id, "contract": new}
    review = owner.send("/console/contracts/submit", {**form, "step": "check"})
    assert "Tương thích. 1.0.0 → 1.1.0" in words(review)
    assert published_version(world) == "1.0.0"
    answer = owner.send("/console/contracts/submit", {**form, "step": "publish"})
    assert answer.status_code == 303, words(answer)
    page = words(owner.get(answer.headers["location"].partition("?")[0]))
    assert "Phiên bản 1.1.0" in page
    assert "so_dinh_danh: primaryKey so_dinh_danh = 0 0 Đạt" in page
    assert published_version(world) == "1.1.0"
    for _ in range(3):  # as quickly as anybody can: each publication is later than the one before
        again = owner.send(f"/console/contracts/of/{world.entry.key}", {})
        assert again.status_code == 303, words(again)
    assert not world.refuses("p2")


def test_a_version_that_the_source_cannot_keep_changes_nothing(
    world: AccessWorld, owner: PortalVisitor
) -> None:
    before = published_version(world)
    wrong = described_contract().replace("version: 1.0.0", "version: 9.0.0")
    wrong = wrong.replace("physicalName: nguoi", "physicalName: khong_co")
    form = {"owner": world.pair.provider.member_id, "contract": wrong, "step": "publish"}
    answer = owner.send("/console/contracts/submit", form)
    assert answer.status_code == 422
    assert "Nút trả lời:" in words(answer)
    assert "physicalName: khong_co" in answer.text
    assert published_version(world) == before
    assert not world.refuses("p2")


def test_the_page_names_the_agency_once_it_has_an_agreement_in_force(
    world: AccessWorld, officer: PortalVisitor, owner: PortalVisitor
) -> None:
    def users() -> str:
        assert owner.send(f"/console/contracts/of/{world.entry.key}", {}).status_code == 303
        page = words(officer.get(f"/datasets/{world.entry.key}"))
        return page.partition("Mục đích")[2].partition("Cách xin dùng")[0]

    agreement = ask(officer, world, "cap-the-bhyt")
    assert "cap-the-bhyt" not in users()
    step(owner, agreement, "accept")
    shown_now = users()
    assert world.pair.consumer.member_id in shown_now
    assert "cap-the-bhyt" in shown_now
    step(owner, agreement, "withdraw", reason="Xong")
    assert "cap-the-bhyt" not in users()


def published_version(world: AccessWorld) -> str:
    with world.catalogue.store() as store:
        return store.get(world.entry.key).version


def test_a_node_that_is_away_is_told_on_the_page_and_what_was_typed_stays(
    world: AccessWorld, officer: PortalVisitor
) -> None:
    typed = {
        "consumer": world.pair.consumer.client_id,
        "fields": ["ho_ten"],
        "purpose": "ho-so-8",
        "legal_basis": "Điều 5 Nghị định 47/2020/NĐ-CP",
        "valid_from": "01/01/2026",
        "valid_until": "31/12/2199",
    }
    world.pair.consumer.stop()
    try:
        answer = officer.send(f"/ask/{world.entry.key}", typed)
        assert answer.status_code == 422
        for kept in ("ho-so-8", "Điều 5 Nghị định", "01/01/2026", "31/12/2199"):
            assert kept in answer.text
        assert "Không có nút nào đang chạy" in words(answer)
    finally:
        world.pair.consumer.run()
        world.pair.consumer.wait()
