"""The document of one node's hour: signed, read back, verified.

    note = sign_counters(counters, key)
    counters = verify_counters(note, view)      # what its node signed, or an error

The signature covers a line of its own and the canonical JSON (RFC 8785) of the document
without its member ``signature``.
Specification: docs/protocols/0005-counters.md.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from lienthong.agreements.canonical import canonical_json
from lienthong.directory.view import DirectoryView
from lienthong.errors import CountersInvalid, LienthongError
from lienthong.identity.keys import SigningKey
from lienthong.ledger.heads import parse_time
from lienthong.node.counters.counts import MOST_FLOWS, Counts, Flow, Name, start_of

LARGEST_DOCUMENT = 33_554_432  # bytes of JSON; a flow has about 700
# Signing keys also sign heads and agreements; no text of another kind begins like this.
_SIGNED_PREFIX = b"lienthong-counters-1\n"


class Counters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one node counted in one hour (UTC).

    ``flows`` is counted from the node's ledger. ``refusals`` is what its edges refused, by side
    and error code, with what never came to a ledger; those of requests that did are in both.
    """

    node: Name
    hour: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}$")]
    made: Name
    directory_version: Annotated[int, msgspec.Meta(ge=0)]
    size_bounds: Annotated[tuple[int, ...], msgspec.Meta(max_length=20)]
    flows: Annotated[tuple[Flow, ...], msgspec.Meta(max_length=2 * MOST_FLOWS)]
    refusals: Annotated[dict[Name, Counts], msgspec.Meta(max_length=2)]
    type: Literal["lienthong-counters-1"] = "lienthong-counters-1"


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    counters: Counters
    key: Name
    signature: bytes = b""


_decode = msgspec.json.Decoder(_Signed).decode


def sign_counters(counters: Counters, key: SigningKey) -> bytes:
    """The document with its signature, as it is stored and served."""
    unsigned = _Signed(counters, key.public.key_id)
    signature = key.sign(_signed_bytes(unsigned))
    return canonical_json(msgspec.structs.replace(unsigned, signature=signature))


def verify_counters(content: bytes, view: DirectoryView, node: str, hour: str) -> Counters:
    """Read what ``node`` says of ``hour``, and check that it said so.

    1. The document is in its form, of that node and that hour, made after the hour was over.
    2. The directory names the key for the node at the time when the document was made.
    3. The signature fits.

    Raises CountersInvalid.
    """
    # 1.
    if len(content) > LARGEST_DOCUMENT:
        raise CountersInvalid(node=node, hour=hour, reason="too many bytes")
    try:
        signed = _decode(content)
        made = parse_time(signed.counters.made)
        begun = start_of(signed.counters.hour)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CountersInvalid(node=node, hour=hour, reason="not in its form") from error
    counters = signed.counters
    if (counters.node, counters.hour) != (node, hour):
        raise CountersInvalid(node=node, hour=hour, reason="of another node or hour")
    if (made - begun).total_seconds() < 3600:
        raise CountersInvalid(node=node, hour=hour, reason="made before the hour was over")
    try:
        key = view.signing_key(node, signed.key, made)  # 2.
        key.verify(signed.signature, _signed_bytes(signed))  # 3.
    except LienthongError as error:
        raise CountersInvalid(node=node, hour=hour, reason=error) from error
    return counters


def signed_bytes(content: bytes) -> bytes:
    """What the signature of a document in its form covers. Raises MsgspecError."""
    return _signed_bytes(_decode(content))


def _signed_bytes(signed: _Signed) -> bytes:
    return _SIGNED_PREFIX + canonical_json({"counters": signed.counters, "key": signed.key})
