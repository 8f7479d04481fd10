"""Bringing messages to other nodes: one by itself, or those that leave at the same moment together.

    carrier = Carrier(pool, spool_folder, largest_body)
    response = await carrier.send(address, request, timeout_seconds=65)

The ledger hands over many messages at once, when their group is on disk. What goes to the same
node then goes in one HTTP exchange (a convoy): the cost of HTTP and TLS is paid once. Nobody
waits for company, and each answer comes back as soon as it is there.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import NamedTuple, Protocol

from lienthong.errors import LienthongError, PeerClosed, TransportError
from lienthong.exchange.convoy import (
    CONTENT_TYPE,
    LARGEST_BODY,
    AnswerReader,
    departures,
    request_frame,
)
from lienthong.transport.client import Address, Transport
from lienthong.transport.messages import Body, Request, Response, Sink

# A node of an older version knows no convoys; it may be a newer one after this time.
ASK_AGAIN_SECONDS = 600.0


_Destination = tuple[Address, str]  # a node, and the path of a version of the protocol


class Pool(Transport, Protocol):
    """A transport that can hand over a response while it comes in."""

    async def stream(
        self, address: Address, request: Request, sink: Sink, *, timeout_seconds: float
    ) -> Response: ...


class _Passenger(NamedTuple):
    request: Request
    answer: asyncio.Future[Response]
    timeout_seconds: float


class Carrier:
    """The ``Transport`` of messages. Event loop only."""

    def __init__(self, pool: Pool, spool_folder: Path | None, largest_body: int) -> None:
        self._pool = pool
        self._spool_folder = spool_folder
        self._largest_body = largest_body
        self._waiting: dict[_Destination, list[_Passenger]] = {}
        self._one_by_one: dict[Address, float] = {}  # until when
        self._travels: set[asyncio.Task[None]] = set()

    async def send(self, address: Address, request: Request, *, timeout_seconds: float) -> Response:
        """Bring a message; what comes back is what it would be alone. Raises TransportError."""
        if request.body.size > LARGEST_BODY or request.body.path is not None:
            return await self._pool.send(address, request, timeout_seconds=timeout_seconds)
        loop = asyncio.get_running_loop()
        destination = address, request.target
        waiting = self._waiting.get(destination)
        if waiting is None:
            waiting = self._waiting[destination] = []
            loop.call_soon(self._depart, destination)
        passenger = _Passenger(request, loop.create_future(), timeout_seconds)
        waiting.append(passenger)
        return await passenger.answer

    def _depart(self, destination: _Destination) -> None:
        waiting = self._waiting.pop(destination)
        address = destination[0]
        if self._one_by_one.get(address, 0.0) > time.monotonic():
            convoys = [[index] for index in range(len(waiting))]
        else:
            convoys = departures([passenger.request for passenger in waiting])
        for members in convoys:
            passengers = [waiting[index] for index in members]
            self._start(address, passengers)

    def _start(self, address: Address, passengers: list[_Passenger]) -> None:
        if len(passengers) == 1:
            travel = self._travel_alone(address, passengers[0])
        else:
            travel = self._travel(address, passengers)
        task = asyncio.get_running_loop().create_task(travel)
        self._travels.add(task)
        task.add_done_callback(self._travels.discard)

    async def _travel_alone(self, address: Address, passenger: _Passenger) -> None:
        try:
            response = await self._pool.send(
                address, passenger.request, timeout_seconds=passenger.timeout_seconds
            )
        except Exception as error:
            _fail([passenger], error)
        else:
            _arrive(passenger, response)

    async def _travel(self, address: Address, passengers: list[_Passenger]) -> None:
        content = b"".join([request_frame(i, each.request) for i, each in enumerate(passengers)])
        path = f"{passengers[0].request.target}s"  # of the version that they all are of
        request = Request("POST", path, [("content-type", CONTENT_TYPE)], Body.of(content))
        reader = AnswerReader(
            len(passengers),
            lambda place, answer: _arrive(passengers[place], answer),
            self._spool_folder,
            self._largest_body,
        )
        timeout_seconds = max([each.timeout_seconds for each in passengers])
        try:
            response = await self._pool.stream(
                address, request, reader, timeout_seconds=timeout_seconds
            )
            if response.status == 200:
                await reader.finish()
                raise PeerClosed(address=address)  # whoever has no answer by now gets none
        except Exception as error:
            reader.abandon()
            _fail(passengers, error)
            return
        if response.status == 404:  # nothing of it was looked at: the path is not known there
            self._one_by_one[address] = time.monotonic() + ASK_AGAIN_SECONDS
            for passenger in passengers:
                self._start(address, [passenger])
            return
        for passenger in passengers:
            _arrive(passenger, response)


def _arrive(passenger: _Passenger, answer: Response | TransportError) -> None:
    if isinstance(answer, TransportError):
        _fail([passenger], answer)
    elif not passenger.answer.done():
        passenger.answer.set_result(answer)
    else:
        answer.body.discard()


def _fail(passengers: list[_Passenger], error: Exception) -> None:
    """Each gets an error of its own: a traceback grows where it is raised."""
    for passenger in passengers:
        if not passenger.answer.done():
            each = type(error)(**error.facts) if isinstance(error, LienthongError) else error
            each.__cause__ = error.__cause__
            passenger.answer.set_exception(each)
