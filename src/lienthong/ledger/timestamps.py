"""Time-stamps of RFC 3161 on ledger heads: asked for, and judged.

    query = stamp_query(note, policy="")
    stamp = accept_reply(reply, note, query, authorities)         # from an authority, now
    stamped = verify_stamp(stamp.response, note, authorities)     # years later, offline

What is stamped is a head's note as its node signed it, the signature included. So a stamp also
says that the signature is older than a later revocation of its key. One stamp covers everything
below its head. Protocol with the same numbers: docs/protocols/0006-time-and-witnesses.md §2.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import new as new_hash
from typing import Any, NamedTuple

import msgspec
from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from lienthong.directory.records import TimeAuthority
from lienthong.directory.time_authorities import (
    check_time_certificates,
    is_for_stamping,
    may_issue,
)
from lienthong.errors import InvalidCertificate, TimeStampInvalid
from lienthong.identity.certificates import PARSE_ERRORS, issuers_of
from lienthong.ledger.der import with_policy, with_sorted_certificates

LARGEST_STAMP = 32_768  # bytes; a token with a chain of three certificates has about 5,000
GRANTED = 0
_HASHES = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}


class Stamp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An authority's answer as it is kept: a TimeStampResp in DER."""

    response: bytes


class StampQuery(NamedTuple):
    """What is sent to an authority, and what its answer has to repeat."""

    request: bytes
    nonce: int
    policy: str


class StampedTime(NamedTuple):
    """What a stamp proves: the authority's name as it is trusted, the time, how exact it is."""

    authority: str
    time: datetime
    accuracy: timedelta


def stamp_query(note: str, policy: str = "") -> StampQuery:
    """A request for a stamp on a head's note; the nonce is 64 random bits."""
    builder = TimestampRequestBuilder(note.encode(), HashAlgorithm.SHA256)
    built = builder.nonce(nonce=True).cert_request(cert_request=True).build()
    content = built.as_bytes()
    assert built.nonce is not None
    return StampQuery(with_policy(content, policy) if policy else content, built.nonce, policy)


def accept_reply(
    reply: bytes, note: str, query: StampQuery, authorities: Iterable[TimeAuthority]
) -> tuple[Stamp, StampedTime]:
    """Judge an authority's answer to ``query``; return the stamp as it is to be kept.

    Raises TimeStampInvalid.
    """
    if len(reply) > LARGEST_STAMP:
        raise TimeStampInvalid(reason="too large")
    try:
        response = with_sorted_certificates(reply)
    except (ValueError, IndexError) as error:
        raise TimeStampInvalid(reason="cannot be read") from error
    read = _read(response)
    if read.tst_info.nonce != query.nonce:
        raise TimeStampInvalid(reason="it has another nonce than was asked for")
    if query.policy and read.tst_info.policy.dotted_string != query.policy:
        raise TimeStampInvalid(reason="it is given under another policy than was asked for")
    return Stamp(response), verify_stamp(response, note, authorities)


def verify_stamp(response: bytes, note: str, authorities: Iterable[TimeAuthority]) -> StampedTime:
    """Judge a stamp on ``note`` by the ``authorities`` that are trusted; no network is needed.

    1. It has its form, was granted, and one authority signed it.
    2. Its imprint is the hash of the note.
    3. The signer's certificate is in it and is for time-stamping only, critically.
    4. It was within its dates *at the time of the stamp*: stamps outlive certificates.
    5. An authority that counted at that time issued it, or is it; the signature holds.

    Raises TimeStampInvalid with the reason of the first that fails.
    """
    read = _read(response)  # (1)
    _check_imprint(read, note)  # (2)
    signer = _signer(read)
    if not is_for_stamping(signer):  # (3)
        raise TimeStampInvalid(reason="its certificate is not for time-stamping only")
    try:
        time: datetime = read.tst_info.gen_time
    except ValueError as error:  # the year 0, which no calendar of ours has
        raise TimeStampInvalid(reason="cannot be read") from error
    if not signer.not_valid_before_utc <= time <= signer.not_valid_after_utc:  # (4)
        raise TimeStampInvalid(reason="its certificate was outside its dates at that time")
    return StampedTime(_authority(read, signer, time, authorities), time, _accuracy(read))  # (5)


def _read(response: bytes) -> TimeStampResponse:
    if len(response) > LARGEST_STAMP:
        raise TimeStampInvalid(reason="too large")
    try:
        read = decode_timestamp_response(response)
        status = read.status
        if status != GRANTED:
            raise TimeStampInvalid(reason=f"the authority refused, status {status}")
        if read.tst_info.version != 1 or len(read.signed_data.signer_infos) != 1:
            raise TimeStampInvalid(reason="another structure")
    except (OverflowError, *PARSE_ERRORS) as error:
        raise TimeStampInvalid(reason="cannot be read") from error
    return read


def _check_imprint(read: TimeStampResponse, note: str) -> None:
    imprint = read.tst_info.message_imprint
    name = _HASHES.get(imprint.hash_algorithm.dotted_string)
    if name is None:
        raise TimeStampInvalid(reason="a hash that is not accepted")
    if new_hash(name, note.encode()).digest() != imprint.message:
        raise TimeStampInvalid(reason="it stands on something else than this head")


def _signer(read: TimeStampResponse) -> x509.Certificate:
    """The certificate that the signature names by issuer and serial number."""
    (info,) = read.signed_data.signer_infos
    try:
        held = [x509.load_der_x509_certificate(der) for der in read.signed_data.certificates]
        named = [
            x for x in held if (x.issuer, x.serial_number) == (info.issuer, info.serial_number)
        ]
    except PARSE_ERRORS as error:
        raise TimeStampInvalid(reason="cannot be read") from error
    if len(named) != 1:
        raise TimeStampInvalid(reason="its signer's certificate is not in it")
    return named[0]


def _authority(
    read: TimeStampResponse,
    signer: x509.Certificate,
    time: datetime,
    authorities: Iterable[TimeAuthority],
) -> str:
    """The name of the authority that vouches for the signer. Raises TimeStampInvalid."""
    reason = "none of the authorities known here vouches for it"
    for authority in authorities:
        try:
            chain = check_time_certificates(authority.certificates)
        except InvalidCertificate:
            continue
        if not _may_have_issued(chain, signer, read):
            continue
        if not authority.holds(time):
            reason = "its authority did not count at that time"
        elif _verifies(read, signer, chain):
            return authority.name
        else:
            reason = "its signature is wrong, or a certificate above it"
    raise TimeStampInvalid(reason=reason)


def _may_have_issued(
    chain: tuple[x509.Certificate, ...], signer: x509.Certificate, read: TimeStampResponse
) -> bool:
    """Whether the chain is of this signer at all; tells a stranger's stamp from a broken one."""
    if not may_issue(chain[0]):
        return chain[0] == signer
    within = [x509.load_der_x509_certificate(der) for der in read.signed_data.certificates]
    known = [*chain, *(each for each in within if issuers_of(each, chain))]
    return bool(issuers_of(signer, known))


def _verifies(
    read: TimeStampResponse, signer: x509.Certificate, chain: tuple[x509.Certificate, ...]
) -> bool:
    builder = VerifierBuilder(tsa_certificate=signer, intermediates=list(chain), roots=[chain[-1]])
    imprint = read.tst_info.message_imprint.message  # compared with the note's hash before
    try:
        return builder.build().verify(read, imprint)
    except (VerificationError, *PARSE_ERRORS):
        return False


def _accuracy(read: TimeStampResponse) -> timedelta:
    told: Any = read.tst_info.accuracy
    if told is None:
        return timedelta(0)
    return timedelta(
        seconds=told.seconds or 0, milliseconds=told.millis or 0, microseconds=told.micros or 0
    )
