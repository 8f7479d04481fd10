"""Somebody at a browser; whatever the browser complains of is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from tests.fixtures.portal_world import PASSWORD

ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts" / "browser"
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
