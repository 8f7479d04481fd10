"""The console's way to its node: the management socket in the node's state folder.

Blocking; from any thread. Raises NodeNotLinked, and what ``admin_client.call`` raises.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lienthong.errors import NodeNotLinked
from lienthong.node.admin_client import call
from lienthong.node.state import Identity, StateFolder

SUMMARY_SECONDS = 30.0  # a summary of the last day is made again after this time
SUMMARY_RECORDS = 10_000  # asked for at once
SUMMARY_CALLS = 20  # and so often at most: a busier node's day is summed up from its newest part


@dataclass(frozen=True, slots=True)
class Exchange:
    """The records of one question and its answer, as this node's ledger has them."""

    request_id: str
    message_id: str
    client: str
    service: str
    time: str
    outcome: str
    reason: str
    status: int
    records: tuple[Mapping[str, Any], ...]


class NodeDesk:
    """What the console asks of one node."""

    def __init__(self, state: Path | None, summary_records: int = SUMMARY_RECORDS) -> None:
        self._state = state
        self._summary_records = summary_records
        self._summary: tuple[float, list[Exchange]] | None = None
        self._one = threading.Lock()

    @property
    def linked(self) -> bool:
        return self._state is not None

    @property
    def folder(self) -> StateFolder:
        """Raises NodeNotLinked."""
        if self._state is None:
            raise NodeNotLinked()
        return StateFolder(self._state)

    def identity(self) -> Identity:
        return self.folder.read_identity()

    def status(self) -> dict[str, Any]:
        return dict(self._call("GET", "/status"))

    def services(self) -> list[dict[str, Any]]:
        return list(self._call("GET", "/services"))

    def agreements(self) -> list[dict[str, Any]]:
        """Newest step first."""
        found = list(self._call("GET", "/agreements")["agreements"])
        return sorted(found, key=_last_step, reverse=True)

    def agreement(self, agreement_id: str) -> dict[str, Any]:
        return dict(self._call("GET", f"/agreements/{quote(agreement_id, safe='')}"))

    def propose(self, terms: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self._call("POST", "/agreements", dict(terms)))

    def step(self, agreement_id: str, verb: str, reason: str = "") -> dict[str, Any]:
        """``accept``, ``refuse`` or ``withdraw``."""
        body = {"reason": reason} if verb != "accept" else None
        path = f"/agreements/{quote(agreement_id, safe='')}/{verb}"
        return dict(self._call("POST", path, body))

    def names(self, identifiers: Sequence[str]) -> dict[str, str]:
        """What the directory calls members and their systems."""
        return dict(self._call("POST", "/directory/names", {"ids": list(identifiers)}))

    def publish(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Have the node sign a contract for its owner and bring it to the catalogue."""
        return dict(self._call("POST", "/catalogue/publish", dict(body)))

    def exchanges(self, limit: int = 400, **conditions: Any) -> list[Exchange]:
        """Exchanges by the ledger's search, newest first; ``limit`` counts records."""
        wanted = {name: value for name, value in conditions.items() if value}
        return together(self._call("POST", "/ledger/search", {**wanted, "limit": limit}))

    def last_day(self) -> list[Exchange]:
        """The exchanges of the last 24 hours, at most the newest two hundred thousand records."""
        with self._one:
            if self._summary is None or time.monotonic() - self._summary[0] > SUMMARY_SECONDS:
                since = datetime.now(UTC) - timedelta(hours=24)
                self._summary = (time.monotonic(), together(self._records_since(since)))
            return self._summary[1]

    def _records_since(self, since: datetime) -> list[Mapping[str, Any]]:
        """All records, newest first, in as many calls as it takes; each record once."""
        wanted: dict[str, Any] = {"since": since.isoformat(), "limit": self._summary_records}
        found: dict[tuple[int, ...], Mapping[str, Any]] = {}
        for _ in range(SUMMARY_CALLS):
            records = self._call("POST", "/ledger/search", wanted)
            before = len(found)
            found |= {tuple(each["place"].values()): each for each in records}
            if len(records) < self._summary_records or len(found) == before:
                break
            oldest = min(datetime.fromisoformat(each["time"]) for each in records)
            # The end does not count itself: records of the same moment are asked for again.
            wanted["until"] = (oldest + timedelta(milliseconds=1)).isoformat()
        return list(found.values())

    def trace(self, request_id: str) -> dict[str, Any]:
        """The path of a message through both nodes."""
        return dict(self._call("POST", "/trace", {"id": request_id}))

    def evidence(self, request_id: str) -> bytes:
        return bytes(self._call("GET", f"/evidence/{quote(request_id, safe='')}"))

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        if self._state is None:
            raise NodeNotLinked()
        return call(self._state, method, path, body)


def together(records: list[Mapping[str, Any]]) -> list[Exchange]:
    """Put the records of each exchange together, in the order of their newest record."""
    by_request: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        if record["kind"] != "event" and record["request_id"]:
            by_request.setdefault(record["request_id"], []).append(record)
    return [_exchange(name, each) for name, each in by_request.items()]


def _exchange(request_id: str, records: list[Mapping[str, Any]]) -> Exchange:
    ordered = sorted(records, key=lambda record: str(record["time"]))
    answered = [record for record in ordered if record["outcome"]]
    last = answered[-1] if answered else ordered[-1]
    named = [str(record["message_id"]) for record in ordered if record["message_id"]]
    return Exchange(
        request_id=request_id,
        message_id=named[0] if named else "",
        client=str(ordered[0]["client"]),
        service=str(ordered[0]["service"]),
        time=str(ordered[0]["time"]),
        outcome=str(last["outcome"]),
        reason=str(last["reason"]),
        status=int(last["status"]),
        records=tuple(ordered),
    )


def _last_step(agreement: Mapping[str, Any]) -> str:
    return max((str(each["time"]) for each in agreement["statements"]), default="")
