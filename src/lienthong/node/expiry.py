"""What ends some day: certificates, keys, delegations, the directory; said well before.

    for each in expiring(view, node="VN/GOV/G01/n1", members=[…], certificate=pem, key=key):
        each.days_left(now), each.threshold(now)

A threshold is said once a day in the log, stands in the metrics all the time, in
``node status``, and is asked for by ``lienthong doctor`` (docs/how-to/renew-and-rotate.md).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from cryptography import x509
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lienthong.directory.mirror import DirectoryMirror
from lienthong.directory.records import KeyStatement, Member, Node
from lienthong.directory.view import DirectoryView
from lienthong.errors import InvalidCertificate, LienthongError
from lienthong.events import log_event
from lienthong.identity.certificates import certificate_key, fingerprint, issuers_of, read_chain
from lienthong.identity.keys import PublicKey, SigningKey
from lienthong.node.state import StateFolder

WARN_DAYS = (30, 14, 7, 1)  # issue 3; an agency's letter to an authority takes weeks
OVER = 0  # the threshold of what has ended already
CHECK_SECONDS = 3600.0
MOST_SERVICES = 500  # whose certificates are remembered; relays to more are not watched

_NEVER = datetime.max.replace(tzinfo=UTC)
_NEVER_LOGGED = (None, date.min)
logger = logging.getLogger("lienthong.node.expiry")


@dataclass(frozen=True, slots=True)
class Expiring:
    """One thing with an end. ``kind`` is a stable word, ``name`` says which one.

    ``certificate``: the node's for TLS; ``authority``: an issuer of it. ``signing_key``,
    ``tls_key``, ``member_key``: the end that a key's statement names; ``token_key``: the one that
    the token names. ``delegation``: a member's to this node. ``directory``: what its rarely used
    keys sign.
    ``client_certificate``: of one of the agency's own systems; ``service_certificate``: of a
    service that this node passes requests on to.
    """

    kind: str
    name: str
    until: datetime
    since: datetime | None = None

    def days_left(self, now: datetime) -> int:
        """Whole days until the end; below 0 when it is over."""
        return (self.until - now) // timedelta(days=1)

    def threshold(self, now: datetime) -> int | None:
        """The narrowest of ``WARN_DAYS`` that is reached; ``OVER``; None while it is far off.

        What lives shortly is renewed by machines at half of its time: for it, days that are
        more than that half say nothing.
        """
        left = self.until - now
        if left <= timedelta():
            return OVER
        reached = (timedelta(days=days) for days in WARN_DAYS if left <= timedelta(days=days))
        telling = [each.days for each in reached if not self._is_always_near(each)]
        return min(telling, default=None)

    def facts(self, now: datetime) -> dict[str, Any]:
        """As JSON values, for ``node status`` and ``doctor``."""
        return {
            "kind": self.kind,
            "name": self.name,
            "until": self.until.isoformat(),
            "days_left": self.days_left(now),
            "threshold_days": self.threshold(now),
        }

    def _is_always_near(self, days: timedelta) -> bool:
        return self.since is not None and days * 2 > self.until - self.since


def expiring(
    view: DirectoryView,
    node: str,
    members: Iterable[str],
    certificate: str,
    key: SigningKey,
    clients: Mapping[str, Iterable[str]] | None = None,
) -> tuple[Expiring, ...]:
    """Everything of one node that ends, soonest first.

    ``certificate`` is the chain in use (PEM, may be empty), ``key`` the signing key in use,
    ``clients`` the registered systems with their certificates. What cannot be read is left
    out: whoever needs it reports it.
    """
    found: list[Expiring] = [Expiring("directory", view.instance, view.offline_expires)]
    tls_key: PublicKey | None = None
    if certificate:
        chain = read_chain(certificate)
        tls_key = certificate_key(chain[0])
        found += _of_chain(node, chain, view.authorities)
    for system, pems in (clients or {}).items():
        found += _of_clients(system, pems)
    found += _of_node(view, node, key.public.key_id, tls_key)
    if key.ends is not None:
        found.append(Expiring("token_key", key.public.key_id, key.ends))
    for member in members:
        found += _of_member(view, member, node)
    return tuple(sorted(found, key=lambda each: each.until))


def expiring_on_disk(state: StateFolder, key: SigningKey) -> tuple[Expiring, ...]:
    """The same of a node that does not run, by its own copy of the directory.

    ``key`` is ``open_key(state.signing_key, …)``, which fails for reasons of its own.

    Raises DirectoryNotLoaded, NodeNotInitialised, other LienthongError leaves.
    """
    identity = state.read_identity()
    view = DirectoryMirror(state.directory, (), state.root.read_bytes()).view
    certificate = ""
    if state.tls_certificate.exists():
        certificate = state.tls_certificate.read_text(encoding="ascii")
    members = [each.id for each in identity.members]
    return expiring(view, identity.node, members, certificate, key)


class ExpiryWatch(Collector):
    """Looks now and then at what ``read`` gives; logs thresholds, and is a metric."""

    def __init__(self, read: Callable[[], tuple[Expiring, ...]]) -> None:
        self._read = read
        self._logged: dict[tuple[str, str], tuple[int | None, date]] = {}
        self._services: dict[str, Expiring] = {}
        self.items: tuple[Expiring, ...] = ()

    def check(self, now: datetime) -> tuple[Expiring, ...]:
        """Look again; each threshold that is reached is logged once a day. Returns all items."""
        try:
            self.items = (*self._read(), *self._services.values())
        except LienthongError as error:
            log_event(logger, logging.WARNING, "expiry.not_known", reason=str(error))
        for item in self.items:
            self._say(item, now)
        return self.items

    def saw_service(self, address: object, certificate: bytes | None) -> None:
        """Remember the certificate (DER) that a service showed on a new connection."""
        name = str(address)
        if certificate is None or (
            name not in self._services and len(self._services) >= MOST_SERVICES
        ):
            return
        try:
            parsed = x509.load_der_x509_certificate(certificate)
        except ValueError:  # OpenSSL let it pass; it is not our matter here
            return
        self._services[name] = _of_certificate("service_certificate", name, parsed)

    def collect(self) -> Iterator[Metric]:
        """``lienthong_expires_timestamp_seconds``: when each ends, in seconds since 1970."""
        family = GaugeMetricFamily(
            "lienthong_expires_timestamp_seconds",
            "When certificates, keys, delegations and the directory end",
            labels=("kind", "name"),
        )
        for key, until in {(each.kind, each.name): each.until for each in self.items}.items():
            family.add_metric(key, until.timestamp())
        yield family

    def _say(self, item: Expiring, now: datetime) -> None:
        threshold = item.threshold(now)
        place = (item.kind, item.name)
        before, day = self._logged.get(place, _NEVER_LOGGED)
        if threshold is None or (before == threshold and day == now.date()):
            return
        self._logged[place] = (threshold, now.date())
        urgent = threshold <= min(WARN_DAYS)
        log_event(
            logger,
            logging.ERROR if urgent else logging.WARNING,
            "expiry.over" if threshold == OVER else "expiry.near",
            kind=item.kind,
            name=item.name,
            until=item.until.isoformat(),
            days_left=item.days_left(now),
            threshold_days=threshold,
        )


def _of_chain(
    node: str, chain: tuple[x509.Certificate, ...], authorities: Iterable[str]
) -> Iterator[Expiring]:
    yield _of_certificate("certificate", node, chain[0])
    issuers = issuers_of(chain[-1], [read_chain(pem)[0] for pem in authorities])
    last = sorted(issuers, key=lambda each: each.not_valid_after_utc)[-1:]
    for each in dict.fromkeys((*chain[1:], *last)):
        yield _of_certificate("authority", each.subject.rfc4514_string(), each)


def _of_clients(system: str, pems: Iterable[str]) -> Iterator[Expiring]:
    for pem in pems:
        try:
            certificate = read_chain(pem)[0]
        except (InvalidCertificate, IndexError):
            continue
        name = f"{system} {fingerprint(certificate)[:16]}"  # a system may show several
        yield _of_certificate("client_certificate", name, certificate)


def _of_node(
    view: DirectoryView, node: str, key_id: str, tls_key: PublicKey | None
) -> Iterator[Expiring]:
    try:
        record: Node = view.node(node)
    except LienthongError:
        return
    in_use = {key_id} | ({tls_key.key_id} if tls_key else set())
    for kind, statements in (
        ("signing_key", record.signing_keys),
        ("tls_key", record.statement.tls_keys),
    ):
        for statement in statements:
            if statement.public.key_id in in_use and statement.valid_until is not None:
                yield _of_key(kind, statement)


def _of_member(view: DirectoryView, member: str, node: str) -> Iterator[Expiring]:
    try:
        record: Member = view.member(member)
    except LienthongError:
        return
    # A key that another has taken the place of may end: what counts is the last one.
    last = max(record.keys, key=lambda each: each.valid_until or _NEVER)
    if last.valid_until is not None:
        yield _of_key("member_key", last)
    given = [each for each in record.delegations if each.node == node]
    if given:
        longest = max(given, key=lambda each: each.valid_until)
        yield Expiring("delegation", member, longest.valid_until, longest.valid_from)


def _of_key(kind: str, statement: KeyStatement) -> Expiring:
    assert statement.valid_until is not None
    name = statement.public.key_id
    return Expiring(kind, name, statement.valid_until, statement.valid_from)


def _of_certificate(kind: str, name: str, certificate: x509.Certificate) -> Expiring:
    return Expiring(kind, name, certificate.not_valid_after_utc, certificate.not_valid_before_utc)
