"""Officers at work in a real browser: search, read, ask, approve, use, withdraw, prove.

Screenshots are kept in ``artifacts/browser``, which git ignores. ``full/`` holds what only
``make test-browser`` runs, over a catalogue of 3,000 contracts and 10,000 messages.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from lienthong.portal.routes import PAGES
from tests.browser.person import Person
from tests.browser.steps import ask, person
from tests.fixtures.access_world import AccessWorld

SERIOUS = {"serious", "critical"}


def test_a_visitor_finds_a_dataset_while_typing_and_reads_it(
    browser: Browser, world: AccessWorld
) -> None:
    visitor = Person(browser, world.asking.url)
    page = visitor.page
    page.goto("/")
    visitor.photograph("home")
    page.fill("#q", "cong dan so goc")
    page.keyboard.press("Enter")
    expect(page.locator(".card h3").first).to_have_text("Công dân trong sổ gốc")
    page.fill("#q", "khai sinh")
    expect(page.locator(".card h3").first).to_contain_text("Khai sinh")
    assert "khai" in page.url  # the address follows, so that it can be sent to somebody
    visitor.photograph("catalogue")
    page.goto(f"/datasets/{world.entry.key}")
    expect(page.locator("h1")).to_have_text("Công dân trong sổ gốc")
    visitor.photograph("dataset")
    assert visitor.complaints == []


def test_a_call_is_refused_then_granted_after_approval_then_refused_after_withdrawal(
    browser: Browser, world: AccessWorld
) -> None:
    assert world.refuses("tra-cuu-1")
    officer = person(browser, world, "an")
    path = ask(officer, world, "tra-cuu-1", ("so_dinh_danh", "ho_ten"))
    officer.photograph("asked")
    assert world.refuses("tra-cuu-1")
    owner = person(browser, world, "binh", owner=True)
    owner.page.goto(path)
    owner.photograph("answer")
    owner.page.click("form[action$=accept] button")
    expect(owner.page.locator(".done")).to_be_visible()
    assert not world.refuses("tra-cuu-1")
    owner.page.fill("#withdraw-reason", "Hồ sơ đã xong")
    owner.page.click("form[action$=withdraw] button")
    expect(owner.page.locator("h1 .status-withdrawn")).to_be_visible()
    assert world.refuses("tra-cuu-1")
    officer.page.goto(path)
    expect(officer.page.locator("blockquote")).to_have_text("Hồ sơ đã xong")
    assert officer.complaints + owner.complaints == []


def test_evidence_is_taken_out_checked_and_told_from_a_forged_one(
    browser: Browser, world: AccessWorld, tmp_path: Path
) -> None:
    officer = person(browser, world, "an")
    page = officer.page
    page.goto("/console/messages")
    officer.photograph("messages")
    page.click("tbody tr:has(.status-answered) a")
    expect(page.locator("ol.path li").first).to_be_visible()
    officer.photograph("message")
    with page.expect_download() as downloading:
        page.click("form[action$=evidence] button")
    bundle = tmp_path / "bundle.json"
    downloading.value.save_as(bundle)
    page.goto("/console/evidence")
    page.set_input_files("#bundle", bundle)
    page.click("form.sheet button")
    expect(page.locator(".verdict.good")).to_be_visible()
    officer.photograph("evidence")
    forged = tmp_path / "forged.json"
    forged.write_bytes(bundle.read_bytes().replace(b"cong-dan", b"cong-dam", 1))
    page.set_input_files("#bundle", forged)
    page.click("form.sheet button")
    expect(page.locator(".verdict.bad")).to_be_visible()
    assert [each for each in officer.complaints if "422" not in each] == []


def pages_to_visit(world: AccessWorld) -> list[tuple[str, str]]:
    """(who, address) of every page of the table that is shown to somebody."""
    message = world.pair.consumer.command("ledger", "search", "--limit", "20", "--json")
    request_id = re.findall(r'"request_id": "([0-9a-f-]{36})"', message)[0]
    agreed = world.pair.consumer.command("agreement", "list", "--json")
    agreement = re.findall(r'"id": "([0-9a-f-]{36})"', agreed)[0]
    found = []
    for page in PAGES:
        if page.method != "GET" or page.path.endswith((".svg", ".txt", "/return", "/provider")):
            continue
        roles = {role.value for role in page.roles}
        who = "" if "public" in roles else "an" if "officer" in roles else "cuong"
        if who == "cuong" and "operator" not in roles:
            who = "binh"  # what only data owners may open
        if "/contracts/of/" in page.path:
            who = "binh"
        path = page.path.replace("{key:path}", quote(world.entry.key))
        path = path.replace("{name}", "an")
        path = path.replace("{id}", request_id if "messages" in path else agreement)
        found.append((who, path))
    return found


def test_every_page_is_accessible_fits_a_telephone_and_logs_no_error(
    browser: Browser, world: AccessWorld
) -> None:
    people = {
        "": Person(browser, world.asking.url),
        "an": person(browser, world, "an"),
        "cuong": person(browser, world, "cuong", owner=True),
        "binh": person(browser, world, "binh", owner=True),
    }
    axe, violations, wide = Axe(), [], []
    for who, path in pages_to_visit(world):
        page = people[who].page
        page.set_viewport_size({"width": 1280, "height": 900})
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        name = path.strip("/").replace("/", "-")[:60] or "home"
        people[who].photograph(f"page-{name}")
        for each in axe.run(page).response["violations"]:
            if each["impact"] in SERIOUS:
                violations.append((path, each["id"], [n["html"][:120] for n in each["nodes"]]))
        page.set_viewport_size({"width": 320, "height": 700})
        if page.evaluate("document.documentElement.scrollWidth") > 320:
            wide.append(path)
        people[who].photograph(f"page-{name}-320")
    assert violations == []
    assert wide == []
    assert [text for each in people.values() for text in each.complaints] == []
