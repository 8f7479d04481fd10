"""Following an id over both nodes: this node's lines, and the other's, asked over the peer edge.

POST /lienthong/1/trace   {"ids": ["3f2b8c1a-…"]}  →  {"node": "…", "lines": [{…}]}

Specification: docs/protocols/0001-message.md §9. A node shows another only lines of messages
that it was party to, and of those only fields that say nothing of persons.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

from lienthong.errors import LienthongError, MessageMalformed, TooManyTraces
from lienthong.exchange import wire
from lienthong.exchange.asking import ask_node
from lienthong.exchange.core import Core
from lienthong.identity.certificates import fingerprint, read_chain
from lienthong.node.trace import (
    LONGEST_ID,
    MOST_IDS,
    MOST_LINES,
    SHOWN_FIELDS,
    Line,
    Peer,
    Tracer,
    ids_of,
    in_order,
    others_of,
)
from lienthong.transport.messages import Request, Response, json_response

TRACE_PATH = f"{wire.BASE_PATH}/trace"
TIMEOUT_SECONDS = 10.0
LARGEST_TRACE = 262_144  # bytes of JSON
BURST = 20  # traces of one node at once …
PER_SECOND = 0.5  # … and on the long run: each reads the whole log
MOST_PEERS = 8  # asked for one id
MOST_PEERS_COUNTED = 10_000


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one node asks another."""

    ids: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_ID)], ...],
        msgspec.Meta(min_length=1, max_length=MOST_IDS),
    ]


class Told(msgspec.Struct, frozen=True):
    """What it is told."""

    node: str
    lines: Annotated[tuple[dict[str, Any], ...], msgspec.Meta(max_length=MOST_LINES)]


class TraceExchange:
    """Asks other nodes and answers them."""

    def __init__(self, core: Core, tracer: Tracer) -> None:
        self._core = core
        self._tracer = tracer
        self._rates = Rates(BURST, PER_SECOND)
        self._turn = asyncio.Semaphore(1)  # one search at a time on behalf of others

    async def answer(self, peer: str, request: Request) -> Response:
        """Tell another node what it was party to. Raises TooManyTraces, MessageMalformed."""
        self._rates.take(peer, time.monotonic())
        if request.body.size > LARGEST_TRACE:
            raise MessageMalformed(reason="a trace of too many bytes")
        asked = _decoded(request.body.read(), Asked)
        who = Peer(peer, self._certificates(peer))
        async with self._turn:
            lines = await asyncio.to_thread(self._tracer.trace, asked.ids, who)
        return json_response(200, {"node": self._core.node, "lines": lines})

    async def follow(self, identifier: str) -> dict[str, Any]:
        """Everything that this node and its partner say of an id.

        ``asked`` has a line for each other node that took part: ``answered``, or why not.
        """
        lines = await asyncio.to_thread(self._tracer.trace, (identifier,))
        ids = {identifier} | {each for line in lines for each in ids_of(line)}
        asked: dict[str, str] = {}
        for node in others_of(lines, self._core.node)[:MOST_PEERS]:
            told, asked[node] = await self._ask(node, ids)
            lines += told
            new = {each for line in told for each in ids_of(line)} - ids
            if new:
                ids |= new
                more = await asyncio.to_thread(self._tracer.trace, tuple(sorted(new)[:MOST_IDS]))
                lines += [line for line in more if line not in lines]
        return {"id": identifier, "ids": sorted(ids), "asked": asked, "lines": in_order(lines)}

    async def _ask(self, node: str, ids: Iterable[str]) -> tuple[list[Line], str]:
        core = self._core
        content = msgspec.json.encode(Asked(tuple(sorted(ids)[:MOST_IDS])))
        try:
            response = await ask_node(
                core, node, "POST", TRACE_PATH, content, timeout_seconds=TIMEOUT_SECONDS
            )
            if response.status != 200:
                return [], f"HTTP {response.status}"
            if response.body.size > LARGEST_TRACE:
                return [], "too many bytes"
            told = _decoded(response.body.read(), Told)
        except LienthongError as error:
            return [], str(error)
        return [_taken(line, node) for line in told.lines], "answered"

    def _certificates(self, peer: str) -> frozenset[str]:
        """What the directory lists for a node: its refused connections were the peer's own."""
        pems = self._core.directory.view.node(peer).certificates
        return frozenset(fingerprint(read_chain(pem)[0]) for pem in pems)


class Rates:
    """A bucket of tokens for each other node."""

    def __init__(self, burst: int, per_second: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, node: str, now: float) -> None:
        """Raises TooManyTraces."""
        left, since = self._buckets.pop(node, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._per_second)
        self._buckets[node] = (max(left - 1, 0.0) if left >= 1 else left, now)
        if len(self._buckets) > MOST_PEERS_COUNTED:
            self._buckets.popitem(last=False)
        if left < 1:
            raise TooManyTraces(node=node)


def _taken(line: dict[str, Any], node: str) -> Line:
    """A line of another node: only the fields that we know, and its own name on it."""
    kept = {name: line[name] for name in SHOWN_FIELDS & set(line) if _is_plain(line[name])}
    return {**kept, "node": node}


def _is_plain(value: object) -> bool:
    return isinstance(value, int) or (
        isinstance(value, str) and len(value) <= LONGEST_ID and value.isprintable()
    )


def _decoded(content: bytes, form: Any) -> Any:
    try:
        return msgspec.json.decode(content, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageMalformed(reason="trace") from error
