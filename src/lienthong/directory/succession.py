"""When a record may follow another: no quiet change of keys.

The operator of the directory holds the keys of the metadata, not those of the agencies. A
record that the agency did not sign is therefore refused by every node, its own first, and the
old one stays in force there (DESIGN §4 "Trust without a fragile centre").
"""

from __future__ import annotations

from collections.abc import Iterable

from lienthong.directory.records import (
    Authorities,
    KeyStatement,
    Member,
    Node,
    Record,
    Registrar,
    TimeAuthorities,
    TimeAuthority,
    public_key,
    record_subject,
    signers_of,
    statement_bytes,
)
from lienthong.errors import KeyChangeRefused, StatementStale
from lienthong.identity.keys import PublicKey

REGISTRARS_NEEDED = 2  # one registrar alone could be bribed or hacked


def check_succession(
    old: Record, new: Record, owner: Member | None, registrars: Iterable[Registrar]
) -> bool:
    """Check that ``new`` may take the place of ``old``; ``owner`` is a node's owner as trusted.

    1. No revocation has vanished.
    2. The statement is the same, or its serial is higher and no key statement has vanished.
    3. A new statement is signed by a key in force in the old record (a node's: in its owner's),
       or by two registrars that the old authorities record names.

    Returns whether the registrars stood in for the old key. Raises KeyChangeRefused,
    StatementStale.
    """
    subject = record_subject(old)
    if type(old) is not type(new):
        raise KeyChangeRefused(subject=subject, reason="another kind of record")
    _check_revocations(old, new, subject)
    if statement_bytes(old) == statement_bytes(new):
        return False
    if new.statement.serial <= old.statement.serial:
        raise StatementStale(
            subject=subject,
            offered=new.statement.serial,
            known=old.statement.serial,
            reason="serial is not higher",
        )
    _check_keys_kept(old, new, subject)
    if isinstance(old, Authorities):
        return _check_registrars(old, new)
    if isinstance(old, TimeAuthorities):
        _check_time_authorities_kept(old, new)
        return False
    if signers_of(new, _keys_in_force(old, new, owner)):
        return False
    if len(signers_of(new, _registrar_keys(registrars))) >= REGISTRARS_NEEDED:
        return True
    raise KeyChangeRefused(subject=subject, reason="not signed by the old key")


def _check_revocations(old: Record, new: Record, subject: str) -> None:
    if not isinstance(old, Member | Node) or not isinstance(new, Member | Node):
        return
    if not set(old.revocations) <= set(new.revocations):
        raise KeyChangeRefused(subject=subject, reason="a revocation has vanished")


def _check_keys_kept(old: Record, new: Record, subject: str) -> None:
    before, after = _key_statements(old), _key_statements(new)
    kept = {(role, item.key): item for role, item in after}
    for role, item in before:
        successor = kept.get((role, item.key))
        if successor is None or not _drawn_in(item, successor):
            raise KeyChangeRefused(subject=subject, reason="a key statement has vanished")


def _check_time_authorities_kept(old: TimeAuthorities, new: Record) -> None:
    """What was stamped stays provable: an authority may end, but not vanish or change."""
    assert isinstance(new, TimeAuthorities)
    kept = {each.name: each for each in new.statement.authorities}
    for each in old.statement.authorities:
        after = kept.get(each.name)
        if after is None or after.certificates != each.certificates or not _drawn_in(each, after):
            raise KeyChangeRefused(
                subject=record_subject(old), reason="a time-stamping authority has vanished"
            )


def _drawn_in(before: KeyStatement | TimeAuthority, after: KeyStatement | TimeAuthority) -> bool:
    if before.valid_from != after.valid_from:
        return False
    if before.valid_until is None:
        return True
    return after.valid_until is not None and after.valid_until <= before.valid_until


def _key_statements(record: Record) -> list[tuple[str, KeyStatement]]:
    if isinstance(record, Member):
        return [("member", item) for item in record.keys]
    if isinstance(record, Node):
        return [("signing", item) for item in record.signing_keys] + [
            ("tls", item) for item in record.statement.tls_keys
        ]
    return []


def _keys_in_force(old: Member | Node, new: Record, owner: Member | None) -> list[PublicKey]:
    """Return the keys that may sign ``new``: those in force when it says that it was issued."""
    holder = old if isinstance(old, Member) else owner
    if holder is None:
        return []
    issued = new.statement.issued
    return [
        item.public
        for item in holder.keys
        if item.holds(issued) and holder.revoked("key", item.public.key_id) is None
    ]


def _registrar_keys(registrars: Iterable[Registrar]) -> list[PublicKey]:
    return [public_key(registrar.key) for registrar in registrars]


def _check_registrars(old: Authorities, new: Record) -> bool:
    """Check a change of the registrars: two of the old ones sign it, once there are two."""
    if not isinstance(new, Authorities) or old.statement.registrars == new.statement.registrars:
        return False
    before = _registrar_keys(old.statement.registrars)
    if len(before) >= REGISTRARS_NEEDED and len(signers_of(new, before)) < REGISTRARS_NEEDED:
        raise KeyChangeRefused(subject="registrars", reason="not signed by two old registrars")
    return True
