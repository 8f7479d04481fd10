"""What a message says, as it is logged and signed: two structs and the leaves made of them.

    leaf = request_leaf(request)             # 32 bytes, the only thing a neighbour ever sees
    received = received_leaf(leaf)           # what the provider logs before it asks its source
    answered = answer_leaf(answer)           # what the provider logs before it answers
    acknowledged = acknowledged_leaf(answered)   # what the consumer logs before it hands over

A leaf is SHA-256(0x00 ‖ plain lines ‖ commitments). The plain lines name the parties; each
commitment is SHA-256(salt ‖ lines) over one kind of content, in RFC 9421 §2.5 lines, so that
a user's name or a body can be erased later together with its salt while the tree stays whole.
Specification: docs/protocols/0001-message.md §3–4.
"""

from __future__ import annotations

import base64
import os
import re
from hashlib import sha256
from typing import Annotated

import msgspec

from lienthong.errors import MessageMalformed
from lienthong.ledger.heads import parse_time

MOST_NAMES_KEPT = 1000  # header names seen and found good: the same few come again and again
PROTOCOL_VERSIONS = (1,)  # all that this program speaks (docs/protocols/0001-message.md §13)
PROTOCOL_VERSION = PROTOCOL_VERSIONS[0]
SALT_BYTES = 16
REQUEST_COMMITMENTS = ("line", "user", "dossier", "subject", "headers", "body")
ANSWER_COMMITMENTS = ("line", "headers", "body")
OUTCOMES = ("answered", "refused", "failed", "in-doubt")

REQUEST_LINES = (
    "lienthong-request",
    "x-road-request-id",
    "x-road-id",
    "x-road-client",
    "x-road-service",
    "x-road-represented-party",
    "lienthong-sender",
    "lienthong-receiver",
    "lienthong-purpose",
    "lienthong-time",
)
ANSWER_LINES = (
    "lienthong-answer",
    "x-road-request-id",
    "lienthong-request-leaf",
    "x-road-client",
    "x-road-service",
    "lienthong-sender",
    "lienthong-receiver",
    "lienthong-agreement",
    "lienthong-purpose",
    "lienthong-reason",
    "lienthong-outcome",
    "lienthong-time",
)

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,128}")  # RFC 9110 §5.6.2, in lower case
# A line feed ends a line; the others have no place in a name, and databases refuse NUL.
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_ALLOWED = bytes([*b"\n", *range(32, 127)])

Text = Annotated[str, msgspec.Meta(max_length=1024)]
Digest = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Headers = Annotated[tuple[tuple[str, str], ...], msgspec.Meta(max_length=128)]


_good_names: set[str] = set()


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question as the consumer's node signs it. ``body`` is the SHA-256 of the body."""

    version: int
    request_id: Text
    message_id: Text
    client: Text
    service: Text
    sender: Text
    receiver: Text
    represented_party: Text
    purpose: Text
    time: Text
    method: Text
    path: Annotated[str, msgspec.Meta(max_length=16384)]
    query: Annotated[str, msgspec.Meta(max_length=16384)]
    user: Text
    dossier: Text
    subjects: Annotated[tuple[Text, ...], msgspec.Meta(max_length=1000)]
    headers: Headers
    body: Digest
    body_bytes: Annotated[int, msgspec.Meta(ge=0)]
    salts: Annotated[bytes, msgspec.Meta(min_length=96, max_length=96)]


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An answer as the provider's node signs it, bound to the leaf of the question."""

    version: int
    request_id: Text
    request_leaf: Digest
    client: Text
    service: Text
    sender: Text
    receiver: Text
    agreement: Text
    purpose: Text
    reason: Text
    outcome: Text
    time: Text
    status: Annotated[int, msgspec.Meta(ge=100, le=599)]
    headers: Headers
    body: Digest
    body_bytes: Annotated[int, msgspec.Meta(ge=0)]
    salts: Annotated[bytes, msgspec.Meta(min_length=48, max_length=48)]


class EventRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something else that the ledger proves: a step of an agreement, a new epoch."""

    version: int
    kind: Text
    subject: Text
    time: Text
    document: bytes
    salt: Annotated[bytes, msgspec.Meta(min_length=SALT_BYTES, max_length=SALT_BYTES)]


class _RandomPool:
    """Randomness of the operating system, fetched in larger pieces.

    Each call of ``os.urandom`` gives up Python's lock, and under load waits to have it back.
    Event loop only. A forked child must not share it; nodes do not fork.
    """

    PIECE_BYTES = 8192

    def __init__(self) -> None:
        self._bytes = b""
        self._position = 0

    def take(self, size_bytes: int) -> bytes:
        end = self._position + size_bytes
        if end > len(self._bytes):
            self._bytes, self._position, end = os.urandom(self.PIECE_BYTES), 0, size_bytes
        taken = self._bytes[self._position : end]
        self._position = end
        return taken


_random = _RandomPool()


def new_request_id() -> str:
    """A version 4 UUID (RFC 9562 §5.4); the library's class takes four times as long."""
    digits = _random.take(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def new_salts(commitments: tuple[str, ...]) -> bytes:
    """Fresh salts, one after the other, for the commitments named."""
    return _random.take(SALT_BYTES * len(commitments))


def request_lines(request: Request) -> str:
    """The plain lines of a request."""
    return (
        f'"lienthong-request": {request.version}\n'
        f'"x-road-request-id": {request.request_id}\n'
        f'"x-road-id": {request.message_id}\n'
        f'"x-road-client": {request.client}\n'
        f'"x-road-service": {request.service}\n'
        f'"x-road-represented-party": {request.represented_party}\n'
        f'"lienthong-sender": {request.sender}\n'
        f'"lienthong-receiver": {request.receiver}\n'
        f'"lienthong-purpose": {request.purpose}\n'
        f'"lienthong-time": {request.time}\n'
    )


def request_contents(request: Request) -> tuple[str, ...]:
    """The text under each commitment of a request, in the order of REQUEST_COMMITMENTS."""
    return (
        f'"@method": {request.method}\n"@path": {request.path}\n"@query": ?{request.query}',
        f'"x-road-userid": {request.user}',
        f'"x-road-issue": {request.dossier}',
        "\n".join([f'"lienthong-subject": {subject}' for subject in request.subjects]),
        header_lines(request.headers),
        body_lines(request.body, request.body_bytes),
    )


def answer_lines(answer: Answer) -> str:
    """The plain lines of an answer."""
    return (
        f'"lienthong-answer": {answer.version}\n'
        f'"x-road-request-id": {answer.request_id}\n'
        f'"lienthong-request-leaf": {answer.request_leaf.hex()}\n'
        f'"x-road-client": {answer.client}\n'
        f'"x-road-service": {answer.service}\n'
        f'"lienthong-sender": {answer.sender}\n'
        f'"lienthong-receiver": {answer.receiver}\n'
        f'"lienthong-agreement": {answer.agreement}\n'
        f'"lienthong-purpose": {answer.purpose}\n'
        f'"lienthong-reason": {answer.reason}\n'
        f'"lienthong-outcome": {answer.outcome}\n'
        f'"lienthong-time": {answer.time}\n'
    )


def answer_contents(answer: Answer) -> tuple[str, ...]:
    """The text under each commitment of an answer, in the order of ANSWER_COMMITMENTS."""
    return (
        f'"@status": {answer.status}',
        header_lines(answer.headers),
        body_lines(answer.body, answer.body_bytes),
    )


def header_lines(headers: Headers) -> str:
    return "\n".join([f'"{name}": {value}' for name, value in headers])


def body_lines(digest: bytes, size_bytes: int) -> str:
    """The body by its RFC 9530 digest and its length."""
    encoded = base64.b64encode(digest).decode()
    return f'"content-digest": sha-256=:{encoded}:\n"content-length": {size_bytes}'


def commitments(contents: tuple[str, ...], salts: bytes) -> bytes:
    """SHA-256(salt ‖ text) for each text, one after the other."""
    return b"".join(
        [
            sha256(salts[i * SALT_BYTES : (i + 1) * SALT_BYTES] + text.encode()).digest()
            for i, text in enumerate(contents)
        ]
    )


def leaf_of(lines: str, committed: bytes) -> bytes:
    """SHA-256(0x00 ‖ plain lines ‖ commitments)."""
    return sha256(b"\x00" + lines.encode() + committed).digest()


def request_leaf(request: Request) -> bytes:
    return leaf_of(request_lines(request), commitments(request_contents(request), request.salts))


def answer_leaf(answer: Answer) -> bytes:
    return leaf_of(answer_lines(answer), commitments(answer_contents(answer), answer.salts))


def received_leaf(request: bytes) -> bytes:
    """What a provider logs of a request that it received, given the request's leaf."""
    return sha256(b'\x00"lienthong-received": ' + request.hex().encode()).digest()


def acknowledged_leaf(answer: bytes) -> bytes:
    """What a consumer logs of an answer that it received, given the answer's leaf.

    Made of the answer's leaf alone, so that the provider can check the acknowledgement
    without learning anything else of the consumer's ledger.
    """
    return sha256(b'\x00"lienthong-acknowledged": ' + answer.hex().encode()).digest()


def event_leaf(event: EventRecord) -> bytes:
    lines = (
        f'"lienthong-event": {event.version}\n"lienthong-kind": {event.kind}\n'
        f'"lienthong-subject": {event.subject}\n"lienthong-time": {event.time}\n'
    )
    return leaf_of(lines, sha256(event.salt + event.document).digest())


def check_request(request: Request) -> None:
    """Refuse a request whose lines could be read in two ways. Raises MessageMalformed."""
    checked_request_leaf(request)


def checked_request_leaf(request: Request) -> bytes:
    """The leaf of a request whose lines can be read in one way only. Raises MessageMalformed.

    A line break inside a value would let one signed text stand for two different messages.
    """
    _check_version(request.version)
    lines, contents = request_lines(request), request_contents(request)
    _check_lines(lines, REQUEST_LINES, request.time)
    line, user, dossier, subjects, headers, _ = contents
    if line.count("\n") != 2 or "\n" in user or "\n" in dossier:
        raise MessageMalformed(reason="line break in the request line, user or dossier")
    if subjects.count("\n") != max(len(request.subjects) - 1, 0):
        raise MessageMalformed(reason="line break in a subject")
    if _has_break("".join((line, user, dossier, subjects))):
        raise MessageMalformed(reason="control character in a field of the request")
    _check_headers(request.headers, headers)
    return leaf_of(lines, commitments(contents, request.salts))


def check_answer(answer: Answer) -> None:
    """Refuse an answer whose lines could be read in two ways. Raises MessageMalformed."""
    checked_answer_leaf(answer)


def checked_answer_leaf(answer: Answer) -> bytes:
    """The leaf of an answer whose lines can be read in one way only. Raises MessageMalformed."""
    _check_version(answer.version)
    lines, contents = answer_lines(answer), answer_contents(answer)
    _check_lines(lines, ANSWER_LINES, answer.time)
    if answer.outcome not in OUTCOMES:
        raise MessageMalformed(reason="unknown outcome")
    _check_headers(answer.headers, contents[1])
    return leaf_of(lines, commitments(contents, answer.salts))


def plain_fields(lines: str) -> dict[str, str]:
    """Read plain lines of a request or answer back. Raises MessageMalformed.

    Exactly their names in their order: what a line says twice could be read in two ways.
    """
    names = REQUEST_LINES if lines.startswith(f'"{REQUEST_LINES[0]}') else ANSWER_LINES
    *rows, rest = lines.split("\n")
    pairs = [row.partition('": ') for row in rows]
    if rest or [name for name, _, _ in pairs] != [f'"{name}' for name in names]:
        raise MessageMalformed(reason="plain lines")
    return {name: value for name, (_, _, value) in zip(names, pairs, strict=True)}


def _check_lines(lines: str, names: tuple[str, ...], time: str) -> None:
    if lines.count("\n") != len(names) or _has_control(lines):
        raise MessageMalformed(reason="line break or control character in a field")
    try:
        parse_time(time)
    except ValueError as error:
        raise MessageMalformed(reason="time is not in its form") from error


def _check_version(version: int) -> None:
    if version not in PROTOCOL_VERSIONS:
        raise MessageMalformed(reason=f"protocol version {version} is not spoken here")


def _check_headers(headers: Headers, text: str) -> None:
    if text.count("\n") != max(len(headers) - 1, 0) or _has_break(text):
        raise MessageMalformed(reason="line break in a header")
    for name, _ in headers:
        if name not in _good_names:
            _check_name(name)


def _check_name(name: str) -> None:
    if not _TOKEN.fullmatch(name):
        raise MessageMalformed(reason="malformed header name")
    if len(_good_names) < MOST_NAMES_KEPT:
        _good_names.add(name)


def _has_break(text: str) -> bool:
    return "\r" in text or "\x00" in text


def _has_control(text: str) -> bool:
    """Whether a control character other than the line feed is in ``text``; nearly never."""
    plain = text.isascii() and not text.encode().translate(None, _ALLOWED)
    return not plain and _CONTROLS.search(text) is not None
