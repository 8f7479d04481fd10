"""Group commit: signing and logging are one act.

    committer = Committer(store, node_id, key, clock, directory_version)
    committer.start(loop)
    committed = await committer.record(Entry(...), body)
    proof = committed.proof_json()

Whatever waits becomes one group. Its entries, root, head and the head's signature are on disk
in one transaction before anybody learns of them; then every waiting caller gets its proof.
All state lives on the event loop; the writer thread does nothing but write. So no wake-up can be
lost between the two, and they seldom compete for Python's one lock.

Where several gateways share the ledger (PostgreSQL), a group made at the edge that we know may
come too late. Then, and for a while after, the writer thread takes its turn at the node's edge
and makes the group there (``sequence.py``, ADR 0010).
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

import msgspec

from lienthong.errors import LedgerCorrupt, LedgerUnavailable, RequestRegistered, TokenError
from lienthong.identity.keys import SigningKey
from lienthong.ledger.clock import EPOCH_START, Clock
from lienthong.ledger.gathering import ENOUGH, Gathering
from lienthong.ledger.heads import Head, parse_head, sign_head
from lienthong.ledger.merkle import Frontier, build_levels, leaf_hash
from lienthong.ledger.records import (
    LARGEST_GROUP,
    NO_CLAIMS,
    Claims,
    CommittedGroup,
    Edge,
    Entry,
    EntryKind,
    Group,
    Step,
)
from lienthong.ledger.rows import WriteInDoubt
from lienthong.ledger.sequence import SequencedWriter, TurnLost
from lienthong.ledger.store import LedgerStore

EXIT_WRITE_IN_DOUBT = 70
# After meeting another writer: ask for the turn first, since a group made before it is in vain.
TURNS_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Committed(msgspec.Struct, frozen=True):
    """An entry that is on disk, with what proves it."""

    group: CommittedGroup
    index: int
    place: int

    def proof_json(self) -> bytes:
        return self.group.proof_json(self.index)


class _Waiting(NamedTuple):
    entry: Entry
    body: bytes | None
    future: asyncio.Future[Committed]
    request_id: str


class _Prepared(NamedTuple):
    """A group that is signed and not yet on disk: nobody may learn of it."""

    batch: list[_Waiting]
    step: Step
    committed: CommittedGroup


class _Unsigned(NamedTuple):
    """A group whose signature a token makes: the event loop must not wait for that."""

    batch: list[_Waiting]


class _Written(NamedTuple):
    """What the writer thread did: the group, if any, and who came too late for it."""

    prepared: _Prepared | None
    late: list[_Waiting] = []  # noqa: RUF012 - never changed
    failed: list[_Waiting] = []  # noqa: RUF012 - never changed
    met_another: bool = False
    error: TokenError | None = None  # why the failed ones failed, where it was not the disk


def _leave_at_once(error: BaseException) -> None:
    """A failed fsync leaves the kernel's pages in doubt: the process must not go on."""
    logger.critical("ledger.write_in_doubt", exc_info=error)
    logging.shutdown()
    os._exit(EXIT_WRITE_IN_DOUBT)


class Committer:
    """Owns this process's view of the node's tree; what it records is in the tree."""

    def __init__(
        self,
        store: LedgerStore,
        node: str,
        key: SigningKey,
        clock: Clock,
        directory_version: Callable[[], int],
        on_write_in_doubt: Callable[[BaseException], None] = _leave_at_once,
    ) -> None:
        self._store = store
        self._node = node
        self._key = key
        self._clock = clock
        self._directory_version = directory_version
        self._on_write_in_doubt = on_write_in_doubt
        self._edge = store.edge()
        self._check_stored_head()
        self._pending: list[_Waiting] = []
        self._queue: SimpleQueue[_Prepared | _Unsigned | list[_Waiting] | None] = SimpleQueue()
        self._busy = False
        self._turns_until = 0.0
        self._idle: asyncio.Future[None] | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gathering: Gathering | None = None
        self._thread = threading.Thread(target=self._write_groups, name="ledger", daemon=True)
        self.last_error: BaseException | None = None
        self.groups_committed = 0
        self.entries_committed = 0

    def _check_stored_head(self) -> None:
        """The stored tree must be the one that was signed last, and its time is our floor."""
        edge = self._edge
        if edge.head:
            head = parse_head(edge.head)
            if head.root != edge.frontier.root() or head.size != edge.frontier.size:
                raise LedgerCorrupt(reason="the last head does not belong to the stored groups")
            self._clock.raise_floor(head.time)

    @property
    def epoch(self) -> int:
        return self._edge.epoch

    @property
    def size(self) -> int:
        """Groups in the tree of this epoch."""
        return self._edge.frontier.size

    @property
    def head_note(self) -> str:
        """The newest head that we know; empty before the first group of an epoch."""
        return self._edge.head

    def begin(self, epoch: int) -> None:
        """Go on in a new, empty tree. Only while nothing is being recorded."""
        self._edge = Edge(epoch, Frontier(), EPOCH_START, "")

    def follow(self, edge: Edge) -> None:
        """Take note of what other gateways added to the tree. Event loop only."""
        if not self._busy and edge.place > self._edge.place:
            self._edge = edge
            self._clock.raise_floor(edge.time)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._gathering = Gathering(loop, lambda: len(self._pending), self._flush)
        self._thread.start()

    def record(
        self, entry: Entry, body: bytes | None = None, request_id: str = ""
    ) -> asyncio.Future[Committed]:
        """Log ``entry``; the future is done when it is on disk.

        ``request_id``: of a request received or the answer to one, which all gateways of the
        node are to know of. The future fails with LedgerUnavailable when nothing was written,
        with RequestRegistered when another gateway has received this request.
        """
        assert self._loop is not None and self._gathering is not None, "start() comes first"
        future: asyncio.Future[Committed] = self._loop.create_future()
        if self._closed:
            future.set_exception(LedgerUnavailable())
            return future
        self._pending.append(_Waiting(entry, body, future, request_id))
        if not self._busy:
            self._gathering.begin()
        return future

    async def close(self) -> None:
        """Write what waits, then end the writer thread."""
        if self._pending or self._busy:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
        self._closed = True
        self._queue.put(None)
        if self._thread.is_alive():
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _flush(self) -> None:
        if self._pending and not self._busy:
            self._busy = True
            batch = self._pending[:LARGEST_GROUP]
            del self._pending[:LARGEST_GROUP]
            in_turn = self._turns_until and time.monotonic() < self._turns_until
            if in_turn:
                self._queue.put(batch)
            elif self._key.is_remote:
                self._queue.put(_Unsigned(batch))
            else:
                self._queue.put(self._prepare(batch, self._edge))

    def _resolve(self, written: _Written) -> None:
        prepared = written.prepared
        if prepared is not None:
            self._advance(prepared)
        if written.met_another:
            self._turns_until = time.monotonic() + TURNS_SECONDS
        self._busy = False
        if self._idle is not None or len(self._pending) >= ENOUGH:
            self._flush()  # before the callers run, so that the writer works while they do
        elif self._pending and self._gathering is not None:
            self._gathering.begin()
        if prepared is not None:
            place = prepared.step.group.place
            for index, waiting in enumerate(prepared.batch):
                if not waiting.future.cancelled():
                    waiting.future.set_result(Committed(prepared.committed, index, place))
        for waiting in written.late:
            _fail(waiting, RequestRegistered(request_id=waiting.request_id))
        for waiting in written.failed:
            error = written.error
            _fail(waiting, type(error)(**error.facts) if error else LedgerUnavailable())
        if self._idle is not None and not self._busy and not self._idle.done():
            self._idle.set_result(None)

    # --- the writer thread ---------------------------------------------------------------

    def _write_groups(self) -> None:
        assert self._loop is not None
        while (work := self._queue.get()) is not None:
            batch = work if isinstance(work, list) else work.batch
            written = _Written(None, failed=batch)
            try:
                written = self._write(work)
                self.last_error = None
            except WriteInDoubt as error:
                self._on_write_in_doubt(error)
            except TokenError as error:  # nothing was written; the key's own trouble says why
                written = _Written(None, failed=batch, error=error)
                logger.error("ledger.cannot_sign: %s", error)
            except Exception as error:
                self.last_error = error
                logger.exception("ledger.cannot_write")
            try:
                self._loop.call_soon_threadsafe(self._resolve, written)
            except RuntimeError:  # the loop was closed while the group was being written
                return

    def _write(self, work: _Prepared | _Unsigned | list[_Waiting]) -> _Written:
        if isinstance(work, list):
            return self._write_in_turn(work)
        if isinstance(work, _Unsigned):  # the edge stays as it is while a group is under way
            work = self._prepare(work.batch, self._edge)
        try:
            self._store.append(work.step)
        except TurnLost:
            return self._write_in_turn(work.batch)._replace(met_another=True)
        return _Written(work)

    def _write_in_turn(self, batch: list[_Waiting]) -> _Written:
        """Make the group at the node's edge, without the requests that others have received."""
        writer, known = self._store.writer, self._edge
        assert isinstance(writer, SequencedWriter)
        prepared: list[_Prepared] = []
        met_another = False

        def make(edge: Edge, taken: frozenset[str]) -> Step | None:
            nonlocal met_another
            met_another = edge.place != known.place
            self._clock.raise_floor(edge.time)
            rest = [each for each in batch if not _is_late(each, taken)] if taken else batch
            prepared[:] = [self._prepare(rest, edge)] if rest else []
            return prepared[0].step if prepared else None

        writer.in_turn(_claims(batch), make)
        done = prepared[0] if prepared else None
        late = batch[:0] if done is not None and done.batch is batch else _late(batch, done)
        return _Written(done, late, met_another=met_another)

    def _prepare(self, batch: list[_Waiting], edge: Edge) -> _Prepared:
        """Make the group and sign its head; on the event loop, as Python runs one thread only.

        Raises TokenError leaves while the token with the key is away.
        """
        key = self._key.current
        levels = build_levels([waiting.entry.leaf for waiting in batch])
        root = levels[-1][0]
        frontier = edge.frontier.copy()
        position = frontier.size
        tree_path, closed = frontier.append(leaf_hash(root))
        head = Head(
            node=self._node,
            epoch=edge.epoch,
            size=frontier.size,
            root=frontier.root(),
            time=self._clock.now(),
            directory_version=self._directory_version(),
            key_id=key.public.key_id,
        )
        note = sign_head(head, key)
        group = Group(
            epoch=edge.epoch,
            position=position,
            time=head.time,
            root=root,
            head=note,
            subtrees=tuple(closed),
            entries=tuple([waiting.entry for waiting in batch]),
            bodies={i: w.body for i, w in enumerate(batch) if w.body is not None},
        )
        claims = _claims(batch) if self._store.shared else NO_CLAIMS
        step = Step(group, frontier, claims)
        return _Prepared(batch, step, CommittedGroup(levels, tree_path, note))

    def _advance(self, prepared: _Prepared) -> None:
        """The group is on disk: the tree goes on from it."""
        self._edge = prepared.step.edge
        self._clock.raise_floor(prepared.step.group.time)
        self.groups_committed += 1
        self.entries_committed += len(prepared.batch)


def _claims(batch: list[_Waiting]) -> Claims:
    """What the batch does to the register of request ids."""
    received, answered = [], []
    for index, (entry, _, _, request_id) in enumerate(batch):
        if not request_id:
            continue
        if entry.kind is EntryKind.REQUEST_RECEIVED:
            received.append((request_id, entry.leaf))
        else:
            answered.append((request_id, index))
    return Claims(tuple(received), tuple(answered))


def _is_late(waiting: _Waiting, taken: frozenset[str]) -> bool:
    received = waiting.entry.kind is EntryKind.REQUEST_RECEIVED
    return received and waiting.request_id in taken


def _late(batch: list[_Waiting], done: _Prepared | None) -> list[_Waiting]:
    """Those of the batch that are in no group."""
    kept = {id(each) for each in done.batch} if done is not None else set()
    return [each for each in batch if id(each) not in kept]


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.future.cancelled():
        waiting.future.set_exception(error)
