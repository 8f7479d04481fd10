"""What ends some day is said 30, 14, 7 and 1 days before, by a clock that the tests move."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from lienthong.directory.view import DirectoryView
from lienthong.errors import DirectoryNotLoaded
from lienthong.events import send_events_to
from lienthong.identity.certificates import Authority, read_chain
from lienthong.identity.keys import Algorithm, PrivateKey
from lienthong.node.expiry import Expiring, ExpiryWatch, expiring
from tests.fixtures.directory_world import World

END = datetime(2030, 1, 1, tzinfo=UTC)
CERTIFICATE = Expiring("certificate", "VN/GOV/G01/n1", END, END - timedelta(days=365))


def before(**left: float) -> datetime:
    return END - timedelta(**left)


@pytest.mark.parametrize(
    ("left", "threshold"),
    [
        ({"days": 31}, None),
        ({"days": 30, "seconds": 1}, None),
        ({"days": 30}, 30),
        ({"days": 14, "seconds": 1}, 30),
        ({"days": 14}, 14),
        ({"days": 7}, 7),
        ({"days": 1, "seconds": 1}, 7),
        ({"days": 1}, 1),
        ({"seconds": 1}, 1),
        ({"seconds": 0}, 0),
        ({"days": -3}, 0),
    ],
)
def test_the_narrowest_threshold_reached_counts(
    left: dict[str, float], threshold: int | None
) -> None:
    assert CERTIFICATE.threshold(before(**left)) == threshold


def test_what_lives_shortly_is_not_near_its_end_all_its_life() -> None:
    brief = Expiring("certificate", "n1", END, END - timedelta(days=20))
    assert brief.threshold(before(days=19)) is None
    assert brief.threshold(before(days=12)) is None  # 14 days are more than half of its time
    assert brief.threshold(before(days=7)) == 7
    assert brief.threshold(before(days=0)) == 0


class Log:
    """What reaches the structured log."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str, Mapping[str, object]]] = []

    def __call__(self, level: int, event: str, logger: str, fields: Mapping[str, object]) -> None:
        self.lines.append((level, event, fields))

    @property
    def thresholds(self) -> list[object]:
        return [fields["threshold_days"] for _, _, fields in self.lines]


@pytest.fixture
def log() -> Iterator[Log]:
    kept = Log()
    send_events_to(kept)
    yield kept
    send_events_to(None)


def test_each_threshold_is_logged_once_a_day(log: Log) -> None:
    watch = ExpiryWatch(lambda: (CERTIFICATE,))
    for hours in range(0, 31 * 24 + 1, 6):  # every six hours
        watch.check(before(days=31) + timedelta(hours=hours))
    said = [(fields["threshold_days"], fields["days_left"]) for _, _, fields in log.lines]
    wanted = [(30, left) for left in range(30, 14, -1)] + [(14, left) for left in range(14, 7, -1)]
    wanted += [(7, left) for left in range(7, 1, -1)] + [(1, 1), (0, 0)]
    assert said == wanted
    assert {level for level, _, fields in log.lines if fields["threshold_days"] in (0, 1)} == {
        logging.ERROR
    }


def test_nothing_is_logged_while_the_end_is_far_off_but_the_metric_is_there(log: Log) -> None:
    watch = ExpiryWatch(lambda: (CERTIFICATE,))
    watch.check(before(days=200))
    assert not log.lines
    (family,) = watch.collect()
    (sample,) = family.samples
    assert sample.name == "lienthong_expires_timestamp_seconds"
    assert sample.labels == {"kind": "certificate", "name": "VN/GOV/G01/n1"}
    assert sample.value == END.timestamp()


def test_a_node_without_a_directory_goes_on_watching(log: Log) -> None:
    def unknown() -> tuple[Expiring, ...]:
        raise DirectoryNotLoaded()

    assert ExpiryWatch(unknown).check(END) == ()
    assert [event for _, event, _ in log.lines] == ["expiry.not_known"]


def refreshed(world: World) -> DirectoryView:
    mirror = world.mirror()
    mirror.refresh()
    return mirror.view


def certificate(days: int, since: datetime) -> str:
    """A certificate of a new authority that lives ten years."""
    authority = Authority.create("VN", 3650, since)
    key = PrivateKey.generate(Algorithm.P256).public
    return authority.issue(key, "service", ["127.0.0.1"], days, since)


def test_the_certificate_of_a_service_behind_the_node_is_watched(log: Log) -> None:
    der = read_chain(certificate(100, before(days=100)))[0].public_bytes(Encoding.DER)
    watch = ExpiryWatch(tuple)
    watch.saw_service("127.0.0.1:8443", der)
    watch.saw_service("127.0.0.1:8444", None)
    watch.saw_service("127.0.0.1:8445", b"not a certificate")
    (item,) = watch.check(before(days=10))
    assert (item.kind, item.name) == ("service_certificate", "127.0.0.1:8443")
    assert log.thresholds == [14]


def test_a_node_lists_its_certificate_authority_keys_delegations_and_directory(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    agency = world.agency("G01")
    view = refreshed(world)
    node = view.node(str(agency.node))
    items = expiring(
        view,
        node.id,
        [str(agency.member)],
        node.certificates[0],
        agency.signing_key,
        {"VN/GOV/G01/dancu": [certificate(60, world.clock()), "not a certificate"]},
    )
    now = world.clock() - timedelta(seconds=5)  # ends are cut to whole seconds
    days = {each.kind: each.days_left(now) for each in items}
    assert days == {
        "client_certificate": 60,
        "certificate": 365,
        "directory": 365,
        "authority": 3650,
        "delegation": 3650,
    }
    assert [each.until for each in items] == sorted(each.until for each in items)


def test_a_signing_key_whose_statement_ends_is_listed_while_it_is_in_use(tmp_path: Path) -> None:
    world = World(tmp_path)
    agency = world.agency("G01")
    world.approve(agency)
    old = agency.signing_key
    agency.signing_key = PrivateKey.generate()
    world.clock.forward(minutes=5)
    world.approve(agency)
    view = refreshed(world)
    kinds = {
        key: {each.kind for each in expiring(view, str(agency.node), [], "", key)}
        for key in (old, agency.signing_key)
    }
    assert "signing_key" in kinds[old]
    assert "signing_key" not in kinds[agency.signing_key]
