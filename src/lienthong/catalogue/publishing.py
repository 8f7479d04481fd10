"""What a node signs to publish a dataset, and how the catalogue judges it.

    envelope = sign_publication(draft, key, contract)         # at the owner's node
    publication, contract = check_envelope(envelope, view, now)    # at the catalogue

Checked, in this order:

1. size and form; unknown members are refused;
2. identifiers: of the directory's instance, a service of the owner itself, users of the state;
3. the time: not in the future, not long ago, so that an old publication cannot be sent again;
4. the owner has delegated to the node, then and now (its subsystem, where a service is named);
5. the node's key was in force then, and is now;
6. the signature;
7. the contract: its bytes have the signed digest, it is valid, its id and version are those.

What an earlier publication forbids is ``check_order``; the rest is the service's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from lienthong.catalogue.models import STATE_AGENCY, Act, Facts, Kept, Publication
from lienthong.contracts.document import LARGEST_CONTRACT_BYTES
from lienthong.contracts.drafting import LEGAL_BASIS_WANTED
from lienthong.contracts.loading import load_contract
from lienthong.contracts.models import Contract
from lienthong.directory.canonical import canonical
from lienthong.directory.view import DirectoryView
from lienthong.errors import (
    ContractError,
    DirectoryError,
    IdentityError,
    InvalidIdentifier,
    InvalidPublication,
    LegalBasisMissing,
    PublicationConflict,
    PublicationNotAccepted,
    PublicationOutdated,
)
from lienthong.identity.identifiers import MemberId, NodeId, ServiceId
from lienthong.identity.keys import SigningKey

# The contract is in base64; beside it 300 results of rules and 500 users at their longest.
LARGEST_ENVELOPE_BYTES = LARGEST_CONTRACT_BYTES * 4 // 3 + (1 << 19) + (1 << 20)
CLOCK_SKEW = timedelta(seconds=60)
LONGEST_WAY = timedelta(minutes=10)  # from the signature to the catalogue

# Signing keys also sign heads, messages and agreements; no text of theirs begins like this.
_SIGNED_PREFIX = b"lienthong-publication-1\n"
_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,5}")
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class _Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Literal["lienthong-publication-envelope-1"] = "lienthong-publication-envelope-1"
    publication: Publication
    contract: Annotated[bytes, Meta(max_length=LARGEST_CONTRACT_BYTES)] = b""


_ENVELOPE = msgspec.json.Decoder(_Envelope)


class Draft(NamedTuple):
    """What is to be said, before the node adds itself and its signature."""

    act: Act
    owner: str
    contract_id: str
    version: str
    digest: str
    service: str = ""
    facts: Facts = Facts()
    reason: str = ""


class Checked(NamedTuple):
    """A publication that holds by the directory; a withdrawal carries no contract."""

    publication: Publication
    contract: Contract | None


def draft_of(
    contract: Contract, *, owner: str = "", service: str = "", facts: Facts | None = None
) -> Draft:
    """Draft the publication of a contract: with its service, or of an owner without one.

    Raises LegalBasisMissing for one that a command has proposed and nobody has completed.
    """
    _check_basis(contract)
    if service:
        owner = str(ServiceId.parse(service).provider.member)
    return Draft(
        Act.PUBLISH,
        owner,
        contract.id,
        contract.version,
        contract.digest,
        service,
        facts or Facts(),
    )


def sign_publication(
    draft: Draft, node: str, key: SigningKey, now: datetime, contract: bytes = b""
) -> bytes:
    """Return the envelope of a signed publication. Raises TokenError leaves."""
    signer = key.current
    unsigned = Publication(
        **draft._asdict(),
        node=node,
        key_id=signer.public.key_id,
        algorithm=signer.public.algorithm.value,
        time=now.astimezone(UTC).replace(microsecond=0),
    )
    signed = msgspec.structs.replace(unsigned, signature=signer.sign(signed_bytes(unsigned)))
    return canonical(_Envelope(publication=signed, contract=contract))


def signed_bytes(publication: Publication) -> bytes:
    """What the signature covers: all but itself, and through ``digest`` the contract."""
    members = msgspec.to_builtins(publication)
    del members["signature"]
    return _SIGNED_PREFIX + canonical(members)


def check_envelope(data: bytes, view: DirectoryView, now: datetime) -> Checked:
    """Read and judge an envelope; see the module's text.

    Raises InvalidPublication, PublicationNotAccepted, ContractError leaves.
    """
    envelope = _read(data)  # step 1
    publication = envelope.publication
    subsystem = _check_identifiers(publication, view.instance)  # step 2
    _check_time(publication, now)  # step 3
    try:
        _check_delegation(publication, subsystem, view, now)  # step 4
        key = view.signing_key(publication.node, publication.key_id, publication.time)  # step 5
        key = view.signing_key(publication.node, publication.key_id, max(now, publication.time))
        if key.algorithm != publication.algorithm:
            raise _refusal(publication, f"the key is not of algorithm {publication.algorithm}")
        key.verify(publication.signature, signed_bytes(publication))  # step 6
    except (DirectoryError, IdentityError) as error:
        raise _refusal(publication, error) from error
    return Checked(publication, _contract(envelope))  # step 7


def check_order(publication: Publication, history: Sequence[Kept]) -> None:
    """Compare with what was published before under the same name.

    Raises PublicationOutdated, PublicationConflict.
    """
    if not history:
        return _check_first(publication)
    last = history[-1].publication
    if publication.time <= last.time:
        raise PublicationOutdated(entry=publication.key, known=last.time.isoformat())
    published = [kept.publication for kept in history if kept.publication.act is Act.PUBLISH]
    highest = max(published, key=lambda each: version_order(each.version))
    if publication.act is Act.WITHDRAW:
        return _check_withdrawal(publication, last)
    for each in published:
        same = version_order(each.version) == version_order(publication.version)
        if same and each.digest != publication.digest:
            raise _conflict(publication, "this version was published with other content")
    if version_order(publication.version) < version_order(highest.version):
        raise _conflict(publication, f"version {highest.version} was published already")
    return None


def version_order(version: str) -> tuple[int, ...]:
    """By what versions are compared: ``1.10`` is above ``1.9``, ``1.0`` equals ``1``.

    Raises InvalidPublication.
    """
    if not _VERSION.fullmatch(version):
        raise InvalidPublication(reason="version is not numbers parted by dots")
    numbers = [int(part) for part in version.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _read(data: bytes) -> _Envelope:
    if len(data) > LARGEST_ENVELOPE_BYTES:
        raise InvalidPublication(reason=f"over {LARGEST_ENVELOPE_BYTES} bytes")
    try:
        envelope = _ENVELOPE.decode(data)
    except msgspec.ValidationError as error:
        raise InvalidPublication(reason=str(error)) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidPublication(reason="not JSON in UTF-8") from error
    publication = envelope.publication
    version_order(publication.version)
    if bool(envelope.contract) is (publication.act is Act.WITHDRAW):
        raise InvalidPublication(reason="a publication carries its contract, a withdrawal none")
    for text in (publication.contract_id, publication.reason):
        if _FORBIDDEN.search(text) or text != text.strip():
            raise InvalidPublication(reason="control character, or white space at an end of a text")
    return envelope


def _check_identifiers(publication: Publication, instance: str) -> str:
    """Return the service's subsystem; empty where no service is named."""
    try:
        owner, node = MemberId.parse(publication.owner), NodeId.parse(publication.node)
        service = ServiceId.parse(publication.service) if publication.service else None
    except InvalidIdentifier as error:
        raise InvalidPublication(reason=error) from error
    written = (str(owner), str(node), str(service) if service else "")
    if written != (publication.owner, publication.node, publication.service):
        raise InvalidPublication(reason="identifiers are percent-encoded")
    if not owner.instance == node.instance == instance:
        raise InvalidPublication(reason="it belongs to another instance")
    _check_users(publication, instance)
    if service is None:
        return ""
    if service.provider.member != owner:
        raise InvalidPublication(reason="the service is not the owner's")
    return str(service.provider)


def _check_users(publication: Publication, instance: str) -> None:
    """Agencies of the state, by their identifiers; a company or a person is never named."""
    for user in publication.facts.users or ():
        try:
            member = MemberId.parse(user.member)
        except InvalidIdentifier as error:
            raise InvalidPublication(reason=error) from error
        if str(member) != user.member or member.instance != instance:
            raise InvalidPublication(reason="a user of another instance is named")
        if member.member_class != STATE_AGENCY:
            raise InvalidPublication(reason="a user that is no state agency is named")
        if any(_FORBIDDEN.search(text) for text in (*user.systems, *user.purposes)):
            raise InvalidPublication(reason="control character, or white space at an end of a text")


def _check_time(publication: Publication, now: datetime) -> None:
    if publication.time.microsecond or publication.time.utcoffset():
        raise InvalidPublication(reason="time is not in whole seconds of UTC")
    if publication.time > now + CLOCK_SKEW:
        raise _refusal(publication, "it is dated in the future")
    if publication.time < now - LONGEST_WAY:
        raise _refusal(publication, "it was signed too long ago")


def _check_delegation(
    publication: Publication, subsystem: str, view: DirectoryView, now: datetime
) -> None:
    code = subsystem.rpartition("/")[2]
    for at in (publication.time, now):
        delegation = view.check_delegation(publication.owner, publication.node, at)
        if code and code not in delegation.subsystems:
            raise _refusal(publication, f"{subsystem} was not delegated to the node")


def _contract(envelope: _Envelope) -> Contract | None:
    publication = envelope.publication
    if publication.act is Act.WITHDRAW:
        return None
    if sha256(envelope.contract).hexdigest() != publication.digest:
        raise InvalidPublication(reason="the contract does not have the signed digest")
    try:
        contract = load_contract(envelope.contract)
        _check_basis(contract)
    except ContractError as error:
        raise InvalidPublication(reason=error) from error
    if (contract.id, contract.version) != (publication.contract_id, publication.version):
        raise InvalidPublication(reason="the contract has another id or version")
    return contract


def _check_basis(contract: Contract) -> None:
    """What ``contract new`` and ``infer`` put in its place is no legal basis."""
    if LEGAL_BASIS_WANTED in contract.legal_basis:
        raise LegalBasisMissing()


def _check_first(publication: Publication) -> None:
    if publication.act is Act.WITHDRAW:
        raise _conflict(publication, "it was never published")


def _check_withdrawal(publication: Publication, last: Publication) -> None:
    if last.act is Act.WITHDRAW:
        raise _conflict(publication, "it was withdrawn already")
    if (publication.version, publication.digest) != (last.version, last.digest):
        raise _conflict(publication, f"version {last.version} is in force")


def _refusal(publication: Publication, reason: Any) -> PublicationNotAccepted:
    return PublicationNotAccepted(node=publication.node, owner=publication.owner, reason=reason)


def _conflict(publication: Publication, reason: str) -> PublicationConflict:
    return PublicationConflict(entry=publication.key, version=publication.version, reason=reason)
