"""Group commit: signing and logging are one act.

    committer = Committer(store, node_id, key, clock, directory_version)
    committer.start(loop)
    committed = await committer.record(Entry(...), body)
    proof = committed.proof_json()

Whatever waits becomes one group. Its entries, root, head and the head's signature are on disk
in one transaction before anybody learns of them; then every waiting caller gets its proof.
All state lives on the event loop; the writer thread does nothing but write. So no wake-up can be
lost between the two, and they seldom compete for Python's one lock.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

import msgspec

from lienthong.errors import LedgerCorrupt, LedgerUnavailable
from lienthong.identity.keys import PrivateKey
from lienthong.ledger.clock import Clock
from lienthong.ledger.heads import Head, parse_head, sign_head
from lienthong.ledger.merkle import Frontier, build_levels, leaf_hash
from lienthong.ledger.records import LARGEST_GROUP, CommittedGroup, Entry, Group
from lienthong.ledger.store import LedgerStore, WriteInDoubt

EXIT_WRITE_IN_DOUBT = 70

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


class _Prepared(NamedTuple):
    """A group that is signed and not yet on disk: nobody may learn of it."""

    batch: list[_Waiting]
    group: Group
    frontier: Frontier
    committed: CommittedGroup


def _leave_at_once(error: BaseException) -> None:
    """A failed fsync leaves the kernel's pages in doubt: the process must not go on."""
    logger.critical("ledger.write_in_doubt", exc_info=error)
    logging.shutdown()
    os._exit(EXIT_WRITE_IN_DOUBT)


class Committer:
    """Owns the node's tree: the only writer of groups."""

    def __init__(
        self,
        store: LedgerStore,
        node: str,
        key: PrivateKey,
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
        self.epoch = store.current_epoch()
        self._frontier = store.frontier(self.epoch)
        self.head_note = store.last_head(self.epoch)
        self._check_stored_head()
        self._pending: list[_Waiting] = []
        self._queue: SimpleQueue[_Prepared | None] = SimpleQueue()
        self._busy = False
        self._flush_scheduled = False
        self._idle: asyncio.Future[None] | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._write_groups, name="ledger", daemon=True)
        self.last_error: BaseException | None = None
        self.groups_committed = 0
        self.entries_committed = 0

    def _check_stored_head(self) -> None:
        """The stored tree must be the one that was signed last, and its time is our floor."""
        if self.head_note:
            head = parse_head(self.head_note)
            if head.root != self._frontier.root() or head.size != self._frontier.size:
                raise LedgerCorrupt(reason="the last head does not belong to the stored groups")
            self._clock.raise_floor(head.time)

    @property
    def size(self) -> int:
        """Groups in the tree of this epoch."""
        return self._frontier.size

    def begin(self, epoch: int) -> None:
        """Go on in a new, empty tree. Only while nothing is being recorded."""
        self.epoch = epoch
        self._frontier = Frontier()
        self.head_note = ""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread.start()

    def record(self, entry: Entry, body: bytes | None = None) -> asyncio.Future[Committed]:
        """Log ``entry``; the future is done when it is on disk.

        The future fails with LedgerUnavailable when nothing was written.
        """
        assert self._loop is not None, "start() comes first"
        future: asyncio.Future[Committed] = self._loop.create_future()
        if self._closed:
            future.set_exception(LedgerUnavailable())
            return future
        self._pending.append(_Waiting(entry, body, future))
        if not self._busy and not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)
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
        self._flush_scheduled = False
        if self._pending and not self._busy:
            self._busy = True
            batch = self._pending[:LARGEST_GROUP]
            del self._pending[:LARGEST_GROUP]
            self._queue.put(self._prepare(batch))

    def _resolve(self, prepared: _Prepared, written: bool) -> None:
        if written:
            self._advance(prepared)
        self._busy = False
        self._flush()  # before the callers run, so that the writer works while they do
        place = prepared.group.place
        for index, waiting in enumerate(prepared.batch):
            if waiting.future.cancelled():
                continue
            if written:
                waiting.future.set_result(Committed(prepared.committed, index, place))
            else:
                waiting.future.set_exception(LedgerUnavailable())
        if self._idle is not None and not self._busy and not self._idle.done():
            self._idle.set_result(None)

    def _write_groups(self) -> None:
        assert self._loop is not None
        while (prepared := self._queue.get()) is not None:
            written = False
            try:
                self._store.append(prepared.group)
                written = True
                self.last_error = None
            except WriteInDoubt as error:
                self._on_write_in_doubt(error)
            except Exception as error:
                self.last_error = error
                logger.exception("ledger.cannot_write")
            try:
                self._loop.call_soon_threadsafe(self._resolve, prepared, written)
            except RuntimeError:  # the loop was closed while the group was being written
                return

    def _prepare(self, batch: list[_Waiting]) -> _Prepared:
        """Make the group and sign its head; on the event loop, as Python runs one thread only."""
        levels = build_levels([waiting.entry.leaf for waiting in batch])
        root = levels[-1][0]
        frontier = self._frontier.copy()
        position = frontier.size
        tree_path, closed = frontier.append(leaf_hash(root))
        head = Head(
            node=self._node,
            epoch=self.epoch,
            size=frontier.size,
            root=frontier.root(),
            time=self._clock.now(),
            directory_version=self._directory_version(),
            key_id=self._key.public.key_id,
        )
        note = sign_head(head, self._key)
        group = Group(
            epoch=self.epoch,
            position=position,
            time=head.time,
            root=root,
            head=note,
            subtrees=tuple(closed),
            entries=tuple([waiting.entry for waiting in batch]),
            bodies={i: w.body for i, w in enumerate(batch) if w.body is not None},
        )
        return _Prepared(batch, group, frontier, CommittedGroup(levels, tree_path, note))

    def _advance(self, prepared: _Prepared) -> None:
        """The group is on disk: the tree goes on from it."""
        self._frontier = prepared.frontier
        self.head_note = prepared.group.head
        self._clock.raise_floor(prepared.group.time)
        self.groups_committed += 1
        self.entries_committed += len(prepared.batch)
