"""Keys, messages and trees of the golden vectors: everything in them is fixed."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519

from lienthong.identity.keys import PrivateKey
from lienthong.ledger.heads import Head, sign_head
from lienthong.ledger.merkle import Frontier, build_levels, leaf_hash
from lienthong.ledger.messages import (
    ANSWER_COMMITMENTS,
    REQUEST_COMMITMENTS,
    Answer,
    Request,
    request_leaf,
)
from lienthong.ledger.records import CommittedGroup

CONSUMER, PROVIDER = "VN-TEST/GOV/H37/n1", "VN-TEST/GOV/G01/n1"
CLIENT, SERVICE = "VN-TEST/GOV/H37/motcua", "VN-TEST/GOV/G01/dancu/cong-dan"
TIME = datetime(2026, 6, 1, 8, 0, 0, 123000, tzinfo=UTC)
TIME_TEXT = "2026-06-01T08:00:00.123Z"
QUESTION = b'{"keys":["001090000001"],"fields":["ho_ten","noi_thuong_tru"]}'
REPLY = '{"records":[{"key":"001090000001","ho_ten":"Nguyễn Văn An"}]}'.encode()


def fixed_key(name: str) -> PrivateKey:
    """An Ed25519 key made of a name; for vectors only."""
    return PrivateKey(ed25519.Ed25519PrivateKey.from_private_bytes(seed(name)))


def seed(name: str) -> bytes:
    """Thirty-two bytes made of a name."""
    return sha256(f"lienthong vectors: {name}".encode()).digest()


def fixed_salts(name: str, count: int) -> bytes:
    return b"".join(sha256(f"salt {name} {i}".encode()).digest()[:16] for i in range(count))


def sample_request(**changes: Any) -> Request:
    values: dict[str, Any] = {
        "version": 1,
        "request_id": "0f8b5a52-5a7b-4d2e-9c63-6a3e1f0d7c11",
        "message_id": "don-2026-000123",
        "client": CLIENT,
        "service": SERVICE,
        "sender": CONSUMER,
        "receiver": PROVIDER,
        "represented_party": "",
        "purpose": "1.004222",
        "time": TIME_TEXT,
        "method": "POST",
        "path": "/records:lookup",
        "query": "",
        "user": "VN37001",
        "dossier": "H37.12-260601-0042",
        "subjects": ("001090000001",),
        "headers": (("content-type", "application/json"), ("accept", "application/json")),
        "body": sha256(QUESTION).digest(),
        "body_bytes": len(QUESTION),
        "salts": fixed_salts("request", len(REQUEST_COMMITMENTS)),
    }
    return Request(**{**values, **changes})


def sample_answer(request: Request, **changes: Any) -> Answer:
    values: dict[str, Any] = {
        "version": 1,
        "request_id": request.request_id,
        "request_leaf": request_leaf(request),
        "client": request.client,
        "service": request.service,
        "sender": request.receiver,
        "receiver": request.sender,
        "agreement": "3d7003f8-d233-4a4b-94dd-eb0fabb224db",
        "purpose": "1.004222",
        "reason": "agreements.granted",
        "outcome": "answered",
        "time": TIME_TEXT,
        "status": 200,
        "headers": (("content-type", "application/json; charset=utf-8"),),
        "body": sha256(REPLY).digest(),
        "body_bytes": len(REPLY),
        "salts": fixed_salts("answer", len(ANSWER_COMMITMENTS)),
    }
    return Answer(**{**values, **changes})


class Tree:
    """A node's tree that grows group by group with fixed times."""

    def __init__(self, node: str, key: PrivateKey, directory: int = 1) -> None:
        self.node, self.key, self.directory = node, key, directory
        self.frontier = Frontier()
        self.roots: list[bytes] = []
        self._closed: dict[tuple[int, int], bytes] = {}

    def commit(self, leaves: list[bytes]) -> CommittedGroup:
        levels = build_levels(leaves)
        path, closed = self.frontier.append(leaf_hash(levels[-1][0]))
        for level, value in enumerate(closed):
            self._closed[level, (self.frontier.size >> level) - 1] = value
        self.roots.append(self.frontier.root())
        size, root, key_id = self.frontier.size, self.frontier.root(), self.key.public.key_id
        head = Head(self.node, 0, size, root, TIME, self.directory, key_id)
        return CommittedGroup(levels, path, sign_head(head, self.key))

    def subtree(self, level: int, index: int) -> bytes:
        return self._closed[level, index]
