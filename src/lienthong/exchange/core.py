"""What both edges of a node share: its identity, trust, ledger and way to other nodes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from lienthong.directory.view import DirectoryView
from lienthong.errors import ForeignMessage, LedgerForked, LienthongError, MessageExpired
from lienthong.events import log_event
from lienthong.exchange.bodies import BodyKeeper
from lienthong.exchange.receipts import ReceiptsOwed
from lienthong.ledger.clock import EPOCH_START, Clock
from lienthong.ledger.committer import Committer
from lienthong.ledger.erasure import erased
from lienthong.ledger.heads import Head, format_time, parse_time
from lienthong.ledger.messages import Request
from lienthong.ledger.peers import PeerBook
from lienthong.ledger.proofs import ProofChecker
from lienthong.ledger.records import Entry
from lienthong.ledger.store import LedgerStore
from lienthong.settings import Settings
from lienthong.transport.client import Address, Transport
from lienthong.transport.messages import Connection

logger = logging.getLogger("lienthong.exchange")


class DirectorySource(Protocol):
    """Where the current directory comes from."""

    @property
    def view(self) -> DirectoryView: ...


class Observer(Protocol):
    """Who is told of each exchange, for metrics."""

    def exchanged(
        self, role: str, service: str, outcome: str, seconds: float, received: int, sent: int
    ) -> None: ...

    def refused(self, role: str, code: str) -> None: ...


class NullObserver:
    """Tells nobody."""

    def exchanged(
        self, role: str, service: str, outcome: str, seconds: float, received: int, sent: int
    ) -> None:
        return None

    def refused(self, role: str, code: str) -> None:
        return None


def _no_tokens(request: Request) -> tuple[bytes, ...]:
    return ()


@dataclass(slots=True)
class Core:
    """The parts of one running node that its edges work with."""

    node: str
    settings: Settings
    directory: DirectorySource
    clock: Clock
    store: LedgerStore
    committer: Committer
    peers: PeerBook
    transport: Transport
    carrier: Transport  # of messages: those to one node may travel together
    bodies: BodyKeeper
    receipts: ReceiptsOwed
    checker: ProofChecker = field(default_factory=ProofChecker)
    observer: Observer = field(default_factory=NullObserver)
    draining: bool = False
    in_flight: int = 0
    not_before: datetime = EPOCH_START  # requests from before a restored ledger's new epoch
    tokens_of: Callable[[Request], tuple[bytes, ...]] = _no_tokens
    _bound: dict[Connection, tuple[str, DirectoryView, float]] = field(default_factory=dict)
    _skew: timedelta = field(init=False)
    _oldest: timedelta = field(init=False)
    _accepted_heads: dict[str, tuple[Head, DirectoryView, float]] = field(default_factory=dict)
    _addresses: dict[str, Address] = field(default_factory=dict)
    _nodes_at: dict[Address, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._skew = timedelta(seconds=self.settings.clock_skew_seconds)
        lifetime = timedelta(seconds=self.settings.message_lifetime_seconds)
        self._oldest = lifetime + self._skew

    def view(self) -> DirectoryView:
        """The directory in force. Raises DirectoryExpired, DirectoryNotLoaded."""
        view = self.directory.view
        view.check_fresh(self.clock.now())
        return view

    def address_of(self, node: str, view: DirectoryView) -> Address:
        """Where a node is reached. Raises UnknownNode, InvalidAddress."""
        url = view.node(node).addresses[0]
        address = self._addresses.get(url)
        if address is None:
            address = self._addresses[url] = Address.parse(url)
        self._nodes_at[address] = node
        return address

    def check_dialled(self, address: Address, connection: Connection) -> None:
        """Check a new connection before anything is sent on it: is it the node we dialled?

        Any node of the nation has a certificate of the authority; only one may read this.
        Raises ForeignMessage, CertificateNotAccepted, UnknownNode.
        """
        node = self._nodes_at.get(address)
        if node is None:
            raise ForeignMessage(reason=f"no node is at {address}")
        self.check_peer(connection, node, self.directory.view)

    def still_good(self, connection: Connection) -> bool:
        """Whether an open connection's peer still counts by the newest directory."""
        bound = self._bound.get(connection)
        if bound is None or connection.peer_certificate is None:
            return True
        view = self.directory.view
        try:
            view.check_certificate(bound[0], connection.peer_certificate, self.clock.now())
        except LienthongError:
            del self._bound[connection]
            return False
        return True

    def now_text(self) -> str:
        """The node's time in the protocol's form."""
        return format_time(self.clock.now())

    def kept(self, entry: Entry, mode: str, request: Request | None = None) -> Entry:
        """The entry as the ledger is to keep it: in mode ``none`` commitments without contents.

        A request is still found by dossier and citizen then, through keyed hashes.
        """
        if mode != "none":
            return entry
        tokens = () if request is None else self.tokens_of(request)
        return msgspec.structs.replace(erased(entry), tokens=tokens)

    def check_peer(self, connection: Connection, node: str, view: DirectoryView) -> None:
        """Check that the TLS peer is ``node`` by the directory; kept for a minute a connection.

        Raises ForeignMessage, CertificateNotAccepted, UnknownNode.
        """
        bound = self._bound.get(connection)
        tick = time.monotonic()
        if bound is not None and bound[0] == node and bound[1] is view and tick < bound[2]:
            return
        if connection.peer_certificate is None:
            raise ForeignMessage(reason="no certificate on the connection")
        view.check_certificate(node, connection.peer_certificate, self.clock.now())
        if len(self._bound) > 10_000:
            self._bound.clear()
        self._bound[connection] = (node, view, tick + 60.0)

    def check_time(self, text: str, what: str) -> datetime:
        """Refuse a message that is too old or from the future. Raises MessageExpired."""
        try:
            sent = parse_time(text)
        except ValueError as error:
            raise MessageExpired(time=text[:30], reason="not a time") from error
        self._check_age(sent, what)
        if sent < self.not_before:
            raise MessageExpired(time=text, reason=f"{what} is from before a ledger was restored")
        return sent

    def _check_age(self, sent: datetime, what: str) -> None:
        now = self.clock.now()
        if sent > now + self._skew:
            raise MessageExpired(time=format_time(sent), reason=f"{what} is from the future")
        if sent < now - self._oldest:
            raise MessageExpired(time=format_time(sent), reason=f"{what} is too old")

    def check_live(self, head: Head, view: DirectoryView) -> None:
        """Refuse a proof that was made with a key that no longer counts, or long ago.

        The time in a head is its signer's word: whoever holds a revoked key would write one
        from before the revocation. What comes over the wire must count today as well;
        evidence, which is judged as of its day, does not come this way.

        Raises MessageExpired, KeyRevoked, KeyNotValid.
        """
        self._check_age(head.time, "the head")
        view.signing_key(head.node, head.key_id, self.clock.now())

    def accept_head(self, head: Head, note: str, view: DirectoryView) -> None:
        """``check_live`` and ``see_head``, once a second for the many messages under one head."""
        tick = time.monotonic()
        last = self._accepted_heads.get(head.node)
        if last is not None and last[0] is head and last[1] is view and tick < last[2]:
            return
        self.check_live(head, view)
        self.see_head(head, note)
        self._accepted_heads[head.node] = (head, view, tick + 1.0)

    def see_head(self, head: Head, note: str) -> None:
        """Remember another node's head; a fork is reported and refused."""
        try:
            self.peers.see(head, note)
        except LedgerForked:
            log_event(
                logger,
                logging.CRITICAL,
                "ledger.fork_seen",
                forked_node=head.node,
                origin=head.origin,
                size=head.size,
            )
            raise

    @property
    def remembered(self) -> timedelta:
        """How long a request id must be remembered: as long as its message could be accepted."""
        settings = self.settings
        return timedelta(
            seconds=settings.message_lifetime_seconds + 2 * settings.clock_skew_seconds
        )
