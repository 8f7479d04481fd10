"""The contracts of the console: each rule with its result, promises, versions and what changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from lienthong.catalogue.describing import entry_of
from lienthong.catalogue.models import Act, Facts, Publication, Quality, RuleResult
from lienthong.contracts.loading import load_contract
from lienthong.node.measured_quality import facts_of_report
from lienthong.portal.roles import Role
from lienthong.portal.shelf import UNMEASURED, ContractShelf, rules_of, versions_of
from lienthong.sources.quality import measure_quality
from tests.fixtures.people import CONTRACT_TEXT, store_in_sql
from tests.fixtures.portal_site import PortalSite
from tests.fixtures.portal_visitor import words

OWNER = "VN-TEST/GOV/G01"
KEY = f"{OWNER}/test-nguoi"
PROMISES = """slaProperties:
  - {property: frequency, value: daily, description: Cập nhật mỗi đêm}
  - {property: retention, value: 10, unit: y, driver: regulatory}
"""
FIRST = CONTRACT_TEXT + PROMISES
SECOND = FIRST.replace("version: 1.0.0", "version: 2.0.0").replace(
    "      - name: so_con\n        logicalType: integer\n        classification: personal\n", ""
)
NOTHING_KNOWN = Facts()
NOW = datetime(2026, 11, 1, 8, tzinfo=UTC)


def published(portal: PortalSite, text: str, at: datetime, facts: Facts = NOTHING_KNOWN) -> None:
    contract = load_contract(text.encode())
    said = Publication(
        act=Act.PUBLISH,
        owner=OWNER,
        contract_id=contract.id,
        version=contract.version,
        digest=contract.digest,
        service=f"{OWNER}/dancu/cong-dan",
        facts=facts,
        node=f"{OWNER}/n1",
        key_id="k",
        algorithm="ed25519",
        time=at,
    )
    entry = entry_of(contract, said, owner_name="Bộ Công an", now=at)
    portal.site.catalogue.save([entry], contracts={contract.digest: contract.raw}, publication=said)


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalSite]:
    folder = tmp_path_factory.mktemp("portal")
    made = PortalSite(folder / "p")
    made.add("auditor", Role.AUDITOR)
    made.add("other", Role.DATA_OWNER, member="VN-TEST/GOV/H37")
    made.add("owner", Role.DATA_OWNER, member=OWNER)
    source = store_in_sql(f"sqlite:///{folder / 'dancu.db'}")
    strict = SECOND.replace("logicalType: number", "logicalType: number\n        required: true")
    report = measure_quality(load_contract(strict.encode()), source)
    published(made, FIRST, NOW - timedelta(days=30))
    published(made, strict, NOW, facts_of_report(report))
    yield made
    made.site.close()


@pytest.mark.parametrize("path", [f"/console/contracts/of/{KEY}", f"/datasets/{KEY}"])
def test_a_page_shows_each_rule_with_what_it_expects_what_was_found_and_when(
    portal: PortalSite, path: str
) -> None:
    page = portal.signed_in("auditor").get(path)
    told = words(page)
    assert page.status_code == 200
    assert "thu_nhap: required thu_nhap = 0 1 Không đạt 1 dòng mẫu tại nguồn" in told
    assert "so_dinh_danh: primaryKey so_dinh_danh = 0 0 Đạt" in told
    assert portal.site.catalogue.get(KEY).facts.quality is not None
    assert told.index("Không đạt") < told.index("0 Đạt ")  # what is not kept comes first


@pytest.mark.parametrize("path", [f"/console/contracts/of/{KEY}", f"/datasets/{KEY}"])
def test_a_page_shows_the_service_levels_in_words(portal: PortalSite, path: str) -> None:
    told = words(portal.signed_in("auditor").get(path))
    assert "Chu kỳ cập nhật Hằng ngày Cập nhật mỗi đêm" in told
    assert "Thời gian lưu 10 năm theo quy định" in told
    english = words(portal.signed_in("auditor").get(path + "?lang=en"))
    assert "Retention 10 years by regulation" in english


def test_no_value_of_the_data_is_published_with_the_results(portal: PortalSite) -> None:
    entry = portal.site.catalogue.get(KEY)
    text = msgspec.json.encode(entry.facts).decode()
    assert "036302" not in text
    assert "0363" not in words(portal.signed_in("auditor").get(f"/console/contracts/of/{KEY}"))


def test_the_console_shows_what_changed_between_two_versions_and_whom_it_breaks(
    portal: PortalSite,
) -> None:
    visitor = portal.signed_in("auditor")
    told = words(visitor.get(f"/console/contracts/of/{KEY}"))
    assert "Phá vỡ tương thích. 1.0.0 → 2.0.0" in told
    assert "Phá vỡ " in told.partition("1.0.0 → 2.0.0")[2]
    assert "so_con" in told.partition("1.0.0 → 2.0.0")[2]
    newest, first = versions_of(portal.site.catalogue.history(KEY))
    turned = visitor.get(f"/console/contracts/of/{KEY}?old={newest.digest}&new={first.digest}")
    assert "2.0.0 → 1.0.0" in words(turned)
    assert "Số phiên bản quá thấp" in words(turned)


def test_an_unknown_digest_in_the_address_shows_the_newest_versions(portal: PortalSite) -> None:
    page = portal.signed_in("auditor").get(f"/console/contracts/of/{KEY}?old=x&new=../y")
    assert "1.0.0 → 2.0.0" in words(page)


def test_another_agencys_contract_is_no_business_of_an_officer(portal: PortalSite) -> None:
    answer = portal.signed_in("other").get(f"/console/contracts/of/{KEY}")
    assert answer.status_code == 403
    assert portal.signed_in("other").get("/console/contracts/of/nothing").status_code == 404


def test_measuring_without_a_node_says_so_and_is_written_down(portal: PortalSite) -> None:
    answer = portal.signed_in("owner").send(f"/console/contracts/of/{KEY}", {})
    assert answer.status_code == 422
    assert "Nút trả lời:" in words(answer)
    line = portal.site.audit.lines(act="contract.measure")[0]
    assert (line.account, line.subject, line.outcome) == ("owner", KEY, "portal.node_not_linked")


def test_rules_without_results_are_shown_as_not_measured() -> None:
    contract = load_contract(FIRST.encode())
    lines = rules_of(contract, None)
    assert lines
    assert {line.outcome for line in lines} <= {UNMEASURED, "left-out"}
    assert rules_of(None, None) == []


def test_a_result_of_a_rule_that_the_contract_does_not_have_is_still_shown() -> None:
    result = RuleResult(rule="x: y", outcome="failed", expected="= 0", found="3", samples=2)
    quality = Quality(rules=1, failed=1, checked=NOW, results=(result,))
    assert rules_of(None, quality)[0].result == result


def test_quality_without_results_is_signed_as_it_always_was() -> None:
    told: Any = msgspec.to_builtins(Quality(rules=2, failed=1, checked=NOW))
    assert set(told) == {"rules", "failed", "checked"}


def test_a_contract_that_cannot_be_read_any_more_is_no_error(portal: PortalSite) -> None:
    shelf = ContractShelf(portal.site.catalogue)
    assert shelf.contract("0" * 64) is None
    assert shelf.contract("") is None
