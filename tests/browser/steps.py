"""What people do at the pages, step by step."""

from __future__ import annotations

import re

from playwright.sync_api import Browser

from tests.browser.person import Person
from tests.fixtures.access_world import AccessWorld


def person(browser: Browser, world: AccessWorld, name: str, owner: bool = False) -> Person:
    portal = world.owning if owner else world.asking
    return Person(browser, portal.url).sign_in(name)


def ask(officer: Person, world: AccessWorld, purpose: str, fields: tuple[str, ...]) -> str:
    """Fill the form in; returns the agreement's path."""
    page = officer.page
    page.goto(f"/ask/{world.entry.key}")
    for field in fields:
        page.check(f"input[name=fields][value={field}]")
    page.fill("#purpose", purpose)
    page.fill("#legal_basis", "Nghị định 47/2020/NĐ-CP")
    page.fill("#valid_from", "01/01/2026")
    page.fill("#valid_until", "31/12/2035")
    page.click("form.sheet button")
    page.wait_for_url("**/console/agreements/*")
    return re.sub(r"\?.*", "", page.url.removeprefix(world.asking.url))
