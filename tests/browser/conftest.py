"""A browser, and two agencies with a portal each. Screenshots go to ``artifacts/browser``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.fixtures.access_world import AccessWorld
from tests.fixtures.portal_world import PASSWORD

ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts" / "browser"
# `make test-browser` sets these higher.
ENTRIES = int(os.environ.get("BROWSER_ENTRIES", "120"))
MESSAGES = int(os.environ.get("BROWSER_MESSAGES", "30"))
SLOWEST_MS = 120_000  # a machine may be busy with other things


class Person:
    """Somebody at a browser; whatever the browser complains of is kept."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        context = browser.new_context(base_url=url, locale="vi-VN", **options)
        context.set_default_timeout(SLOWEST_MS)
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def sign_in(self, name: str) -> Person:
        self.page.goto("/sign-in")
        self.page.fill("#name", name)
        self.page.fill("#password", PASSWORD)
        self.page.click("main button")
        self.page.wait_for_url("**/console")
        return self

    def photograph(self, name: str) -> None:
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)

    def _listen(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{self.page.url}: {message.text}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; root may run it without its sandbox only."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        running = playwright.chromium.launch(
            executable_path=chromium, args=options, timeout=SLOWEST_MS
        )
        yield running
        running.close()


@pytest.fixture(scope="session")
def world(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccessWorld]:
    """After the browser: where there is none, nothing else is started."""
    with AccessWorld(tmp_path_factory.mktemp("w"), ENTRIES) as made:
        for _ in range(MESSAGES):
            assert made.lookup("p2").status == 200
        yield made
