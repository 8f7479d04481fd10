"""Taking evidence of one exchange from a node's ledger.

content = EvidenceExporter(...).export("9f1c…")       # bytes of a bundle, JSON
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec

from lienthong.directory.mirror import DirectoryMirror
from lienthong.errors import RecordNotFound, UnknownDirectoryVersion
from lienthong.identity.identifiers import NodeId, ServiceId, SubsystemId
from lienthong.ledger.anchor_export import AnchorExporter
from lienthong.ledger.clock import Clock
from lienthong.ledger.cosignatures import parse_cosignature
from lienthong.ledger.erasure import decode_erased, is_erased, message_leaf
from lienthong.ledger.evidence import FORMAT, Bundle, Part
from lienthong.ledger.evidence_time import Anchor
from lienthong.ledger.heads import format_time, parse_head
from lienthong.ledger.messages import (
    ANSWER_COMMITMENTS,
    Answer,
    Request,
    answer_leaf,
    answer_lines,
    plain_fields,
    request_lines,
)
from lienthong.ledger.proofs import decode_proof
from lienthong.ledger.receipt_store import ReceiptStore
from lienthong.ledger.records import CommittedGroup, EntryKind, Group, Located, Proof
from lienthong.ledger.search import LedgerIndex
from lienthong.ledger.store import LedgerStore

CLOCK_TOLERANCE = timedelta(hours=1)  # a receipt is stored after the answer, by our own clock
LARGEST_BODY_IN_BUNDLE = 16 * 1024 * 1024  # bytes

ReadBodyFile = Callable[[str], bytes | None]


class _Record(msgspec.Struct, frozen=True):
    located: Located
    group: Group

    @property
    def entry(self) -> Any:
        return self.group.entries[self.located.index]


class EvidenceExporter:
    """Makes bundles."""

    def __init__(
        self,
        node: str,
        store: LedgerStore,
        index: LedgerIndex,
        receipts: ReceiptStore,
        directory: DirectoryMirror,
        clock: Clock,
        read_body_file: ReadBodyFile,
        anchors: AnchorExporter,
    ) -> None:
        self._node = node
        self._store = store
        self._index = index
        self._receipts = receipts
        self._directory = directory
        self._clock = clock
        self._read_body_file = read_body_file
        self._anchors = anchors

    def export(self, message_id: str) -> bytes:
        """A bundle of the exchange with that request id or X-Road id. Raises RecordNotFound."""
        self._index.catch_up()
        records = self._records(message_id)
        request = records.get(EntryKind.REQUEST_SENT) or records.get(EntryKind.REQUEST_RECEIVED)
        answer = records.get(EntryKind.ANSWER_RECEIVED) or records.get(EntryKind.ANSWER_SENT)
        if request is None or answer is None:
            raise RecordNotFound(name=f"{message_id} (no answer in the ledger)")
        request_part, answer_part = self._part(request), self._part(answer)
        received = self._own_proof(records.get(EntryKind.REQUEST_RECEIVED))
        acknowledged = self._acknowledgement(records, answer_part)
        proofs = [request_part.proof, answer_part.proof, received, acknowledged]
        version = max(parse_head(proof.head).directory_version for proof in proofs if proof)
        anchors = self._anchors_of(records)
        bundle = Bundle(
            format=FORMAT,
            exported_by=self._node,
            exported_at=format_time(self._clock.now()),
            directory=self._directory_proof(request_part, answer_part, version, anchors),
            request=request_part,
            answer=answer_part,
            received=received,
            acknowledged=acknowledged,
            request_body=self._body(request),
            answer_body=self._body(answer),
            anchors=anchors,
        )
        return msgspec.json.format(msgspec.json.encode(bundle), indent=1) + b"\n"

    def _records(self, message_id: str) -> dict[EntryKind, _Record]:
        """The records of the exchange; of several answers the first that is not in doubt."""
        records: dict[EntryKind, _Record] = {}
        for found in self._index.exchange(message_id):
            if found.kind not in records or found.outcome != "in-doubt":
                group = self._store.group(found.located.place)
                records[found.kind] = _Record(found.located, group)
        return records

    def _part(self, record: _Record) -> Part:
        entry = record.entry
        own = entry.kind in (EntryKind.REQUEST_SENT, EntryKind.ANSWER_SENT)
        proof = self._proof(record) if own else decode_proof(entry.proof)
        if is_erased(entry.message):
            return Part(proof=proof, erased=decode_erased(entry.message))
        if entry.kind in (EntryKind.REQUEST_SENT, EntryKind.REQUEST_RECEIVED):
            return Part(proof=proof, request=msgspec.json.decode(entry.message, type=Request))
        return Part(proof=proof, answer=msgspec.json.decode(entry.message, type=Answer))

    def _own_proof(self, record: _Record | None) -> Proof | None:
        return None if record is None else self._proof(record)

    def _proof(self, record: _Record) -> Proof:
        committed = CommittedGroup.stored(record.group, self._store.subtree)
        return decode_proof(committed.proof_json(record.located.index))

    def _acknowledgement(self, records: dict[EntryKind, _Record], answer: Part) -> Proof | None:
        received = records.get(EntryKind.ANSWER_RECEIVED)
        if received is not None:
            return self._proof(received)
        leaf = answer_leaf(answer.answer) if answer.answer is not None else None
        if leaf is None and answer.erased is not None:
            leaf = message_leaf(answer.erased, ANSWER_COMMITMENTS)
        proof = (
            None
            if leaf is None
            else self._receipts.find(
                leaf, since=parse_head(answer.proof.head).time - CLOCK_TOLERANCE
            )
        )
        return None if proof is None else decode_proof(proof)

    def _anchors_of(self, records: dict[EntryKind, _Record]) -> tuple[Anchor, ...]:
        """Anchors of the answer in our own tree: they cover the whole exchange."""
        received = records.get(EntryKind.ANSWER_RECEIVED)
        if received is not None:
            return self._anchors.of("acknowledged", received.located.place)
        return self._anchors.of("answer", records[EntryKind.ANSWER_SENT].located.place)

    def _body(self, record: _Record) -> bytes | None:
        entry = record.entry
        body = (
            self._read_body_file(entry.body_file)
            if entry.body_file
            else record.group.bodies.get(record.located.index)
        )
        if body is None and not is_erased(entry.message) and _body_bytes(entry.message) == 0:
            return b""
        return None if body is None or len(body) > LARGEST_BODY_IN_BUNDLE else body

    def _directory_proof(
        self, request: Part, answer: Part, version: int, anchors: tuple[Anchor, ...]
    ) -> dict[str, Any]:
        """What the directory said of all concerned, as of ``version``.

        With anchors as of now: they are later than the record, and so may be their keys.
        """
        fields = [_fields(request), _fields(answer)]
        client = SubsystemId(*fields[0]["x-road-client"].split("/"))
        service = ServiceId(*fields[0]["x-road-service"].split("/"))
        nodes = {each["lienthong-sender"] for each in fields}
        nodes |= {parse_cosignature(line).node for each in anchors for line in each.cosignatures}
        owners = {str(NodeId(*node.split("/")).owner) for node in nodes}
        members = owners | {str(client.member), str(service.provider.member)}
        if anchors:
            return self._directory.proof(sorted(members), sorted(nodes), time_authorities=True)
        try:
            return self._directory.proof(sorted(members), sorted(nodes), version)
        except UnknownDirectoryVersion:  # we missed it; ours still has all keys, dated
            return self._directory.proof(sorted(members), sorted(nodes))


def _fields(part: Part) -> dict[str, str]:
    if part.request is not None:
        return plain_fields(request_lines(part.request))
    if part.answer is not None:
        return plain_fields(answer_lines(part.answer))
    assert part.erased is not None
    return plain_fields(part.erased.lines)


class _BodySize(msgspec.Struct):
    body_bytes: int


def _body_bytes(message: bytes) -> int:
    return msgspec.json.decode(message, type=_BodySize).body_bytes
