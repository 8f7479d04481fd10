"""Sources are harvested by themselves: at their time, one at a time, never twice at once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lienthong.catalogue.commands import app
from lienthong.catalogue.folder import CatalogueFolder
from lienthong.catalogue.harvest.fetching import SourceFailed
from lienthong.catalogue.harvest.lease import SECONDS, Lease
from lienthong.catalogue.harvest.models import Kind, Outcome
from lienthong.catalogue.harvest.schedule import (
    FIRST_BACK_OFF_SECONDS,
    LONGEST_BACK_OFF_SECONDS,
    every_seconds,
)
from lienthong.catalogue.harvest.scheduler import HarvestScheduler
from lienthong.catalogue.models import HARVESTED
from lienthong.errors import HarvestBusy, OptionInvalid
from lienthong.portal.roles import Role
from tests.fixtures.federation import eventually
from tests.fixtures.harvest_sources import Ckan, package
from tests.fixtures.portal_site import PortalSite
from tests.fixtures.portal_visitor import PortalVisitor, words
from tests.fixtures.portal_world import PortalProcess
from tests.spec.test_catalogue_harvest import Harvesting, settings_with

DAY = 86_400.0


class Clock:
    """Unix time that the test moves; it begins now, as runs note real times."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture(params=["sqlite", "postgresql"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harvesting]:
    url = f"sqlite:///{tmp_path}/here.db"
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgresql_url"))
    made = Harvesting(url)
    yield made
    made.catalogue.engine.dispose()


@pytest.fixture
def by_sqlite(tmp_path: Path) -> Iterator[Harvesting]:
    made = Harvesting(f"sqlite:///{tmp_path}/here.db")
    yield made
    made.catalogue.engine.dispose()


def scheduler(here: Harvesting, clock: Clock | None = None, **settings: Any) -> HarvestScheduler:
    return HarvestScheduler(
        here.catalogue.store,
        here.catalogue.search,
        settings_with(**settings),
        clock=clock or Clock(),
        looking_every_seconds=0.02,
        pause_seconds=0.01,
    )


# --- the lease ------------------------------------------------------------------------------


def test_of_many_at_once_one_holds_the_lease(here: Harvesting) -> None:
    ready, held = threading.Barrier(8), []

    def take(number: int) -> bool:
        ready.wait()
        try:
            with Lease(here.catalogue.store).held(f"s{number}"):
                held.append(number)
                ready.wait(60)  # all have tried by now
                return True
        except HarvestBusy:
            ready.wait(60)
            return False

    with ThreadPoolExecutor(8) as several:
        assert sum(several.map(take, range(8))) == 1
    assert Lease(here.catalogue.store).holder() is None


def test_a_lease_whose_holder_died_runs_out(here: Harvesting) -> None:
    clock = Clock()
    dead, other = Lease(here.catalogue.store, clock), Lease(here.catalogue.store, clock)
    assert dead._take("a")  # and its process ends here
    with pytest.raises(HarvestBusy) as caught, other.held("b"):
        pass
    assert caught.value.facts["source"] == "a"
    clock.ahead = SECONDS + 1
    with other.held("b"):
        holder = other.holder()
        assert holder is not None
        assert holder.source == "b"


def test_a_holder_that_has_lost_the_lease_stops(by_sqlite: Harvesting) -> None:
    lease = Lease(by_sqlite.catalogue.store)
    with lease.held("a"):
        lease.check()
        lease._lost.set()
        with pytest.raises(SourceFailed):
            lease.check()


# --- when -----------------------------------------------------------------------------------


def test_a_source_is_harvested_at_once_and_again_after_its_interval(here: Harvesting) -> None:
    clock = Clock()
    with Ckan([package(n) for n in range(3)]) as source:
        here.add("ktvt", source.origin)
        working = scheduler(here, clock, harvest_every_seconds=DAY)
        run = working.harvest_one()
        assert run is not None
        assert (run.outcome, run.new) == (Outcome.WHOLE, 3)
        assert working.harvest_one() is None
        clock.ahead = DAY - 60
        assert working.harvest_one() is None
        clock.ahead = DAY + 1
        assert working.harvest_one() is not None


def test_a_source_has_an_interval_of_its_own_or_none(by_sqlite: Harvesting) -> None:
    clock = Clock()
    with Ckan([package(1)]) as source:
        known = by_sqlite.add("ktvt", source.origin)
        by_sqlite.harvester.store.put(msgspec.structs.replace(known, every_seconds=0.0))
        assert scheduler(by_sqlite, clock).harvest_one() is None
        by_sqlite.harvester.store.put(msgspec.structs.replace(known, every_seconds=600.0))
        assert scheduler(by_sqlite, clock, harvest_every_seconds=0.0).harvest_one() is not None
        clock.ahead = 601
        assert scheduler(by_sqlite, clock).harvest_one() is not None


def test_a_source_that_fails_is_tried_later_and_later_and_lets_others_go_first(
    by_sqlite: Harvesting,
) -> None:
    clock, waits = Clock(), []
    with Ckan([package(1)]) as good, Ckan([package(2)]) as bad:
        bad.fails_from = 0
        by_sqlite.add("bad", bad.origin)
        by_sqlite.add("good", good.origin)
        working = scheduler(by_sqlite, clock)
        assert {working.harvest_one().source for _ in range(2)} == {"bad", "good"}  # type: ignore[union-attr]
        for _ in range(12):
            state = by_sqlite.harvester.store.get("bad").state
            waits.append(state.due - clock())
            clock.ahead += waits[-1] + 1
            while (run := working.harvest_one()) is not None:
                last = run
            assert last is not None
        bad.fails_from = None
        clock.ahead += LONGEST_BACK_OFF_SECONDS + 1
        while working.harvest_one() is not None:
            pass
    assert waits[0] == pytest.approx(FIRST_BACK_OFF_SECONDS, abs=60)
    assert waits[1] == pytest.approx(2 * FIRST_BACK_OFF_SECONDS, abs=60)
    assert max(waits) <= LONGEST_BACK_OFF_SECONDS + 1
    assert by_sqlite.harvester.store.get("bad").state.failures == 0


def test_a_defect_in_one_source_leaves_the_others_their_turn(
    by_sqlite: Harvesting, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ckan([package(1)]) as source:
        by_sqlite.add("a", source.origin)
        by_sqlite.add("b", source.origin)
        working = scheduler(by_sqlite)
        true_run = working._harvester.run

        def run(source: Any, **more: Any) -> Any:
            if source.name == "a":
                raise ZeroDivisionError
            return true_run(source, **more)

        monkeypatch.setattr(working._harvester, "run", run)
        outcomes = {each.source: each.outcome for _ in range(2) if (each := working.harvest_one())}
    assert outcomes == {"a": Outcome.BROKEN, "b": Outcome.WHOLE}


# --- never twice at once --------------------------------------------------------------------


class Watched(Ckan):
    """A CKAN that notices two questions at once."""

    def __init__(self) -> None:
        super().__init__([package(n) for n in range(3)])
        self.at_once, self.most, self._one = 0, 0, threading.Lock()

    def search(self, request: BaseHTTPRequestHandler) -> None:
        with self._one:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        time.sleep(0.02)
        super().search(request)
        with self._one:
            self.at_once -= 1


def test_several_processes_over_one_catalogue_harvest_one_source_at_a_time(
    here: Harvesting,
) -> None:
    with Watched() as source:
        names = [f"s{number}" for number in range(4)]
        for name in names:
            here.add(name, source.origin)
        with scheduler(here), scheduler(here), scheduler(here):
            done = eventually(lambda: all(here.harvester.store.runs(each) for each in names), 90)
            assert done
            free = eventually(lambda: here.harvester.lease.holder() is None, 90)
            assert free
    assert source.most == 1
    assert [len(here.harvester.store.runs(each)) for each in names] == [1, 1, 1, 1]


def test_stopping_ends_a_run_and_leaves_its_source_due(by_sqlite: Harvesting) -> None:
    with Ckan([package(n) for n in range(3)]) as source:
        by_sqlite.add("ktvt", source.origin)
        working = scheduler(by_sqlite)
        working._stopping.set()
        run = working.harvest_one()
    assert run is not None
    assert run.reason == "the program is stopping"
    state = by_sqlite.harvester.store.get("ktvt").state
    assert state.failures == 0
    assert state.due <= time.time()


# --- processes, the command line, the console -----------------------------------------------


def test_a_portal_harvests_by_itself_and_its_console_tells(tmp_path: Path) -> None:
    folder = CatalogueFolder.for_search(tmp_path / "c")
    with Ckan([package(n) for n in range(3)]) as source:
        added = ["harvest", "add", str(folder.path), "ktvt", source.origin, "--kind", "ckan"]
        assert CliRunner().invoke(app, [*added, "--every", "6h"]).exit_code == 0
        portal = PortalProcess(
            tmp_path / "p", catalogue_database=folder.database, harvest_networks="127.0.0.0/8"
        )
        portal.add_account("cuong", "Lê Quốc Cường", Role.OPERATOR)
        with portal:
            page = f"/datasets/{HARVESTED}ktvt/{package(1)['id']}"
            visitor = PortalVisitor(portal.url)
            assert eventually(lambda: visitor.get(page).status_code == 200, 90)
            visitor.sign_in("cuong")
            assert eventually(lambda: "Đủ" in words(visitor.get("/console/harvest")), 90)
            told = words(visitor.get("/console/harvest"))
            assert "Chu kỳ 6 giờ" in told
            assert "gặp 3, mới 3" in told
    listed = CliRunner().invoke(app, ["harvest", "list", str(folder.path), "--json"])
    (known,) = json.loads(listed.output)
    assert known["every_seconds"] == 6 * 3600
    assert known["next_run"] > time.time() + 5 * 3600
    assert (known["failures"], known["running"]) == (0, False)
    assert "Lần tới" in CliRunner().invoke(app, ["harvest", "list", str(folder.path)]).output


def test_a_command_waits_for_nobody_and_says_who_harvests(tmp_path: Path) -> None:
    folder = CatalogueFolder.for_search(tmp_path / "c")
    runner = CliRunner()
    added = ["harvest", "add", str(folder.path), "ktvt", "http://127.0.0.1:9/", "--kind", "ckan"]
    assert runner.invoke(app, added).exit_code == 0
    with folder.store() as store, Lease(store).held("ktvt"):
        for command in ("run", "remove"):
            told = runner.invoke(app, ["harvest", command, str(folder.path), "ktvt"])
            assert isinstance(told.exception, HarvestBusy)
        (known,) = json.loads(
            runner.invoke(app, ["harvest", "list", str(folder.path), "--json"]).output
        )
        assert known["running"]
    changed = runner.invoke(app, ["harvest", "change", str(folder.path), "ktvt", "--every", "0"])
    assert changed.exit_code == 0
    (known,) = json.loads(
        runner.invoke(app, ["harvest", "list", str(folder.path), "--json"]).output
    )
    assert known["next_run"] is None


def test_an_operator_asks_for_a_run_now(tmp_path: Path) -> None:
    portal = PortalSite(tmp_path / "p")
    portal.add("operator", Role.OPERATOR)
    here = Harvesting(str(portal.site.catalogue.engine.url))
    known = here.add("ktvt", "http://127.0.0.1:9", Kind.CKAN)
    known.state.due = time.time() + DAY
    here.harvester.store.put(known)
    visitor = portal.signed_in("operator")
    assert visitor.send("/console/harvest/ktvt", {}).headers["location"].endswith("harvest_soon")
    assert here.harvester.store.get("ktvt").state.due == 0
    line = portal.site.audit.lines(act="harvest.run")[0]
    assert (line.account, line.subject, line.outcome) == ("operator", "ktvt", "done")
    assert visitor.send("/console/harvest/khong-co", {}).status_code == 404
    here.catalogue.engine.dispose()
    portal.site.close()


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("6h", 21_600), ("1d", DAY), ("90", 90), ("0", 0)]
)
def test_intervals_are_read(text: str, seconds: float) -> None:
    assert every_seconds(text) == seconds


@given(st.text(max_size=20))
def test_any_other_interval_is_refused(text: str) -> None:
    try:
        assert every_seconds(text) >= 0
    except OptionInvalid as error:
        assert error.message("vi")
