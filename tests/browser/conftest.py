"""A browser, two nodes with keys of their own, a portal for each, one catalogue."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from lienthong.catalogue.models import CatalogueEntry, EntryField
from lienthong.catalogue.store import CatalogueStore
from lienthong.catalogue.tables import open_catalogue
from lienthong.contracts.loading import load_contract
from lienthong.portal.roles import Role
from tests.federation.conftest import FATHER, Pair, make_pair
from tests.fixtures.portal_world import PASSWORD, PortalProcess, made_entries
from tests.fixtures.recording_service import RecordingService

ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts" / "browser"
ENTRIES = int(os.environ.get("BROWSER_ENTRIES", "3000"))
MESSAGES = int(os.environ.get("BROWSER_MESSAGES", "60"))
SLOWEST_MS = 120_000  # a machine may be busy with other things


@dataclass(frozen=True)
class World:
    """Who asks, who owns, and the dataset that it is about."""

    pair: Pair
    asking: PortalProcess
    owning: PortalProcess
    entry: CatalogueEntry

    def lookup(self, purpose: str) -> int:
        """Ask the register through both nodes; returns the HTTP status."""
        answer = self.pair.consumer.call(
            "POST",
            self.pair.citizens,
            "/records:lookup",
            {"keys": [FATHER], "fields": ["ho_ten"]},
            headers={"Lienthong-Purpose": purpose},
        )
        return answer.status


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
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("w")
    with RecordingService() as service:
        (folder / "f").mkdir()
        pair = make_pair(folder / "f", service, {}, {})
        with pair.federation:
            catalogue = f"sqlite:///{folder}/catalogue.db"
            entry = _fill(catalogue, pair)
            asking = _portal(folder / "asking", pair.consumer, catalogue)
            owning = _portal(folder / "owning", pair.provider, catalogue)
            made = World(pair, asking, owning, entry)
            for _ in range(MESSAGES):
                assert made.lookup("p2") == 200
            with asking, owning:
                yield made


def _portal(state: Path, node: Any, catalogue: str) -> PortalProcess:
    portal = PortalProcess(state, portal_node_state=str(node.state), catalogue_database=catalogue)
    portal.add_account("an", "Nguyễn Thị An", Role.OFFICER, member=node.member_id)
    portal.add_account("binh", "Trần Văn Bình", Role.DATA_OWNER, member=node.member_id)
    portal.add_account("cuong", "Lê Quốc Cường", Role.OPERATOR, Role.AUDITOR)
    return portal


def _fill(catalogue: str, pair: Pair) -> CatalogueEntry:
    """Many datasets, and among them the one that the provider really serves."""
    store = CatalogueStore(open_catalogue(catalogue))
    store.save(list(made_entries(ENTRIES)))
    contract = load_contract(pair.contract)
    fields = [EntryField(n, n, "string", f.classification) for n, f in contract.fields.items()]
    entry = msgspec.structs.replace(
        next(made_entries(1)),
        key=f"{pair.provider.member_id}/{contract.id}",
        contract_id=contract.id,
        owner=pair.provider.member_id,
        owner_name="Cục Cảnh sát quản lý hành chính",
        title="Công dân trong sổ gốc",
        fields=tuple(fields),
        service=pair.citizens,
    )
    store.save([entry])
    store.engine.dispose()
    return entry
