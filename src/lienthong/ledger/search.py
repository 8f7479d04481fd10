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
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Engine, delete, insert, or_, select

from lienthong.errors import RecordNotFound
from lienthong.ledger import tables
from lienthong.ledger.erasure import decode_erased, is_erased
from lienthong.ledger.heads import parse_time
from lienthong.ledger.messages import Answer, EventRecord, Request, plain_fields
from lienthong.ledger.records import Entry, EntryKind, Group, Located
from lienthong.ledger.store import LedgerStore, from_milliseconds, milliseconds

TOKEN_BYTES = 16
GROUPS_PER_STEP = 200

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

    def token(self, kind: str, value: str) -> bytes:
        """Keyed hash under which a ``dossier`` or ``subject`` is found."""
        return hmac.digest(self._key, f"{kind}\0{value}".encode(), "sha256")[:TOKEN_BYTES]

    def catch_up(self) -> int:
        """Index the groups that are new since the last call; returns how many there were."""
        done = 0
        pending: list[Group] = []
        for group in self._store.groups(after_place=self._indexed_place()):
            pending.append(group)
            if len(pending) == GROUPS_PER_STEP:
                done += self._index(pending)
                pending = []
        return done + self._index(pending)

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
        with self._engine.connect() as connection:
            return [_found(row) for row in connection.execute(query)]

    def exchange(self, request_id: str) -> list[Found]:
        """All records of one exchange, by its request id or the client's message id.

        Raises RecordNotFound.
        """
        found = self.search(message=request_id, limit=1000)
        if not found:
            raise RecordNotFound(name=request_id)
        newest = found[0].request_id
        return [record for record in found if record.request_id == newest]

    def forget(self, records: Iterable[Found]) -> None:
        """Drop the keyed hashes under which erased records were found."""
        with self._engine.begin() as connection:
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
        with self._engine.connect() as connection:
            value = connection.scalar(
                select(tables.progress.c.value).where(tables.progress.c.name == "indexed")
            )
        return -1 if value is None else int(value)

    def _index(self, groups: list[Group]) -> int:
        if not groups:
            return 0
        rows: list[dict[str, Any]] = []
        tokens: dict[tuple[bytes, int, int], dict[str, Any]] = {}
        for group in groups:
            for number, entry in enumerate(group.entries):
                row, values = _row(entry)
                rows.append({"place": group.place, "entry": number, "kind": entry.kind, **row})
                for kind, value in values:
                    token = self.token(kind, value)
                    key = (token, group.place, number)
                    tokens[key] = {"token": token, "place": group.place, "entry": number}
        with self._engine.begin() as connection:
            connection.execute(insert(tables.messages), rows)
            if tokens:
                connection.execute(insert(tables.tokens), list(tokens.values()))
            connection.execute(delete(tables.progress).where(tables.progress.c.name == "indexed"))
            connection.execute(
                insert(tables.progress).values(name="indexed", value=groups[-1].place)
            )
        return len(groups)


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


def _row(entry: Entry) -> tuple[dict[str, Any], Iterable[tuple[str, str]]]:
    if is_erased(entry.message):
        return _erased_row(entry), ()
    if entry.kind in (EntryKind.REQUEST_SENT, EntryKind.REQUEST_RECEIVED):
        request = _decode_request(entry.message)
        values = [("subject", subject) for subject in request.subjects]
        if request.dossier:
            values.append(("dossier", request.dossier))
        return _request_row(request), values
    if entry.kind is EntryKind.EVENT:
        return _event_row(_decode_event(entry.message)), ()
    return _answer_row(_decode_answer(entry.message)), ()


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
        "outcome": event.kind,
        "reason": "",
        "status": 0,
    }


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
