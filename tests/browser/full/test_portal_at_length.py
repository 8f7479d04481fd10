"""The same people at length: narrowing, mistakes, colours, the keyboard, no script, a full list."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.browser.person import Person
from tests.browser.steps import ask, person
from tests.fixtures.access_world import AccessWorld


def test_an_owner_narrows_a_request_and_the_asker_accepts_less(
    browser: Browser, world: AccessWorld
) -> None:
    officer = person(browser, world, "an")
    path = ask(officer, world, "tra-cuu-2", ("so_dinh_danh", "ho_ten", "ngay_sinh"))
    owner = person(browser, world, "binh", owner=True)
    owner.page.goto(path)
    owner.page.uncheck("input[name=fields][value=ngay_sinh]")
    owner.page.fill("#narrow-reason", "Không cần ngày sinh")
    owner.page.click("form[action$=narrow] button")
    owner.page.wait_for_url("**done=narrowed")
    offered = re.sub(r"\?.*", "", owner.page.url.removeprefix(world.owning.url))
    assert offered != path
    officer.page.goto(path)
    expect(officer.page.locator("h1 .status-refused")).to_be_visible()
    officer.page.goto(offered)
    officer.page.click("form[action$=accept] button")
    expect(officer.page.locator("h1 .status-active")).to_be_visible()
    assert not world.refuses("tra-cuu-2")
    assert officer.complaints + owner.complaints == []


def test_a_form_with_every_field_wrong_says_so_beside_each_and_loses_nothing(
    browser: Browser, world: AccessWorld
) -> None:
    officer = person(browser, world, "an")
    page = officer.page
    page.goto(f"/ask/{world.entry.key}")
    typed = {
        "purpose": "x" * 300,
        "legal_basis": "",
        "valid_from": "31/02/2026",
        "valid_until": "hôm nào đó",
        "daily_quota": "nhiều",
    }
    for name, value in typed.items():
        page.fill(f"#{name}", value)
    page.click("form.sheet button")
    for name in (*typed, "fields"):
        expect(page.locator(f"#{name}-error")).to_be_visible()
    for name, value in typed.items():
        expect(page.locator(f"#{name}")).to_have_value(value)
    officer.photograph("wrong-form")
    # A page of status 422 is told by the browser as a failed load; nothing else may be.
    assert [each for each in officer.complaints if "422" not in each] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_enough_contrast_by_day_and_night(
    browser: Browser, world: AccessWorld, scheme: str
) -> None:
    visitor = Person(browser, world.asking.url, color_scheme=scheme)
    for path in ("/", "/catalogue?q=y+te", f"/datasets/{world.entry.key}", "/sign-in"):
        visitor.page.goto(path)
        found = Axe().run(visitor.page, options={"runOnly": ["color-contrast"]}).response
        assert [node["html"] for each in found["violations"] for node in each["nodes"]] == []
    visitor.photograph(f"sign-in-{scheme}")


def test_the_keyboard_alone_reaches_the_content_and_shows_where_it_is(
    browser: Browser, world: AccessWorld
) -> None:
    visitor = Person(browser, world.asking.url)
    page = visitor.page
    page.goto("/catalogue")
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    expect(focused).to_have_class("skip")
    expect(focused).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_id("q")
    outline = page.locator(":focus").evaluate("e => getComputedStyle(e).outlineWidth")
    assert outline == "3px"


def test_the_catalogue_is_read_without_a_script(browser: Browser, world: AccessWorld) -> None:
    visitor = Person(browser, world.asking.url, java_script_enabled=False)
    page = visitor.page
    page.goto("/catalogue")
    page.fill("#q", "so goc")
    page.click(".search button")
    page.click(".card h3 a")
    expect(page.locator("h1")).to_contain_text("sổ gốc")
