"""Agreements as they travel between nodes and lie in evidence: one JSON envelope.

    parse_envelope(envelope_bytes(agreement)) == agreement

Reading checks form only; who signed, and with what right, is checked by ``verification``.
What was read is what is used: unknown members are refused, and digests are computed over the
canonical form of the parsed document, so two parsers cannot see two agreements.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from lienthong.agreements.canonical import canonical_json
from lienthong.agreements.models import Act, Agreement, AgreementDocument, Party, Statement
from lienthong.errors import InvalidAgreementDocument, LienthongError

LARGEST_ENVELOPE_BYTES = 1 << 20  # a peer's envelope is held in memory
MOST_STATEMENTS = len(Act) * len(Party)

_Parsed = TypeVar("_Parsed")


class _Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Literal["lienthong-agreement-envelope-1"] = "lienthong-agreement-envelope-1"
    document: AgreementDocument
    statements: Annotated[tuple[Statement, ...], Meta(min_length=1, max_length=MOST_STATEMENTS)]


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_DOCUMENT = msgspec.json.Decoder(AgreementDocument)
_STATEMENT = msgspec.json.Decoder(Statement)


def envelope_bytes(agreement: Agreement) -> bytes:
    """Write an agreement with its statements, canonically."""
    return canonical_json(_Envelope(document=agreement.document, statements=agreement.statements))


def parse_envelope(data: bytes) -> Agreement:
    """Read an agreement. Raises InvalidAgreementDocument."""
    if len(data) > LARGEST_ENVELOPE_BYTES:
        raise InvalidAgreementDocument(reason=f"over {LARGEST_ENVELOPE_BYTES} bytes")
    envelope = _decode(_ENVELOPE, data)
    agreement = Agreement(envelope.document, ()).with_statements(envelope.statements)
    if len(agreement.statements) != len(envelope.statements):
        raise InvalidAgreementDocument(reason="two statements of one party for one act")
    return agreement


def parse_document(data: bytes) -> AgreementDocument:
    """Read the terms alone. Raises InvalidAgreementDocument."""
    return _decode(_DOCUMENT, data)


def parse_statement(data: bytes) -> Statement:
    """Read one statement. Raises InvalidAgreementDocument."""
    return _decode(_STATEMENT, data)


def _decode(decoder: msgspec.json.Decoder[_Parsed], data: bytes) -> _Parsed:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise InvalidAgreementDocument(reason=str(error)) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidAgreementDocument(reason="not JSON in UTF-8") from error
    except LienthongError as error:
        raise InvalidAgreementDocument(reason=_reason(error)) from error


def _reason(error: LienthongError) -> object:
    return error.facts.get("reason", error)
