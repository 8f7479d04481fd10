"""Approved certificate authorities, and registrars.

Both stand in one record under the offline targets key. Registrars are the way back for an
agency that lost its key; every change of either raises an alarm at all nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from cryptography import x509

from lienthong.directory.canonical import sign
from lienthong.directory.records import (
    AUTHORITIES_PATH,
    Authorities,
    Registrar,
    public_key,
    statement_bytes,
)
from lienthong.directory.repository import Edit, Repository
from lienthong.directory.succession import check_succession
from lienthong.errors import InvalidCertificate
from lienthong.identity.certificates import read_chain
from lienthong.identity.keys import SigningKey


def authorities_of(edit: Edit) -> Authorities:
    """Return the record now in force."""
    record = edit.get(AUTHORITIES_PATH)
    assert isinstance(record, Authorities)
    return record


def add_authority(repository: Repository, pem: str) -> int:
    """Approve a certificate authority. Raises InvalidCertificate."""
    certificate = read_chain(pem)[0]
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        is_authority = constraints.value.ca
    except (ValueError, x509.ExtensionNotFound):
        is_authority = False
    if not is_authority:
        raise InvalidCertificate(name="authority", reason="it may not issue certificates")

    def change(record: Authorities) -> Authorities:
        known = record.statement.authorities
        if any(read_chain(one)[0] == certificate for one in known):
            return record
        return _changed(record, authorities=(*known, pem))

    return _change_authorities(repository, change)


def add_registrar(
    repository: Repository, name: str, key: str, signed_with: Iterable[SigningKey] = ()
) -> int:
    """Name a registrar; from the third on, two known ones have to sign. Raises InvalidKey."""
    public_key(key)

    def change(record: Authorities) -> Authorities:
        known = record.statement.registrars
        if any(registrar.key == key for registrar in known):
            return record
        new = _changed(record, registrars=(*known, Registrar(name, key)))
        return msgspec.structs.replace(new, signatures=sign(statement_bytes(new), signed_with))

    return _change_authorities(repository, change)


def _changed(record: Authorities, **fields: object) -> Authorities:
    serial = record.statement.serial + 1
    statement = msgspec.structs.replace(record.statement, serial=serial, **fields)
    return Authorities(statement, ())


def _change_authorities(
    repository: Repository, change: Callable[[Authorities], Authorities]
) -> int:
    with repository.edit() as edit:
        old = authorities_of(edit)
        new = change(old)
        check_succession(old, new, None, old.statement.registrars)
        edit.put(new)
    return repository.version
