"""What a node knows of one id: lines of its log and records of its ledger, as one timeline.

    tracer = Tracer(state.log, index, store)
    tracer.trace("3f2b8c1a-…")                       # everything, for this node's administrator
    tracer.trace("3f2b8c1a-…", peer=caller)          # for another node: only what it was party to

An id is whatever a client or an operator has in hand: the ``detail`` of an error, a request's
id (``x-road-request-id``) or its ``X-Road-Id``. Lines name further ids of the same event, which
are followed; an ``X-Road-Id`` is not, as clients use one again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from lienthong.errors import LienthongError, RecordNotFound
from lienthong.identity.citizen import mask_text
from lienthong.ledger.erasure import decode_erased, is_erased
from lienthong.ledger.heads import format_time
from lienthong.ledger.messages import plain_fields
from lienthong.ledger.records import Entry, EntryKind
from lienthong.ledger.search import Found, LedgerIndex
from lienthong.ledger.store import LedgerStore
from lienthong.node.incident_file import lines_with

MOST_IDS = 16
MOST_LINES = 200
LONGEST_ID = 1024
CATCH_UP_SECONDS = 2.0  # of the ledger's index, which lags under load
_FOLLOWED = ("request_id", "error_id")
_ID = re.compile(r"[!-~]{1,1024}")
# What another node may see of our log: what it was told itself, in other words.
SHOWN_EVENTS = frozenset(
    {
        "exchange.answered",
        "exchange.failed",
        "exchange.node_unreachable",
        "exchange.refused",
        "exchange.refused_by_peer",
        "exchange.sent_again",
        "http.refused",
        "peer.refused",
    }
)
SHOWN_FIELDS = frozenset(
    {"time", "level", "event", "node", "from", "role", "outcome", "status", "code"}
    | {"error_id", "request_id"}
)


class Peer(NamedTuple):
    """Another node that asks: its id, and the SHA-256 of the certificates it may show."""

    node: str
    certificates: frozenset[str]


class _Parties(msgspec.Struct):
    sender: str
    receiver: str


Line = dict[str, Any]


class Tracer:
    """Looks into the log and the ledger of one node. Blocking; from any thread."""

    def __init__(self, node: str, log: Path, index: LedgerIndex, store: LedgerStore) -> None:
        self._node = node
        self._log = log
        self._index = index
        self._store = store

    def trace(self, ids: tuple[str, ...], peer: Peer | None = None) -> list[Line]:
        """Lines about ``ids``, in order of time; with ``peer`` only what it may see."""
        until = time.monotonic() + CATCH_UP_SECONDS
        self._index.catch_up(lambda: time.monotonic() > until)
        known, fresh = set(ids), set(ids)
        found: dict[bytes, Line] = {}
        while fresh:
            lines = [*self._logged(fresh, peer), *self._recorded(fresh, peer)]
            for line in lines:
                found[msgspec.json.encode(line, order="sorted")] = line
            named = {each for line in lines for each in ids_of(line)}
            fresh = set(sorted(named - known)[: MOST_IDS - len(known)])
            known |= fresh
        return in_order(found.values())[:MOST_LINES]

    def _logged(self, ids: set[str], peer: Peer | None) -> Iterator[Line]:
        for text in lines_with(self._log, ids | {mask_text(each) for each in ids}, MOST_LINES):
            try:
                line = msgspec.json.decode(text)
            except msgspec.MsgspecError:
                continue  # a line that a crash has cut
            if isinstance(line, dict) and (peer is None or _may_see(line, peer)):
                yield _shown({**line, "from": "log"}, peer)

    def _recorded(self, ids: set[str], peer: Peer | None) -> Iterator[Line]:
        for each in ids:
            try:
                records = self._index.exchange(each)
            except RecordNotFound:
                continue
            for record in records:
                if record.kind is EntryKind.EVENT:
                    continue
                parties = _parties_of(self._entry(record))
                if peer is None or peer.node in (parties.sender, parties.receiver):
                    yield _shown(self._line(record, parties), peer)

    def _entry(self, record: Found) -> Entry:
        return self._store.group(record.located.place).entries[record.located.index]

    def _line(self, record: Found, parties: _Parties) -> Line:
        return {
            "time": format_time(record.time),
            "node": self._node,
            "from": "ledger",
            "event": f"ledger.{record.kind.name.lower()}",
            "request_id": record.request_id,
            **({"message_id": record.message_id} if record.message_id else {}),
            "client": record.client,
            "service": record.service,
            **({"outcome": record.outcome, "reason": record.reason} if record.outcome else {}),
            "sender": parties.sender,
            "receiver": parties.receiver,
        }


def ids_of(line: Mapping[str, Any]) -> set[str]:
    """Further ids by which the same event is known."""
    values = (line.get(name) for name in _FOLLOWED)
    return {each for each in values if isinstance(each, str) and _ID.fullmatch(each)}


def others_of(lines: list[Line], own: str) -> list[str]:
    """The other nodes that took part, by what our lines say."""
    named = (line.get(name) for line in lines for name in ("sender", "receiver"))
    return sorted({each for each in named if isinstance(each, str) and each} - {own})


def in_order(lines: Any) -> list[Line]:
    return sorted(lines, key=lambda line: (str(line.get("time", "")), str(line.get("node", ""))))


def _may_see(line: Line, peer: Peer) -> bool:
    """Deny by default: named events, and only of messages that the peer was party to."""
    if line.get("event") not in SHOWN_EVENTS:
        return False
    party = peer.node in (line.get("sender"), line.get("receiver"))
    return party or line.get("certificate") in peer.certificates


def _shown(line: Line, peer: Peer | None) -> Line:
    if peer is None:
        return line
    return {name: value for name, value in line.items() if name in SHOWN_FIELDS}


def _parties_of(entry: Entry) -> _Parties:
    """Sender and receiver of a record; empty for one that cannot be read."""
    try:
        if is_erased(entry.message):
            fields = plain_fields(decode_erased(entry.message).lines)
            return _Parties(fields["lienthong-sender"], fields["lienthong-receiver"])
        return msgspec.json.decode(entry.message, type=_Parties)
    except (msgspec.MsgspecError, LienthongError):
        return _Parties("", "")
