"""Every route of the application is visited in the browser: pages by address, forms in a flow.

The list is the application's own; a route that nobody visited fails the test.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from playwright.sync_api import Browser, Page, Request, expect
from starlette.routing import Match, Route

from lienthong.catalogue.harvest.models import Kind, Source, SourceState
from lienthong.catalogue.harvest.store import HarvestStore
from lienthong.portal.app import portal_app
from lienthong.portal.folder import PortalFolder
from lienthong.portal.site import Site
from lienthong.portal.totp import STEP_SECONDS, code_at
from lienthong.settings import load_settings
from tests.browser.person import Person
from tests.browser.steps import ask, person
from tests.fixtures.access_world import AccessWorld, described_contract

NEW = "một mật khẩu thật dài 2026"
NAME = "moi"


class Visits:
    """Which routes the browsers asked for."""

    def __init__(self, routes: list[Route]) -> None:
        self._routes = routes
        self.seen: set[tuple[str, str]] = set()

    def watch(self, someone: Person) -> Person:
        someone.page.context.on("request", self._note)
        return someone

    def _note(self, request: Request) -> None:
        path = urlsplit(request.url).path
        scope = {"type": "http", "method": request.method, "path": path, "headers": []}
        for route in self._routes:
            if route.matches(scope)[0] is Match.FULL:
                self.seen.add((request.method, route.path))
                return

    @property
    def missed(self) -> set[tuple[str, str]]:
        wanted = {
            (method, route.path)
            for route in self._routes
            for method in (route.methods or set()) - {"HEAD"}
        }
        return wanted - self.seen


def routes_of(world: AccessWorld) -> list[Route]:
    """The application's own list, over the owner's portal."""
    folder = PortalFolder(world.owning.state)
    site = Site(folder, load_settings(folder.settings))
    routes = [each for each in portal_app(site)._app.routes if isinstance(each, Route)]  # type: ignore[attr-defined]
    site.close()
    return routes


def test_every_route_is_visited(browser: Browser, world: AccessWorld, tmp_path: Path) -> None:
    visits = Visits(routes_of(world))
    with world.catalogue.store() as store:
        source = Source(
            name="vang",
            url="http://127.0.0.1:9/",
            kind=Kind.CKAN,
            added=datetime.now(UTC),
            state=SourceState(due=time.time() + 9e6),
        )
        HarvestStore(store).put(source)
    officer = visits.watch(person(browser, world, "an"))
    owner = visits.watch(person(browser, world, "binh", owner=True))
    operator = visits.watch(person(browser, world, "cuong", owner=True))
    visitor = visits.watch(Person(browser, world.owning.url))
    agreements_in_all_ways(officer, owner, world)
    messages_and_evidence(officer, tmp_path)
    contracts(owner, world)
    accounts(operator, visitor, visits)
    operator.page.goto("/console/harvest")
    operator.photograph("harvest")
    operator.page.click("form[action='/console/harvest/vang'] button")
    expect(operator.page.locator(".done")).to_be_visible()
    every_address(visitor, operator, officer, world)
    assert visits.missed == set()
    assert [text for each in (officer, owner, operator, visitor) for text in each.complaints
            if not re.search(r"status of (404|422|400)", text)] == []  # fmt: skip


def agreements_in_all_ways(officer: Person, owner: Person, world: AccessWorld) -> None:
    for verb in ("accept", "refuse", "narrow", "withdraw"):
        path = ask(officer, world, f"moi-duong-{verb}", ("so_dinh_danh", "ho_ten"))
        owner.page.goto(path)
        if verb == "withdraw":
            officer.page.goto(path)
            officer.page.fill("#withdraw-reason", "Không cần nữa")
            officer.page.click("form[action$=withdraw] button")
            expect(officer.page.locator("h1 .status-withdrawn")).to_be_visible()
            continue
        if verb == "narrow":
            owner.page.uncheck("form[action$=narrow] input[value=ho_ten]")
        if verb != "accept":
            owner.page.fill(f"#{verb}-reason", "Đủ dùng")
        owner.page.click(f"form[action$={verb}] button")
        expect(owner.page.locator(".done")).to_be_visible()


def messages_and_evidence(officer: Person, folder: Path) -> None:
    page = officer.page
    page.goto("/console/messages")
    page.fill("#value", "001090000001")
    page.click("form[method=post][action='/console/messages'] button")
    page.wait_for_load_state()
    page.goto("/console/messages")
    page.click("tbody tr:has(.status-answered) a")
    with page.expect_download() as downloading:
        page.click("form[action$=evidence] button")
    downloading.value.save_as(folder / "bundle.json")
    page.goto("/console/evidence")
    page.set_input_files("#bundle", folder / "bundle.json")
    page.click("form.sheet button")
    expect(page.locator(".verdict.good")).to_be_visible()


def contracts(owner: Person, world: AccessWorld) -> None:
    """A fault beside the text, a review, the publication; then the quality measured anew."""
    page, text = owner.page, described_contract()
    page.goto("/console/contracts/submit")
    page.fill("#contract", text.replace("primaryKey: true", "primaryKey: có"))
    page.click("button[value=check]")
    expect(page.locator("#contract-error li")).to_contain_text("dòng")
    owner.photograph("contract-faults")
    changed = text.replace("version: 1.0.0", "version: 1.5.0")
    page.fill("#contract", changed.replace("tags: [dân cư", "tags: [hộ tịch, dân cư"))
    page.click("button[value=check]")
    expect(page.locator(".review")).to_contain_text("1.5.0")
    owner.photograph("contract-review")
    page.click("button[value=publish]")
    page.wait_for_url("**done=handed")
    page.click("form[action*='/console/contracts/of/'] button:has-text('Đo')")
    page.wait_for_url("**done=measured")
    expect(page.locator(".rules tbody tr").first).to_be_visible()
    owner.photograph("contract")
    page.set_viewport_size({"width": 390, "height": 844})
    owner.photograph("contract-390")


def accounts(operator: Person, visitor: Person, visits: Visits) -> None:
    """An account from its first password to its last second factor."""
    page = operator.page
    page.goto("/console/users")
    page.fill("#name", NAME)
    page.fill("#shown_name", "Phạm Văn Mới")
    page.check("input[name=roles][value=citizen]")
    page.click("form.sheet button")
    password = page.locator(".secret").inner_text()
    begin(visitor.page, password)
    visitor.page.fill("#present", password)
    visitor.page.fill("#new", NEW)
    visitor.page.fill("#again", NEW)
    visitor.page.click("form[action='/account/password'] button")
    visitor.page.wait_for_url("**done=password_changed")
    codes = second_factor(visitor.page)
    visitor.page.click("form[action='/sign-out'] button")
    begin(visitor.page, NEW)
    visitor.page.fill("#code", codes[0])
    visitor.page.click("main button")
    visitor.page.wait_for_url("**/catalogue")
    visitor.page.goto("/account")
    visitor.page.fill("#code", codes[1])
    visitor.page.click("form[action$=remove] button")
    visitor.page.wait_for_url("**done=second_factor_removed")
    second_factor(visitor.page, ahead=1)
    page.goto(f"/console/users/{NAME}")
    page.fill("#shown_name", "Phạm Văn Mới (đổi)")
    page.click(f"form[action='/console/users/{NAME}'] button")
    page.wait_for_url("**done=user_changed")
    page.click("form[action$=second-factor] button")
    page.wait_for_url("**done=second_factor_removed")
    page.click("form[action$=password] button")
    expect(page.locator(".secret")).to_be_visible()


def begin(page: Page, password: str) -> None:
    page.goto("/sign-in")
    page.fill("#name", NAME)
    page.fill("#password", password)
    page.click("main button")
    page.wait_for_load_state()


def second_factor(page: Page, ahead: int = 0) -> list[str]:
    """Set it up; a code counts once, so the second time with the next one."""
    page.goto("/account/second-factor")
    secret = page.locator(".secret").inner_text().replace(" ", "")
    page.fill("#code", code_at(secret, int(time.time() // STEP_SECONDS) + ahead))
    page.click("form.sheet button")
    expect(page.locator(".codes li").first).to_be_visible()
    return page.locator(".codes li").all_inner_texts()


def every_address(visitor: Person, operator: Person, officer: Person, world: AccessWorld) -> None:
    """Pages that no flow has led to, and what programs read."""
    key = quote(world.entry.key)
    visitor.page.goto("/account/second-factor")
    public = ("/", "/about", "/catalogue", f"/datasets/{key}", "/sign-in", "/sign-in/code",
              "/sign-in/provider", "/sign-in/provider/return", "/account")  # fmt: skip
    for path in public:
        visitor.page.goto(path)
    for path in ("/console", "/console/messages", "/console/agreements", "/console/contracts",
                 "/console/evidence", f"/ask/{key}"):  # fmt: skip
        officer.page.goto(path)
    for path in ("/console/health", "/console/health/doctor", "/console/users", "/console/audit"):
        operator.page.goto(path)
    owner_name = world.entry.owner.lower().replace("/", "-")
    for path in ("/robots.txt", "/catalog", "/catalog.jsonld", "/catalog.ttl", "/sitemap.xml",
                 "/sitemap-1.xml", f"/dataset/{key}", f"/organization/{owner_name}", "/group/x",
                 "/legal-basis/x", "/unit/01", "/api", "/api/3", "/api/action/package_list",
                 "/api/3/action/package_list"):  # fmt: skip
        # Some are downloads to a browser: fetched from within the page, as its scripts would.
        visitor.page.evaluate("path => fetch(path).then(answer => answer.status)", path)
    for path in ("/api/action/package_search", "/api/3/action/package_search"):
        visitor.page.evaluate(
            "path => fetch(path, {method: 'POST', body: '{}',"
            " headers: {'Content-Type': 'application/json'}}).then(answer => answer.status)",
            path,
        )
