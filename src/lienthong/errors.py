"""Every error that may leave a room of the house, in one tree.

    LienthongError
    ├── ConfigurationError          settings, state folders, command lines            exit 2
    ├── IdentityError               identifiers, keys, certificates, citizen numbers  exit 3
    ├── UnitError                   administrative units and agency codes             exit 4
    ├── DirectoryError              the signed list and the refreshing of it          exit 5
    ├── ContractError               ODCS files and what they may not hold             exit 6
    ├── SourceError                 where an agency's data lives                      exit 7
    ├── AgreementError              who may ask for what; every refusal of access     exit 8
    ├── MessageError                what crosses the wire: shape, signature, time     exit 9
    ├── TransportError              HTTP and TLS below the messages                   exit 10
    ├── LedgerError                 the log, its store and its proofs                 exit 11
    ├── EvidenceError               bundles that do not prove what they claim         exit 12
    └── NodeError                   a node as a running program; the demo             exit 13

A leaf is declared once, here, with its stable code, its HTTP status and the name that
X-Road gives to the same fault. What people read (message, cause, remedy; Vietnamese and
English) is data: ``error_texts/<first part of the code>.toml``. A test checks that both
sides are complete, and ``docs/reference/errors.md`` is generated from them.

    raise UnknownMember(member="VN/GOV/G99")

The keyword arguments are the facts of the case. They fill the texts, and they are shown to
whoever made the request: never put a secret or a personal key in one.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar


@cache
def error_texts() -> dict[str, dict[str, str]]:
    """Return ``{code: {"vi", "en", "cause", "remedy_vi", "remedy_en"}}`` for all codes."""
    texts: dict[str, dict[str, str]] = {}
    for entry in files("lienthong").joinpath("error_texts").iterdir():
        if entry.name.endswith(".toml"):
            room = entry.name.removesuffix(".toml")
            for leaf, fields in tomllib.loads(entry.read_text(encoding="utf-8")).items():
                texts[f"{room}.{leaf}"] = fields
    return texts


class _Facts(dict[str, Any]):
    """Facts of a case; a fact that the text names and the caller left out shows as ``?``."""

    def __missing__(self, key: str) -> str:
        return "?"


class LienthongError(Exception):
    """Base of all errors that are shown to a person without a traceback."""

    code: ClassVar[str] = "node.internal"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    xroad: ClassVar[str] = "InternalError"

    def __init_subclass__(
        cls,
        *,
        code: str | None = None,
        status: int | None = None,
        exit_code: int | None = None,
        xroad: str | None = None,
    ) -> None:
        super().__init_subclass__()
        if code is not None:
            cls.code = code
        if status is not None:
            cls.status = status
        if exit_code is not None:
            cls.exit_code = exit_code
        if xroad is not None:
            cls.xroad = xroad

    def __init__(self, **facts: Any) -> None:
        super().__init__(facts)
        self.facts = facts

    def _text(self, key: str) -> str:
        text = error_texts().get(self.code, {}).get(key, self.code)
        return text.format_map(_Facts(self.facts))

    def message(self, language: str = "vi") -> str:
        """Say what went wrong, in ``vi`` or ``en``."""
        return self._text("en" if language == "en" else "vi")

    def remedy(self, language: str = "vi") -> str:
        """Say what to do about it, in ``vi`` or ``en``."""
        return self._text("remedy_en" if language == "en" else "remedy_vi")

    def __str__(self) -> str:
        return f"{self.code}: {self.message('en')}"


class ConfigurationError(LienthongError, code="configuration.invalid", status=500, exit_code=2):
    """Settings, state folders, command lines."""


class IdentityError(LienthongError, code="identity.invalid", status=400, exit_code=3):
    """Identifiers, keys, certificates, citizen numbers."""


class UnitError(LienthongError, code="units.invalid", status=400, exit_code=4):
    """Administrative units and agency codes."""


class DirectoryError(LienthongError, code="directory.invalid", status=500, exit_code=5):
    """The signed list of members, nodes and keys, and the refreshing of it."""


class ContractError(LienthongError, code="contracts.invalid", status=400, exit_code=6):
    """ODCS files and what they may not hold."""


class SourceError(LienthongError, code="sources.failed", status=502, exit_code=7):
    """Where an agency's data lives."""


class AgreementError(LienthongError, code="agreements.invalid", status=400, exit_code=8):
    """Who may ask for what."""


class MessageError(LienthongError, code="message.invalid", status=400, exit_code=9):
    """What crosses the wire: shape, signature, time."""


class TransportError(LienthongError, code="transport.failed", status=502, exit_code=10):
    """HTTP and TLS below the messages."""


class LedgerError(LienthongError, code="ledger.failed", status=500, exit_code=11):
    """The log, its store and its proofs."""


class EvidenceError(LienthongError, code="evidence.invalid", status=400, exit_code=12):
    """Bundles that do not prove what they claim."""


class NodeError(LienthongError, code="node.failed", status=500, exit_code=13):
    """A node as a running program, and the demo."""


# --- configuration -------------------------------------------------------------------


class UnknownSetting(ConfigurationError, code="configuration.unknown_setting"):
    """A settings file or the environment names a setting that does not exist."""


class InvalidSetting(ConfigurationError, code="configuration.invalid_setting"):
    """A setting's value is not of its type."""


# --- identity ------------------------------------------------------------------------


class InvalidIdentifier(
    IdentityError, code="identity.invalid_identifier", xroad="InvalidClientIdentifier"
):
    """A member, subsystem, service or node identifier is malformed."""


class InvalidKey(IdentityError, code="identity.invalid_key"):
    """A key file or key text cannot be read, or is of an algorithm that is not allowed."""


class UnsafeKeyFile(IdentityError, code="identity.unsafe_key_file", status=500):
    """A private key can be read by others than its owner."""


class InvalidCertificate(
    IdentityError, code="identity.invalid_certificate", xroad="IncorrectCertificate"
):
    """A certificate or certificate request cannot be read or does not fit its key."""


class SignatureInvalid(
    IdentityError, code="identity.signature_invalid", xroad="InvalidSignatureValue"
):
    """A signature does not belong to the data and key given."""


class InvalidCitizenNumber(IdentityError, code="identity.invalid_citizen_number"):
    """A citizen number breaks the rules of its kind."""


# --- units ---------------------------------------------------------------------------

# --- directory -----------------------------------------------------------------------

# --- contracts -----------------------------------------------------------------------

# --- sources -------------------------------------------------------------------------

# --- agreements ----------------------------------------------------------------------

# --- message -------------------------------------------------------------------------


class MessageMalformed(MessageError, code="message.malformed", xroad="InvalidMessage"):
    """A message between nodes does not have the form of the protocol."""


class HeadMalformed(MessageError, code="message.head_malformed", xroad="MalformedSignature"):
    """A head (signed note of a ledger) does not have its form."""


class ProofInvalid(MessageError, code="message.proof_invalid", xroad="InvalidHashChain"):
    """A message is not part of the group or tree whose head its sender signed."""


class ForeignMessage(MessageError, code="message.foreign", status=403, xroad="InvalidMessage"):
    """A message's sender, receiver or member does not belong to the connection or node."""


class MessageExpired(MessageError, code="message.expired", xroad="InvalidMessage"):
    """A message is older than its lifetime or from the future."""


class MessageReplayed(MessageError, code="message.replayed", status=409, xroad="InvalidMessage"):
    """A request id was used before for another message."""


class AnswerInDoubt(MessageError, code="message.in_doubt", status=504, xroad="ServiceFailed"):
    """Nobody can say whether the request was executed; it was not executed twice."""


class InconsistentAnswer(
    MessageError, code="message.inconsistent_answer", status=502, xroad="InconsistentResponse"
):
    """An answer does not belong to the request that was sent."""


class DigestMismatch(MessageError, code="message.digest_mismatch", xroad="InvalidBody"):
    """A body does not have the digest that was signed for it."""


class UnknownService(MessageError, code="message.unknown_service", xroad="UnknownService"):
    """The provider's node has no such service."""


class ServiceDisabled(MessageError, code="message.service_disabled", xroad="ServiceDisabled"):
    """The provider has switched the service off."""


class UnknownClient(
    MessageError, code="message.unknown_client", status=403, xroad="UnknownMember"
):
    """The subsystem that a caller names is not one that this node serves."""


class ClientNotAuthenticated(
    MessageError,
    code="message.client_not_authenticated",
    status=403,
    xroad="SslAuthenticationFailed",
):
    """A client system did not connect in the way agreed for its subsystem."""


class UnknownPath(MessageError, code="message.unknown_path", status=404, xroad="NotFound"):
    """A node was asked for an address that it does not serve."""


class NodeUnreachable(
    MessageError, code="message.node_unreachable", status=502, xroad="NetworkError"
):
    """No node of the provider could be reached."""

# --- xroad (client edge) -------------------------------------------------------------
# InternalError is what X-Road's own code reports for the first three (exchange/xroad/faults.py).


class MalformedTarget(MessageError, code="xroad.malformed_target", xroad="InternalError"):
    """A request target is not ``/r1/`` and five identifier parts."""


class UnsupportedProtocolVersion(
    MessageError, code="xroad.unsupported_version", xroad="InternalError"
):
    """A request asks for another version of the REST interface than 1."""


class MissingClient(MessageError, code="xroad.missing_client", xroad="InternalError"):
    """A request does not say which subsystem is asking."""


class InvalidHeader(MessageError, code="xroad.invalid_header", xroad="InvalidRequest"):
    """An X-Road header is too long, empty, or holds what cannot stand in it."""


class UnsupportedMethod(
    MessageError, code="xroad.unsupported_method", status=405, xroad="InvalidHttpMethod"
):
    """A request's method is none that X-Road passes on."""


class MissingParameter(MessageError, code="xroad.missing_parameter", xroad="InvalidRequest"):
    """A metaservice was asked without a parameter that it needs."""


class AmbiguousParameter(MessageError, code="xroad.ambiguous_parameter", xroad="InvalidRequest"):
    """A metaservice was given one parameter twice."""


class UnknownInstance(
    MessageError, code="xroad.unknown_instance", status=404, xroad="UnknownMember"
):
    """The clients of an instance were asked for that this node does not belong to."""


class ReservedServiceCode(MessageError, code="xroad.reserved_service_code"):
    """A service would take the name of a metaservice."""


class MalformedFault(MessageError, code="xroad.malformed_fault", xroad="InvalidMessage"):
    """A fault passed on by another node holds what cannot stand in an answer."""


# --- transport -----------------------------------------------------------------------

# --- ledger --------------------------------------------------------------------------


class LedgerUnavailable(LedgerError, code="ledger.unavailable", status=503, xroad="LoggingFailed"):
    """The ledger cannot take a record now (disk full, database away); nothing was sent."""


class LedgerCorrupt(LedgerError, code="ledger.corrupt", xroad="DatabaseError"):
    """The stored ledger contradicts its own hashes or signatures."""


class LedgerForked(LedgerError, code="ledger.forked", status=409, xroad="InvalidHashChain"):
    """Another node shows two histories of its ledger."""


class RecordNotFound(LedgerError, code="ledger.not_found", status=404, xroad="NotFound"):
    """The ledger holds no record under that id."""

# --- evidence ------------------------------------------------------------------------


class EvidenceMalformed(EvidenceError, code="evidence.malformed"):
    """A bundle is not in the form of an evidence bundle."""


class EvidenceRejected(EvidenceError, code="evidence.rejected"):
    """A bundle does not prove what it claims."""

# --- node ----------------------------------------------------------------------------


class NodeNotRunning(NodeError, code="node.not_running"):
    """A command needs the running node and no node answers in that state folder."""


class NodeNotInitialised(NodeError, code="node.not_initialised"):
    """A state folder holds no node."""


class NodeAlreadyRunning(NodeError, code="node.already_running"):
    """Another process runs this node."""


class NodeConflict(NodeError, code="node.conflict", status=409):
    """A command contradicts what the node already has under the same name."""


class NodeDraining(NodeError, code="node.draining", status=503, xroad="MaintenanceMode"):
    """The node is stopping and takes no new requests."""


class NotFound(NodeError, code="node.not_found", status=404, xroad="NotFound"):
    """The node has nothing under that name."""


class RequestMalformed(NodeError, code="node.request_malformed", status=422):
    """A call of the management API has fields that are missing or wrong."""
