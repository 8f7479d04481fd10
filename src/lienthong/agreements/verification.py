"""Whether the statements under an agreement hold: also offline, from an evidence bundle.

Each statement is judged by the directory as of its own time, in six steps:

1. it is about this document: same id, and the document's digest;
2. the act belongs to the side: the proposer proposes, the other accepts or refuses, both may
   withdraw;
3. it is not dated in the future;
4. the member had delegated the subsystem to the node that signed;
5. the node's key was valid;
6. the signature is right.

Delegation and key must not have been revoked by the time the statement is first seen either:
a stolen key must not sign yesterday's agreement. Where they only ran out since, the statement
still counts, for a node that was away or joined later.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Protocol

from lienthong.agreements.documents import parse_envelope
from lienthong.agreements.models import Act, Agreement, AgreementDocument, Party, Statement
from lienthong.errors import (
    DirectoryError,
    IdentityError,
    InvalidAgreementDocument,
    KeyNotValid,
    LienthongError,
    StatementNotAccepted,
)
from lienthong.identity.keys import PublicKey

CLOCK_SKEW = timedelta(seconds=60)


class Directory(Protocol):
    """What agreements ask of a ``DirectoryView``."""

    def member(self, member_id: str) -> Any: ...

    def nodes_of(self, subsystem_id: str, at: datetime | None = None) -> tuple[str, ...]: ...

    def signing_key(self, node_id: str, key_id: str, at: datetime) -> PublicKey: ...


def verify_envelope(data: bytes, directory: Directory, now: datetime) -> Agreement:
    """Read an agreement and check all of its statements.

    Raises InvalidAgreementDocument, StatementNotAccepted.
    """
    agreement = parse_envelope(data)
    check_proposed(agreement)
    for statement in agreement.statements:
        verify_statement(agreement.document, statement, directory, now)
    return agreement


def check_proposed(agreement: Agreement) -> None:
    """Raise InvalidAgreementDocument unless the proposer's own statement is there."""
    if agreement.statement(agreement.document.proposed_by, Act.PROPOSE) is None:
        raise InvalidAgreementDocument(reason="the proposer's statement is missing")


def verify_statement(
    document: AgreementDocument, statement: Statement, directory: Directory, now: datetime
) -> None:
    """Check one statement, first seen at ``now``. Raises StatementNotAccepted."""
    if (statement.agreement, statement.digest) != (document.id, document.digest):  # step 1
        raise _refusal(statement, "it is about another document")
    if statement.party not in may(document, statement.act):  # step 2
        raise _refusal(statement, f"the {statement.party} cannot do this")
    if statement.time > now + CLOCK_SKEW:  # step 3
        raise _refusal(statement, "it is dated in the future")
    try:
        _check_delegation(document, statement, directory, now)  # step 4
        key = _key(statement, directory, now)  # step 5
        key.verify(statement.signature, statement.signed_bytes)  # step 6
    except (DirectoryError, IdentityError) as error:
        raise _refusal(statement, error) from error


def may(document: AgreementDocument, act: Act) -> frozenset[Party]:
    """Return the sides that may do ``act``."""
    if act is Act.PROPOSE:
        return frozenset({document.proposed_by})
    if act is Act.WITHDRAW:
        return frozenset(Party)
    return frozenset({document.proposed_by.other})


def _check_delegation(
    document: AgreementDocument, statement: Statement, directory: Directory, now: datetime
) -> None:
    subsystem = document.subsystem_of(statement.party)
    if statement.node not in directory.nodes_of(subsystem, statement.time):
        raise _refusal(statement, f"{subsystem} was not delegated to the node")
    member = directory.member(document.member_of(statement.party))
    revoked = member.revoked("delegation", statement.node)
    if revoked is not None and revoked <= now:
        raise _refusal(statement, "the delegation to the node was revoked")


def _key(statement: Statement, directory: Directory, now: datetime) -> PublicKey:
    key = directory.signing_key(statement.node, statement.key_id, statement.time)
    if key.algorithm != statement.algorithm:
        raise _refusal(statement, f"the key is not of algorithm {statement.algorithm}")
    try:
        directory.signing_key(statement.node, statement.key_id, max(now, statement.time))
    except KeyNotValid:
        return key
    return key


def _refusal(statement: Statement, reason: str | LienthongError) -> StatementNotAccepted:
    return StatementNotAccepted(node=statement.node, act=statement.act, reason=reason)
