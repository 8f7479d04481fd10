"""Finding records: by message, party, dossier, citizen and time.

    index = LedgerIndex(engine, store, key)
    index.catch_up()
    index.search(citizen="001090000001")

The index follows the groups and can be made again from them. Dossier numbers and citizens are
held only as HMACs under a key of this node, since plain hashes of twelve digits are guessed
in a second.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, delete, insert, or_, select, update

from lienthong.errors import LedgerUnavailable, MessageMalformed, RecordNotFound
from lienthong.ledger import tables
from lienthong.ledger.clock import from_milliseconds, milliseconds
from lienthong.ledger.database import reading, writing
from lienthong.ledger.erasure import decode_erased, is_erased
from lienthong.ledger.heads import parse_time
from lienthong.ledger.messages import Answer, EventRecord, Request, plain_fields
from lienthong.ledger.records import Entry, EntryKind, Group, Located
from lienthong.ledger.store import LedgerStore

TOKEN_BYTES = 16
LONGEST_OUTCOME = 64  # characters, as the table has it
GROUPS_PER_STEP = 50
MOST_RECORDS = 1000  # of one exchange; it has four, and one more each time it was asked again

_decode_request = msgspec.json.Decoder(Request).decode
_decode_answer = msgspec.json.Decoder(Answer).decode
_decode_event = msgspec.json.Decoder(EventRecord).decode


class Found(msgspec.Struct, frozen=True):
    """One line of a search's result."""

    located: Located
    kind: EntryKind
    time: datetime
    request_id: str
    message_id: str
    client: str
    service: str
    outcome: str
    reason: str
    status: int


class LedgerIndex:
    """The searchable side of a ledger."""

    def __init__(self, engine: Engine, store: LedgerStore, key: bytes) -> None:
        self._engine = engine
        self._store = store
        self._key = key
        self._begin_progress()

    def token(self, kind: str, value: str) -> bytes:
        """Keyed hash under which a ``dossier`` or ``subject`` is found."""
        return hmac.digest(self._key, f"{kind}\0{value}".encode(), "sha256")[:TOKEN_BYTES]

    def tokens_of(self, request: Request) -> tuple[bytes, ...]:
        """All keyed hashes under which a request is found."""
        return tuple([self.token(kind, value) for kind, value in _values(request)])

    def catch_up(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Index the groups that are new since the last call; returns how many there were.

        ``stop`` is asked now and then; when it says yes, the rest waits for the next call.
        """
        done, place = 0, self._indexed_place()
        pending: list[Group] = []
        for group in self._store.groups(after_place=place):
            pending.append(group)
            if len(pending) == GROUPS_PER_STEP:
                done += self._index(pending, place)
                place, pending = group.place, []
                if stop():
                    return done
        return done + self._index(pending, place)

    def search(
        self,
        *,
        message: str | None = None,
        party: str | None = None,
        dossier: str | None = None,
        citizen: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
    ) -> list[Found]:
        """Records that fit all the conditions given, newest first."""
        table = tables.messages
        query = select(table).order_by(table.c.place.desc(), table.c.entry.desc()).limit(limit)
        if message is not None:
            query = query.where(or_(table.c.request_id == message, table.c.message_id == message))
        if party is not None:
            query = query.where(_is_party(party))
        for kind, value in (("dossier", dossier), ("subject", citizen)):
            if value is not None:
                query = query.where(self._has_token(kind, value))
        if since is not None:
            query = query.where(table.c.time_ms >= milliseconds(since))
        if until is not None:
            query = query.where(table.c.time_ms < milliseconds(until))
        with reading(self._engine) as connection:
            return [_found(row) for row in connection.execute(query)]

    def exchange(self, request_id: str) -> list[Found]:
        """All records of one exchange, by its request id or the client's message id.

        Raises RecordNotFound.
        """
        found = self._of_request(request_id)
        if not found:  # a client's own id, which it may have used more than once: the newest
            same = self.search(message=request_id, limit=1)
            found = self._of_request(same[0].request_id) if same else []
        if not found:
            raise RecordNotFound(name=request_id)
        return found

    def _of_request(self, request_id: str) -> list[Found]:
        table = tables.messages
        query = select(table).where(table.c.request_id == request_id)
        query = query.order_by(table.c.place.desc(), table.c.entry.desc()).limit(MOST_RECORDS)
        with reading(self._engine) as connection:
            return [_found(row) for row in connection.execute(query)]

    def forget(self, records: Iterable[Found]) -> None:
        """Drop the keyed hashes under which erased records were found."""
        with writing(self._engine) as connection:
            for found in records:
                connection.execute(
                    delete(tables.tokens)
                    .where(tables.tokens.c.place == found.located.place)
                    .where(tables.tokens.c.entry == found.located.index)
                )

    def _has_token(self, kind: str, value: str) -> Any:
        return (
            select(tables.tokens.c.token)
            .where(tables.tokens.c.token == self.token(kind, value))
            .where(tables.tokens.c.place == tables.messages.c.place)
            .where(tables.tokens.c.entry == tables.messages.c.entry)
            .exists()
        )

    def _indexed_place(self) -> int:
        with reading(self._engine) as connection:
            value = connection.scalar(_INDEXED)
        if value is None:
            raise LedgerUnavailable()
        return int(value)

    def _begin_progress(self) -> None:
        """Make the row that says how far the index is, unless it is there."""
        progress = tables.progress
        try:
            with writing(self._engine) as connection:
                if connection.scalar(_INDEXED) is None:
                    connection.execute(insert(progress).values(name="indexed", value=-1))
        except LedgerUnavailable:
            self._indexed_place()  # another process may have been first; if not, this raises

    def _index(self, groups: list[Group], after_place: int) -> int:
        if not groups:
            return 0
        rows: list[dict[str, Any]] = []
        tokens: dict[tuple[bytes, int, int], dict[str, Any]] = {}
        for group in groups:
            for number, entry in enumerate(group.entries):
                row, values = _row(entry, group)
                rows.append({"place": group.place, "entry": number, "kind": entry.kind, **row})
                for token in (*(self.token(*value) for value in values), *entry.tokens):
                    key = (token, group.place, number)
                    tokens[key] = {"token": token, "place": group.place, "entry": number}
        with writing(self._engine) as connection:
            if not _advance(connection, after_place, groups[-1].place):
                return 0  # another thread or process has indexed these groups meanwhile
            connection.execute(insert(tables.messages), rows)
            if tokens:
                connection.execute(insert(tables.tokens), list(tokens.values()))
        return len(groups)


_INDEXED = select(tables.progress.c.value).where(tables.progress.c.name == "indexed")


def _advance(connection: Connection, before: int, after: int) -> bool:
    """Take the step from ``before`` to ``after``; False if someone else took it."""
    progress = tables.progress
    step = update(progress).where(progress.c.name == "indexed", progress.c.value == before)
    return connection.execute(step.values(value=after)).rowcount == 1


def _is_party(party: str) -> Any:
    """A member, subsystem or service, on either side."""
    table = tables.messages
    prefix = party.rstrip("/") + "/"
    return or_(
        table.c.client == party,
        table.c.service == party,
        table.c.client.startswith(prefix, autoescape=True),
        table.c.service.startswith(prefix, autoescape=True),
    )


def _row(entry: Entry, group: Group) -> tuple[dict[str, Any], Iterable[tuple[str, str]]]:
    """What is indexed of an entry; one that cannot be read does not hold up the others."""
    try:
        return _readable_row(entry)
    except (msgspec.MsgspecError, MessageMalformed, ValueError):
        return _unreadable_row(group), ()


def _readable_row(entry: Entry) -> tuple[dict[str, Any], Iterable[tuple[str, str]]]:
    if is_erased(entry.message):
        return _erased_row(entry), ()
    if entry.kind in (EntryKind.REQUEST_SENT, EntryKind.REQUEST_RECEIVED):
        request = _decode_request(entry.message)
        return _request_row(request), _values(request)
    if entry.kind is EntryKind.EVENT:
        return _event_row(_decode_event(entry.message)), ()
    return _answer_row(_decode_answer(entry.message)), ()


def _values(request: Request) -> list[tuple[str, str]]:
    values = [("subject", subject) for subject in request.subjects]
    return [*values, ("dossier", request.dossier)] if request.dossier else values


def _request_row(request: Request) -> dict[str, Any]:
    return {
        "time_ms": milliseconds(parse_time(request.time)),
        "request_id": request.request_id,
        "message_id": request.message_id,
        "client": request.client,
        "service": request.service,
        "outcome": "",
        "reason": "",
        "status": 0,
    }


def _answer_row(answer: Answer) -> dict[str, Any]:
    return {
        "time_ms": milliseconds(parse_time(answer.time)),
        "request_id": answer.request_id,
        "message_id": "",
        "client": answer.client,
        "service": answer.service,
        "outcome": answer.outcome,
        "reason": answer.reason,
        "status": answer.status,
    }


def _erased_row(entry: Entry) -> dict[str, Any]:
    fields = plain_fields(decode_erased(entry.message).lines)
    return {
        "time_ms": milliseconds(parse_time(fields["lienthong-time"])),
        "request_id": fields["x-road-request-id"],
        "message_id": fields.get("x-road-id", ""),
        "client": fields["x-road-client"],
        "service": fields["x-road-service"],
        "outcome": fields.get("lienthong-outcome", ""),
        "reason": fields.get("lienthong-reason", ""),
        "status": 0,
    }


def _event_row(event: EventRecord) -> dict[str, Any]:
    return {
        "time_ms": milliseconds(parse_time(event.time)),
        "request_id": event.subject,
        "message_id": "",
        "client": "",
        "service": "",
        "outcome": event.kind[:LONGEST_OUTCOME],
        "reason": "",
        "status": 0,
    }


def _unreadable_row(group: Group) -> dict[str, Any]:
    """``ledger verify`` says what is wrong with it."""
    texts = dict.fromkeys(("request_id", "message_id", "client", "service", "reason"), "")
    return {"time_ms": milliseconds(group.time), "outcome": "unreadable", "status": 0, **texts}


def _found(row: Any) -> Found:
    return Found(
        located=Located(row.place, row.entry),
        kind=EntryKind(row.kind),
        time=from_milliseconds(row.time_ms),
        request_id=row.request_id,
        message_id=row.message_id,
        client=row.client,
        service=row.service,
        outcome=row.outcome,
        reason=row.reason,
        status=row.status,
    )
