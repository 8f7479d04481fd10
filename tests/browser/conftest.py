"""A browser, and two agencies with a portal each. Screenshots go to ``artifacts/browser``."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.person import SLOWEST_MS
from tests.fixtures.access_world import AccessWorld

# `make test-browser` sets these higher.
ENTRIES = int(os.environ.get("BROWSER_ENTRIES", "120"))
MESSAGES = int(os.environ.get("BROWSER_MESSAGES", "30"))
CALLERS = 8  # systems of the agency that ask at once
collect_ignore_glob = [] if "BROWSER_MESSAGES" in os.environ else ["full/*"]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Debian's Chromium is."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("chromium is missing: apt-get install chromium")
    try:
        ctypes.CDLL("libatomic.so.1")
    except OSError:  # what drives the browser is a Node.js that needs it
        pytest.skip("libatomic is missing: apt-get install libatomic1")
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Root may run it without its sandbox only. Its event loop ends with the module: while it
    runs, no other test of this process could have one."""
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        running = playwright.chromium.launch(
            executable_path=chromium, args=options, timeout=SLOWEST_MS
        )
        yield running
        running.close()


@pytest.fixture(scope="session")
def world(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccessWorld]:
    """Where there is no browser, nothing else is started."""
    with AccessWorld(tmp_path_factory.mktemp("w"), ENTRIES) as made:
        with ThreadPoolExecutor(CALLERS) as callers:
            answers = callers.map(lambda _: made.lookup("p2").status, range(MESSAGES))
            assert set(answers) == {200}
        yield made
