"""One node as a running program: its parts put together, started and stopped in order.

node = Node(StateFolder(path), settings)
await node.start()
await node.stop()
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from lienthong.agreements.book import AgreementBook
from lienthong.agreements.models import Agreement
from lienthong.agreements.reservations import Reservations
from lienthong.agreements.service import AgreementService, Signer
from lienthong.agreements.store import AgreementStore
from lienthong.events import log_event
from lienthong.exchange.answers import AnswerWriter
from lienthong.exchange.bodies import BodyKeeper
from lienthong.exchange.carrier import Carrier
from lienthong.exchange.client_edge import ClientEdge
from lienthong.exchange.clients import ClientRegistry
from lienthong.exchange.core import Core
from lienthong.exchange.elsewhere import Elsewhere
from lienthong.exchange.execution import Execution
from lienthong.exchange.housekeeping import Housekeeping, run_for_ever
from lienthong.exchange.once import OnceRegister
from lienthong.exchange.peer_edge import PeerEdge
from lienthong.exchange.provider import ProviderEdge
from lienthong.exchange.receipts import ReceiptsInLedger, ReceiptsOwed
from lienthong.exchange.services import ServiceRegistry
from lienthong.exchange.wire import LARGEST_HEAD_BYTES, encode_json
from lienthong.ledger.clock import Clock, since_boot
from lienthong.ledger.committer import Committer
from lienthong.ledger.database import open_database
from lienthong.ledger.index_key import read_index_key
from lienthong.ledger.messages import EventRecord, event_leaf
from lienthong.ledger.peers import PeerBook
from lienthong.ledger.receipt_store import ReceiptStore
from lienthong.ledger.records import Entry, EntryKind
from lienthong.ledger.requests import RequestBook
from lienthong.ledger.search import LedgerIndex
from lienthong.ledger.sequence import SequencedWriter
from lienthong.ledger.store import LedgerStore
from lienthong.node.administration import Administration
from lienthong.node.anchoring import Anchoring
from lienthong.node.counters.keeper import (
    COUNTERS_PATH,
    PUBLISH_SECONDS,
    SAVE_SECONDS,
    CounterKeeper,
    Refusals,
)
from lienthong.node.counters.store import CounterStore
from lienthong.node.expiry import CHECK_SECONDS, Expiring, ExpiryWatch, expiring
from lienthong.node.gateways import EVERYTHING, gateways_of
from lienthong.node.keys import CHECK_SECONDS as KEY_CHECK_SECONDS
from lienthong.node.keys import NodeKeys
from lienthong.node.leader import Leader
from lienthong.node.link import NodeLink
from lienthong.node.listeners import Listeners
from lienthong.node.lock import take_lock
from lienthong.node.metrics import NodeMetrics
from lienthong.node.observer import MetricsObserver, watch
from lienthong.node.peer_directory import PeerDirectory, directory_files
from lienthong.node.recovery import recover
from lienthong.node.services import offered
from lienthong.node.sharing import AGREEMENT, Sharing
from lienthong.node.state import StateFolder
from lienthong.node.store import NodeStore
from lienthong.node.trace import Tracer
from lienthong.node.trace_exchange import TRACE_PATH, TraceExchange
from lienthong.node.trust import Trust
from lienthong.node.worker import Worker
from lienthong.settings import Settings
from lienthong.transport.client import Address, ConnectionPool, PoolLimits
from lienthong.transport.messages import Connection
from lienthong.transport.spool import clear_spool
from lienthong.transport.tls import client_context

SOURCE_THREADS = 16
LARGEST_SERVICE_HEAD_BYTES = 49_152
USAGE_SECONDS = 5.0
DELIVERY_SECONDS = 5.0
REOPEN_SECONDS = 5.0

logger = logging.getLogger("lienthong.node")


class Node:
    """All parts of one node. ``start`` waits for the directory's approval."""

    def __init__(
        self, state: StateFolder, settings: Settings, worker: Worker | None = None
    ) -> None:
        self.state = state
        self.settings = settings
        self.worker = worker
        self.identity = state.read_identity()
        # Workers of one state folder are held together by their supervisor, which has the lock.
        self._lock = take_lock(state) if worker is None else None
        self.clock = Clock(steady=since_boot)
        self.metrics = NodeMetrics()
        self.refusals = Refusals()
        refresh = settings.directory_refresh_seconds
        url = settings.directory_url
        self.trust = Trust(state, self.identity.node, url, self.clock.now, refresh)
        self.keys = NodeKeys(state, settings, self.identity.node)
        self.engine = open_database(settings.database or f"sqlite:///{state.database}")
        self.store = LedgerStore(self.engine)
        index_key = read_index_key(state.index_key, self.engine)
        self.index = LedgerIndex(self.engine, self.store, index_key)
        self.receipts = ReceiptStore(self.engine)
        self.node_store = NodeStore(self.engine)
        self.agreement_store = AgreementStore(self.engine)
        self.expiry = ExpiryWatch(self._expiring)
        self.metrics.registry.register(self.expiry)
        self.clients = ClientRegistry()
        self.services = ServiceRegistry()
        self.book = AgreementBook(shared=self.store.shared)
        self.reservations = Reservations(self.engine, self.book.allowances)
        self.sharing = Sharing(self)
        self.gateways = gateways_of(self.engine, self.sharing.take, self.sharing.each_turn)
        self.leader: Leader = self.gateways
        self.threads = ThreadPoolExecutor(SOURCE_THREADS, "source")
        self._leaving = False  # about to stop
        self.started = False
        self._tasks: list[asyncio.Task[None]] = []
        self._partners: set[str] = set()

    @property
    def maintenance(self) -> bool:
        """Whether ``/health`` is to answer 503; the workers of one state folder share it."""
        return self._leaving or self.state.maintenance.exists()

    @maintenance.setter
    def maintenance(self, on: bool) -> None:
        if on:
            self.state.write(self.state.maintenance, b"")
        else:
            self.state.maintenance.unlink(missing_ok=True)

    async def start(self) -> None:
        """Bring all parts up in order; returns when the node answers on all its ports."""
        self.state.create()
        if self.worker is None:
            clear_spool(self.state.spool)
            self.maintenance = False
        self.listeners = Listeners(self)
        await self.listeners.start_operations()
        await self.trust.wait_for_approval()
        self.clock.raise_floor(self.trust.view.published)
        await self.gateways.start()
        self._build()
        async with self.gateways.one_at_a_time():
            await recover(self)
        self.administration = Administration(self)
        await self.administration.load()
        self.agreements.load()
        self._partners = await self.agreements.partner_nodes()
        await self.listeners.start(self.consumer, self.peer_edge)
        self.housekeeping.start()
        self._repeat("directory", self.settings.directory_refresh_seconds, self.follow_directory)
        self._repeat("usage", USAGE_SECONDS, self._save_usage)
        self._repeat("services", REOPEN_SECONDS, self.administration.open_missing)
        self._repeat("deliveries", DELIVERY_SECONDS, self._deliver_agreements)
        self._repeat("refusals", SAVE_SECONDS, self.counters.save_refusals)
        self._repeat("counters", PUBLISH_SECONDS, self._publish_counters)
        self.expiry.check(self.clock.now())
        self._tasks += self.anchoring.start()
        self._repeat("expiry", CHECK_SECONDS, self._check_expiry)
        self._repeat("keys", KEY_CHECK_SECONDS, self._check_keys)
        self.started = True
        await self.sharing.take(EVERYTHING)  # what others told while this gateway started
        await self.listeners.start_management()
        log_event(logger, logging.INFO, "node.started", **self.listeners.addresses())

    async def stop(self) -> None:
        """Take no new requests, finish those that run, write everything down."""
        log_event(logger, logging.INFO, "node.draining")
        if self.started:
            self._leaving = True
            # Who hands its sockets over answers what is under way; others refuse what is new.
            self.core.draining = not self.listeners.hands_over
            await self.listeners.drain(self.settings.drain_seconds)
            self.core.draining = True
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.housekeeping.stop()
            await self._save_usage()
            await self.counters.save_refusals()
            await asyncio.to_thread(self.reservations.give_back)
            await self.core.committer.close()
            self.pool.close()
            self.relay_pool.close()
            self.anchoring.close()
            self.trusting_pool.close()
        await self.listeners.close()
        self.threads.shutdown(wait=False, cancel_futures=True)
        if self.started:
            self.administration.close()
        await self.gateways.stop()
        self.store.close()
        self.engine.dispose()
        if self._lock is not None:
            self._lock.close()
        log_event(logger, logging.INFO, "node.stopped")

    def _build(self) -> None:
        settings = self.settings
        limits = PoolLimits(
            head_bytes=LARGEST_HEAD_BYTES,
            body_bytes=settings.request_limit_bytes,
            spool_threshold_bytes=settings.spool_threshold_bytes,
        )
        self.pool = self._pool(self.trust.peer_client, limits, self._check_dialled)
        verifying = client_context(check_hostname=True)
        # A service's headers have to fit into a signed message, encoded twice over.
        relayed = replace(limits, head_bytes=LARGEST_SERVICE_HEAD_BYTES)
        self.relay_pool = self._pool(lambda: verifying, relayed, self._saw_service)
        trusting = client_context()
        trusting.verify_mode = ssl.CERT_NONE
        self.trusting_pool = self._pool(lambda: trusting, relayed, self._saw_service)
        if isinstance(self.store.writer, SequencedWriter):
            self.store.writer.gateway = self.gateways.number
        committer = Committer(
            self.store,
            self.identity.node,
            self.keys.signing,
            self.clock,
            lambda: self.trust.view.version,
        )
        committer.start(asyncio.get_running_loop())
        self.core = Core(
            node=self.identity.node,
            settings=settings,
            directory=self.trust,
            clock=self.clock,
            store=self.store,
            committer=committer,
            peers=PeerBook(self.engine),
            transport=self.pool,
            carrier=Carrier(self.pool, self.state.spool, settings.request_limit_bytes),
            bodies=BodyKeeper(
                self.state.bodies, f".{self.gateways.number}" if self.store.shared else ""
            ),
            receipts=ReceiptsInLedger() if self.store.shared else ReceiptsOwed(),
            observer=MetricsObserver(self.metrics, self.refusals),
            tokens_of=self.index.tokens_of,
        )
        watch(self)
        self.once = OnceRegister(self.core.remembered)
        self.agreements = AgreementService(
            self.agreement_store,
            self.book,
            Signer(self.identity.node, self.keys.signing),
            lambda: self.trust.view,
            NodeLink(self.core),
            on_event=self._log_agreement,
            offers=lambda service_id: offered(self.services.get(service_id)),
            tell=lambda name: self.gateways.tell(f"{AGREEMENT} {name}"),
            clock=self.clock.now,
        )
        execution = Execution(self.core, self.services, self.book, self.threads, self.reservations)
        answers = AnswerWriter(self.core)
        elsewhere = Elsewhere(
            answers,
            RequestBook(self.engine),
            self.gateways.alive,
            settings.service_timeout_seconds,
        )
        provider = ProviderEdge(self.core, execution, answers, self.once, elsewhere)
        self.consumer = ClientEdge(self.core, self.clients)
        self.peer_edge = PeerEdge(
            self.core,
            provider,
            self.receipts,
            lambda sender, document: self.agreements.receive(document, sender),
            directory_files(self.trust.mirror),
        )
        self.traces = TraceExchange(
            self.core, Tracer(self.identity.node, self.state.log, self.index, self.store)
        )
        self.peer_edge.offer("POST", TRACE_PATH, self.traces.answer)
        self.counters = CounterKeeper(
            self.core, CounterStore(self.engine), lambda: self.keys.signing.current, self.refusals
        )
        self.peer_edge.offer("GET", COUNTERS_PATH, self.counters.answer)
        self.housekeeping = Housekeeping(
            self.core, self.index, self.receipts, lambda: self.leader.leading
        )
        self.anchoring = Anchoring(self)
        self.trust.ask_peers = PeerDirectory(self.core).fetches

    def _check_dialled(self, address: Address, connection: Connection) -> None:
        self.core.check_dialled(address, connection)

    def _saw_service(self, address: Address, connection: Connection) -> None:
        self.expiry.saw_service(address, connection.peer_certificate)

    def _expiring(self) -> tuple[Expiring, ...]:
        return expiring(
            self.trust.view,
            self.identity.node,
            [member.id for member in self.identity.members],
            self.trust.certificate,
            self.keys.signing,
            self.administration.certificates_by_client(),
        )

    async def _check_expiry(self) -> None:
        self.expiry.check(self.clock.now())

    def _pool(
        self,
        context: Callable[[], ssl.SSLContext],
        limits: PoolLimits,
        on_connect: Callable[[Address, Connection], None] | None = None,
    ) -> ConnectionPool:
        return ConnectionPool(
            context,
            limits,
            connect_timeout_seconds=self.settings.connect_timeout_seconds,
            spool_folder=self.state.spool,
            on_connect=on_connect,
        )

    async def _log_agreement(self, act: str, agreement: Agreement, statement: bytes) -> None:
        """Every step of an agreement is in the ledger before it takes effect."""
        event = EventRecord(
            version=1,
            kind=f"agreement-{act}",
            subject=agreement.id,
            time=self.core.now_text(),
            document=statement,
            salt=os.urandom(16),
        )
        await self.core.committer.record(
            Entry(EntryKind.EVENT, event_leaf(event), encode_json(event))
        )

    async def follow_directory(self) -> None:
        newer = await self.trust.refresh()
        if self.trust.last_error is not None:
            self.metrics.directory_failures.inc()
        if newer:
            self.clock.raise_floor(self.trust.view.published)
        changed = await self._follow_keys()
        # Also without a new version: certificates end and next keys' times come.
        self.pool.check_connections(self.core.still_good)
        self.listeners.check_peers(self.core.still_good)
        if newer or changed:
            self.expiry.check(self.clock.now())
        if newer:
            await self._greet_new_partners()

    async def _follow_keys(self) -> bool:
        """Take next keys and certificates into use; calls that run are not disturbed."""
        renewed = self.trust.follow_directory()
        if renewed:
            self.pool.retire_connections()
            self.listeners.retire_peers()
        view = self.trust.view
        rotated = await asyncio.to_thread(self.keys.follow, view, self.clock.now())
        return renewed or rotated

    async def _check_keys(self) -> None:
        await asyncio.to_thread(self.keys.check)

    async def _greet_new_partners(self) -> None:
        """A node that came to a party later learns the agreements that hold for it."""
        partners = await self.agreements.partner_nodes()
        if partners - self._partners:
            await self.agreements.share_again()
        self._partners = partners

    async def _publish_counters(self) -> None:
        if self.leader.leading:
            await self.counters.publish()

    async def _save_usage(self) -> None:
        await asyncio.to_thread(self.agreements.save_usage)

    async def _deliver_agreements(self) -> None:
        await self.agreements.deliver_pending()

    def _repeat(self, name: str, seconds: float, action: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(run_for_ever(name, seconds, action), name=name))
