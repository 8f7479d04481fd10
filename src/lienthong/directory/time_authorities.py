"""Time-stamping authorities (RFC 3161) in the directory: added, and ended.

They stand in a record of their own under the offline targets key. One that ended still counts
for what it stamped before: evidence outlives keys.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from lienthong.directory.records import (
    TIME_AUTHORITIES_PATH,
    TimeAuthorities,
    TimeAuthoritiesStatement,
    TimeAuthority,
)
from lienthong.directory.repository import Repository
from lienthong.directory.succession import check_succession
from lienthong.errors import InvalidCertificate, TimeAuthorityKnown, TimeAuthorityUnknown
from lienthong.identity.certificates import PARSE_ERRORS, issuers_of, read_chain

_Named = tuple[TimeAuthority, ...]


def add_time_authority(
    repository: Repository, name: str, pem: str, since: datetime | None = None
) -> int:
    """Approve an authority's stamps from ``since`` (now). Returns the directory's version.

    Raises InvalidCertificate, TimeAuthorityKnown (another one has that name).
    """
    check_time_certificates(pem)
    start = (since or repository.clock()).replace(microsecond=0)

    def change(known: _Named) -> _Named:
        for each in known:
            if each.name == name and each.certificates == pem and each.valid_until is None:
                return known
            if each.name == name:
                raise TimeAuthorityKnown(name=name)
        return (*known, TimeAuthority(name, pem, start, None))

    return _change(repository, change)


def end_time_authority(repository: Repository, name: str, at: datetime | None = None) -> int:
    """Let stamps from after ``at`` (now) count no more; may be drawn in, never put off.

    Raises TimeAuthorityUnknown, KeyChangeRefused.
    """
    moment = (at or repository.clock()).replace(microsecond=0)

    def change(known: _Named) -> _Named:
        if all(each.name != name for each in known):
            raise TimeAuthorityUnknown(name=name)
        return tuple(
            msgspec.structs.replace(each, valid_until=moment) if each.name == name else each
            for each in known
        )

    return _change(repository, change)


def check_time_certificates(pem: str) -> tuple[x509.Certificate, ...]:
    """Read the certificates of a time-stamping authority. Raises InvalidCertificate.

    1. Each is issued by the next, the last by itself.
    2. The last one may issue certificates.
    3. The first one, if it may not, is for time-stamping (RFC 3161 §2.3).
    """
    chain = read_chain(pem)
    for lower, upper in zip(chain, (*chain[1:], chain[-1]), strict=True):
        if not chain or not issuers_of(lower, [upper]):
            raise InvalidCertificate(name="time-stamping", reason="not issued by the next in chain")
    if not chain or not may_issue(chain[-1]) or chain[-1].subject != chain[-1].issuer:
        raise InvalidCertificate(name="time-stamping", reason="the last one is no root")
    if not may_issue(chain[0]) and not is_for_stamping(chain[0]):
        raise InvalidCertificate(name="time-stamping", reason="not for time-stamping only")
    return chain


def may_issue(certificate: x509.Certificate) -> bool:
    """Whether a certificate is an authority's."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (*PARSE_ERRORS, x509.ExtensionNotFound):
        return False
    return constraints.value.ca


def is_for_stamping(certificate: x509.Certificate) -> bool:
    """Whether a certificate is for time-stamping and nothing else, critically (RFC 3161 §2.3)."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (*PARSE_ERRORS, x509.ExtensionNotFound):
        return False
    return usage.critical and list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING]


def _change(repository: Repository, change: Callable[[_Named], _Named]) -> int:
    with repository.edit() as edit:
        old = edit.get(TIME_AUTHORITIES_PATH)
        assert old is None or isinstance(old, TimeAuthorities)
        known = () if old is None else old.statement.authorities
        named = change(known)
        if named != known:
            serial = 1 if old is None else old.statement.serial + 1
            issued = repository.clock().replace(microsecond=0)
            statement = TimeAuthoritiesStatement(
                "time-authorities", repository.instance, serial, issued, named
            )
            new = TimeAuthorities(statement, ())
            if old is not None:
                check_succession(old, new, None, ())
            edit.put(new)
    return repository.version
