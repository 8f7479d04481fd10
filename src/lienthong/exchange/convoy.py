"""Messages that travel together: several exchanges between two nodes in one of HTTP.

    POST /lienthong/1/messages
    content-type: application/vnd.lienthong.messages

    0 812 1530 27⏎  the first message's JSON, its proof's JSON, its body
    1 797 1530 0⏎   the second …

The numbers are the message's place in the convoy, and the lengths of its three parts in bytes.
Answers come back in one response as each is ready, in any order, as ``place status lengths``;
where the status is not 200 the body is an unsigned fault and the other two parts are empty.
Each message is otherwise what it would be alone. Specification: docs/protocols/0001-message.md §2.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from lienthong.errors import MessageMalformed, ResponseMalformed, TransportError
from lienthong.exchange import wire
from lienthong.ledger.proofs import LARGEST_PROOF
from lienthong.transport.messages import Body, Connection, Headers, Request, Response
from lienthong.transport.spool import Intake, Unfinished

CONTENT_TYPE = "application/vnd.lienthong.messages"
MOST_MESSAGES = 128
LARGEST_BODY = 65_536  # bytes; a message with a larger one travels alone
LARGEST_CONVOY = 1_048_576  # bytes; a first message is taken whatever its size
LARGEST_MESSAGE_AND_BODY = wire.LARGEST_MESSAGE + LARGEST_PROOF + LARGEST_BODY
LARGEST_IN_MEMORY = 262_144  # bytes of an answer's body; larger ones go to a file as they come
_LONGEST_LINE = 64
_REQUEST_LINE = re.compile(rb"(\d{1,3}) (\d{1,6}) (\d{1,5}) (\d{1,7})")
_ANSWER_LINE = re.compile(rb"(\d{1,3}) ([1-5]\d\d) (\d{1,6}) (\d{1,5}) (\d{1,12})")
_JSON: Headers = [("content-type", "application/json; charset=utf-8")]

Deliver = Callable[[int, Response | TransportError], None]


def request_frame(place: int, request: Request) -> bytes:
    """One message as part of a convoy; its body must be in memory."""
    message, proof = _parts(request)
    body = request.body.read()
    line = f"{place} {len(message)} {len(proof)} {len(body)}\n{message}{proof}"
    return line.encode("ascii") + body


def answer_frame(place: int, response: Response) -> tuple[bytes, Body | None]:
    """One answer as part of a convoy; a body in a file is to be sent behind the bytes."""
    message, proof = _parts(response) if response.status == 200 else ("", "")
    body = response.body
    line = f"{place} {response.status} {len(message)} {len(proof)} {body.size}\n{message}{proof}"
    head = line.encode("ascii")
    return (head + body.read(), None) if body.path is None else (head, body)


def read_requests(
    content: bytes, connection: Connection, target: str = wire.MESSAGE_PATH
) -> list[Request]:
    """Take a convoy apart into messages as if each had come alone to ``target``; nothing is
    verified but its form. Raises MessageMalformed."""
    requests: list[Request] = []
    position = 0
    while position < len(content):
        line_end = content.find(b"\n", position, position + _LONGEST_LINE)
        found = _REQUEST_LINE.fullmatch(content, position, max(line_end, position))
        if found is None or len(requests) == MOST_MESSAGES:
            raise MessageMalformed(reason="convoy")
        place, *sizes = map(int, found.groups())
        _check_sizes(sizes[0], sizes[1])
        message_end = line_end + 1 + sizes[0]
        proof_end = message_end + sizes[1]
        position = proof_end + sizes[2]
        if place != len(requests) or position > len(content):
            raise MessageMalformed(reason="convoy")
        headers = _headers(content[line_end + 1 : message_end], content[message_end:proof_end])
        body = Body.of(content[proof_end:position])
        requests.append(Request("POST", target, headers, body, connection))
    return requests


def _parts(carrier: Request | Response) -> tuple[str, str]:
    return carrier.header(wire.MESSAGE_HEADER) or "", carrier.header(wire.PROOF_HEADER) or ""


def _headers(message: bytes, proof: bytes) -> Headers:
    try:
        return [
            (wire.MESSAGE_HEADER, message.decode("ascii")),
            (wire.PROOF_HEADER, proof.decode("ascii")),
        ]
    except UnicodeDecodeError as error:
        raise MessageMalformed(reason="a message in a convoy is not ASCII") from error


def _check_sizes(message: int, proof: int) -> None:
    if message > wire.LARGEST_MESSAGE or proof > LARGEST_PROOF:
        raise MessageMalformed(reason="a message in a convoy is too long")


class _Large:
    """An answer whose body is being written to a file."""

    def __init__(self, place: int, headers: Headers, size: int, intake: Intake) -> None:
        self.place = place
        self.headers = headers
        self.missing = size
        self.intake = intake


class AnswerReader:
    """Takes the response to a convoy as it arrives; hands each answer over when it is whole.

    ``deliver(place, response)`` is called once an answer, with an error when its body could not
    be written. Memory holds one answer of at most ``LARGEST_IN_MEMORY``; larger bodies go to
    files in ``folder``.
    """

    def __init__(
        self, count: int, deliver: Deliver, folder: Path | None, largest_body: int
    ) -> None:
        self._outstanding = set(range(count))
        self._deliver = deliver
        self._folder = folder
        self._largest_body = largest_body
        self._buffer = b""
        self._large: _Large | None = None
        self._finishing: set[asyncio.Task[None]] = set()
        self.connection: Connection | None = None

    def feed(self, data: bytes) -> asyncio.Future[None] | None:
        """Take what came; a future means: give no more before it is done.

        Raises ResponseMalformed.
        """
        buffer = self._buffer + data if self._buffer else data
        position = 0
        while position < len(buffer):
            if self._large is not None:
                position, pause = self._feed_large(self._large, buffer, position)
                if pause is not None:
                    self._buffer = buffer[position:]
                    return pause
                continue
            end = self._take_frame(buffer, position)
            if end == position:
                break
            position = end
        self._buffer = buffer[position:]
        return None

    async def finish(self) -> None:
        """Wait for the files of large bodies; to be called after the last ``feed``."""
        while (pause := self.feed(b"")) is not None:
            await pause
        if self._finishing:
            await asyncio.gather(*self._finishing)

    def abandon(self) -> None:
        """The response broke off: delete what was begun."""
        if self._large is not None:
            self._large.intake.abandon()
            self._large = None

    def _take_frame(self, buffer: bytes, start: int) -> int:
        """Take the frame that begins at ``start`` if it is whole; returns where it ends."""
        line_end = buffer.find(b"\n", start, start + _LONGEST_LINE)
        if line_end < 0 and len(buffer) - start < _LONGEST_LINE:
            return start
        found = _ANSWER_LINE.fullmatch(buffer, start, max(line_end, start))
        if found is None:
            raise self._malformed("frame")
        place, status, message, proof, body = map(int, found.groups())
        if place not in self._outstanding or body > self._largest_body:
            raise self._malformed("place or length")
        message_end = line_end + 1 + message
        proof_end = message_end + proof
        end = proof_end + body
        if len(buffer) < (end if body <= LARGEST_IN_MEMORY else proof_end):
            return start
        headers = _JSON
        if status == 200:
            headers = self._read_headers(
                buffer[line_end + 1 : message_end], buffer[message_end:proof_end]
            )
        self._outstanding.discard(place)
        if body <= LARGEST_IN_MEMORY:
            content = Body.of(buffer[proof_end:end])
            self._deliver(place, Response(status, headers, content, "", self.connection))
            return end
        if status != 200:
            raise self._malformed("a fault of too many bytes")
        intake = Intake(self._folder, LARGEST_IN_MEMORY)
        self._large = _Large(place, headers, body, intake)
        return proof_end

    def _read_headers(self, message: bytes, proof: bytes) -> Headers:
        try:
            _check_sizes(len(message), len(proof))
            return _headers(message, proof)
        except MessageMalformed as error:
            raise self._malformed(str(error)) from error

    def _feed_large(
        self, large: _Large, buffer: bytes, start: int
    ) -> tuple[int, asyncio.Future[None] | None]:
        piece = buffer[start : start + large.missing]
        large.missing -= len(piece)
        large.intake.chunks.append(piece)
        end = start + len(piece)
        if large.missing == 0:
            self._large = None
            task = asyncio.get_running_loop().create_task(self._deliver_large(large))
            self._finishing.add(task)
            task.add_done_callback(self._finishing.discard)
            return end, None
        pause: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def written(_: asyncio.Future[None]) -> None:  # a failure shows when the body is taken
            if not pause.done():
                pause.set_result(None)

        return end, pause if large.intake.spill(written) else None

    async def _deliver_large(self, large: _Large) -> None:
        taken = large.intake.take()
        try:
            body = await taken.finish() if isinstance(taken, Unfinished) else taken
        except TransportError as error:  # the disk is full
            self._deliver(large.place, error)
            return
        self._deliver(large.place, Response(200, large.headers, body, "", self.connection))

    def _malformed(self, reason: str) -> TransportError:
        address = self.connection.peer_address if self.connection else ""
        return ResponseMalformed(address=address, reason=f"convoy: {reason}")


def departures(requests: Sequence[Request]) -> list[list[int]]:
    """Which requests travel together: at most so many, and so many bytes, in one convoy."""
    convoys: list[list[int]] = []
    size = LARGEST_CONVOY
    for index, request in enumerate(requests):
        bytes_needed = request.body.size + sum(map(len, _parts(request))) + _LONGEST_LINE
        size += bytes_needed
        if size > LARGEST_CONVOY or len(convoys[-1]) == MOST_MESSAGES:
            convoys.append([])
            size = bytes_needed
        convoys[-1].append(index)
    return convoys
