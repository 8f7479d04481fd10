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
    ├── NodeError                   a node as a running program; the demo             exit 13
    ├── CatalogueError              publishing, searching and harvesting datasets     exit 14
    └── PortalError                 web pages: accounts, sessions, forms              exit 15

A leaf is declared once, here, with its stable code, its HTTP status and the name that
X-Road gives to the same fault. What people read (message, cause, remedy; Vietnamese and
English) is data: ``error_texts/<first part of the code>.toml``. A test checks that both
sides are complete, and ``docs/reference/errors.md`` is generated from them.

    raise UnknownMember(member="VN/GOV/G99")

The keyword arguments are the facts of the case. They fill the texts, and they are shown to
whoever made the request: never put a secret or a personal key in one. The fact ``reason`` is a
short English phrase (its Vietnamese: ``reasons.py``), or the error that led to this one.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar

from lienthong.reasons import in_vietnamese


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


def _told(reason: object, language: str) -> str:
    """A reason within a sentence: without a full stop of its own, in the sentence's language."""
    if isinstance(reason, LienthongError):
        return reason.message(language).rstrip(".")
    words = str(reason).rstrip(".")
    return words if language == "en" else in_vietnamese(words)


def _harmless(fact: str) -> str:
    """A fact as it may stand in a line of a log and on a terminal; others may have written it."""
    if fact.isprintable():
        return fact
    return "".join(
        each if each.isprintable() else " " if each.isspace() else f"\\u{ord(each):04x}"
        for each in fact
    )


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

    def _text(self, key: str, language: str) -> str:
        text = error_texts().get(self.code, {}).get(key, self.code)
        facts = _Facts(self.facts)
        if "reason" in facts:
            facts["reason"] = _told(facts["reason"], language)
        facts.update((name, _harmless(fact)) for name, fact in facts.items() if type(fact) is str)
        return text.format_map(facts)

    def message(self, language: str = "vi") -> str:
        """Say what went wrong, in ``vi`` or ``en``."""
        return self._text("en" if language == "en" else "vi", language)

    def remedy(self, language: str = "vi") -> str:
        """Say what to do about it, in ``vi`` or ``en``."""
        return self._text("remedy_en" if language == "en" else "remedy_vi", language)

    def problem(self) -> dict[str, Any]:
        """The object of RFC 9457 that tells a program of it, in both languages."""
        return {
            "type": f"urn:lienthong:error:{self.code}",
            "title": self.code,
            "status": self.status,
            "code": self.code,
            "detail": self.message("vi"),
            "detail_en": self.message("en"),
            "remedy": self.remedy("vi"),
            "remedy_en": self.remedy("en"),
        }

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


class CatalogueError(LienthongError, code="catalogue.invalid", status=400, exit_code=14):
    """Publishing, searching and harvesting datasets."""


class PortalError(LienthongError, code="portal.invalid", status=400, exit_code=15):
    """The web pages: accounts, sessions, forms."""


# --- configuration -------------------------------------------------------------------


class UnknownSetting(ConfigurationError, code="configuration.unknown_setting"):
    """A settings file or the environment names a setting that does not exist."""


class InvalidSetting(ConfigurationError, code="configuration.invalid_setting"):
    """A setting's value is not of its type."""


class PathUnusable(ConfigurationError, code="configuration.path_unusable"):
    """A file or folder named on the command line cannot be read, made or written."""


class RootUnusable(ConfigurationError, code="configuration.root_unusable"):
    """The file given as the root of trust is none."""


class OptionInvalid(ConfigurationError, code="configuration.option_invalid"):
    """An option of a command has a value of the wrong form."""


class OneOptionWanted(ConfigurationError, code="configuration.one_option_wanted"):
    """Of several options of a command exactly one is wanted."""


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


class TokenError(IdentityError, code="identity.token", status=503):
    """A token (PKCS#11) that holds a key, and the way to it."""


class InvalidKeyUri(TokenError, code="identity.invalid_key_uri", status=400):
    """A ``pkcs11:`` URI (RFC 7512) cannot be read, or holds what it may not."""


class TokenModuleUnusable(TokenError, code="identity.token_module_unusable"):
    """The library of a token cannot be loaded, or none is named."""


class TokenMissing(TokenError, code="identity.token_missing"):
    """No token of that name is there, or several are."""


class TokenPinMissing(TokenError, code="identity.token_pin_missing"):
    """The PIN of a token is not given, or its file cannot be read."""


class TokenPinWrong(TokenError, code="identity.token_pin_wrong"):
    """A token refused the PIN; the same one is not tried again."""


class TokenPinLocked(TokenError, code="identity.token_pin_locked"):
    """A token has locked its PIN, or would with one more wrong one."""


class TokenKeyMissing(TokenError, code="identity.token_key_missing"):
    """A token does not hold the key, or cannot make it."""


class TokenKeyExists(TokenError, code="identity.token_key_exists", status=409):
    """A key is to be made in a token, and one of that name is there."""


class TokenFailed(TokenError, code="identity.token_failed"):
    """A token that was there does not sign: taken away, cut off, broken."""


class InvalidCitizenNumber(IdentityError, code="identity.invalid_citizen_number"):
    """A citizen number breaks the rules of its kind."""


# --- units ---------------------------------------------------------------------------


class UnknownUnit(UnitError, code="units.unknown_unit", status=404):
    """No administrative unit bore this code on this day."""


class UnitDayUnknown(UnitError, code="units.day_unknown"):
    """The day lies before the first map that is kept."""


class InvalidUnitDay(UnitError, code="units.invalid_day"):
    """A day is not written as YYYY-MM-DD."""


class UnitDataMissing(UnitError, code="units.data_missing", status=500):
    """A package that holds the maps is not installed, or its data cannot be read."""


class InvalidAgencyCode(UnitError, code="units.invalid_agency_code"):
    """An agency code breaks the form of its generation."""


class NoOldAgencyCode(UnitError, code="units.no_old_agency_code"):
    """An agency code of the new generation has no form in the old one."""


# --- directory -----------------------------------------------------------------------


class UnknownMember(
    DirectoryError, code="directory.unknown_member", status=404, xroad="UnknownMember"
):
    """No member of this identifier is in the directory."""


class UnknownNode(
    DirectoryError, code="directory.unknown_node", status=404, xroad="InvalidSecurityServer"
):
    """No node of this identifier is in the directory."""


class NotDelegated(
    DirectoryError, code="directory.not_delegated", status=403, xroad="AccessDenied"
):
    """A node speaks for a member that gave it no right to."""


class UnknownSigningKey(
    DirectoryError, code="directory.unknown_signing_key", status=403, xroad="KeyNotFound"
):
    """A node has no signing key of this id in the directory."""


class KeyRevoked(
    DirectoryError, code="directory.key_revoked", status=403, xroad="SignatureVerification"
):
    """A key, or the node or member that it belongs to, was revoked before the moment asked."""


class KeyNotValid(
    DirectoryError, code="directory.key_not_valid", status=403, xroad="SignatureVerification"
):
    """A key is used outside the dates of its statement."""


class CertificateNotAccepted(
    DirectoryError,
    code="directory.certificate_not_accepted",
    status=403,
    xroad="SslAuthenticationFailed",
):
    """A TLS certificate is not one that the directory lists for the node."""


class DirectoryUnreachable(
    DirectoryError, code="directory.unreachable", status=503, xroad="OutdatedGlobalConf"
):
    """No copy of the directory could be fetched."""


class DirectoryNotLoaded(
    DirectoryError, code="directory.not_loaded", status=503, xroad="OutdatedGlobalConf"
):
    """The node has no good copy of the directory yet."""


class DirectoryExpired(
    DirectoryError, code="directory.expired", status=503, xroad="OutdatedGlobalConf"
):
    """The newest copy of the directory is past its date: nobody signs it, or someone hides it."""


class DirectoryRollback(
    DirectoryError, code="directory.rollback", status=503, xroad="MalformedGlobalConf"
):
    """An older directory was offered than the one already known."""


class DirectoryInconsistent(
    DirectoryError, code="directory.inconsistent", status=503, xroad="MalformedGlobalConf"
):
    """Files of different versions of the directory were offered together."""


class DirectorySignatureInvalid(
    DirectoryError, code="directory.signature_invalid", status=503, xroad="MalformedGlobalConf"
):
    """A file of the directory is not signed by the keys that the root of trust names."""


class DirectoryMalformed(
    DirectoryError, code="directory.malformed", status=503, xroad="MalformedGlobalConf"
):
    """A file of the directory cannot be read."""


class WrongInstance(
    DirectoryError, code="directory.wrong_instance", status=400, xroad="InvalidRequest"
):
    """A record or request belongs to another instance than the root of trust."""


class RecordInvalid(
    DirectoryError, code="directory.record_invalid", status=400, xroad="MalformedGlobalConf"
):
    """A record of a member, node or authority breaks a rule or lacks its owner's signature."""


class KeyChangeRefused(
    DirectoryError, code="directory.key_change_refused", status=409, xroad="SignatureVerification"
):
    """A record changed without the old key's signature and without enough registrars."""


class StatementStale(KeyChangeRefused, code="directory.statement_stale"):
    """A statement is older than the one in the directory; nothing says that anyone cheats."""


class TimeAuthorityKnown(DirectoryError, code="directory.time_authority_known", status=409):
    """Another time-stamping authority has that name already."""


class TimeAuthorityUnknown(DirectoryError, code="directory.time_authority_unknown", status=404):
    """The directory names no time-stamping authority of that name."""


class RequestInvalid(DirectoryError, code="directory.request_invalid", status=400):
    """A request for approval cannot be read, or does not prove what it claims."""


class UnknownDirectoryVersion(
    DirectoryError, code="directory.unknown_version", status=404, xroad="NotFound"
):
    """A proof is asked as of a version of the directory that this copy never held."""


class DirectoryProofInvalid(DirectoryError, code="directory.proof_invalid", status=400):
    """A proof taken from a directory cannot be read or misses a part."""


class DirectoryStateInvalid(DirectoryError, code="directory.state_invalid", status=500):
    """A state folder holds no directory, or another one than asked for."""


class NothingToRevoke(DirectoryError, code="directory.nothing_to_revoke", status=404):
    """What is to be revoked is not in the directory."""


# --- contracts -----------------------------------------------------------------------


class ContractUnreadable(ContractError, code="contracts.unreadable"):
    """A contract file is missing, is not UTF-8 or is not YAML."""


class ContractTooLarge(ContractError, code="contracts.too_large"):
    """A contract file is over the limit of size, depth or number of fields."""


class UnsafeYaml(ContractError, code="contracts.unsafe_yaml"):
    """A contract uses YAML anchors, aliases or tags, which can hide or multiply content."""


class DuplicateContractKey(ContractError, code="contracts.duplicate_key"):
    """A mapping of a contract holds one key twice, so its meaning is in doubt."""


class OpenapiInvalid(ContractError, code="contracts.openapi_invalid"):
    """The description given of an existing service is not OpenAPI 3."""


class WsdlInvalid(ContractError, code="contracts.wsdl_invalid"):
    """The WSDL given for a SOAP service cannot be read, or does not describe one."""


class ContractVersionUnsupported(ContractError, code="contracts.version_unsupported"):
    """A contract is not of ODCS 3."""


class ContractSchemaMismatch(ContractError, code="contracts.schema_mismatch"):
    """A contract breaks the JSON Schema or the model of ODCS."""


class DatasetCount(ContractError, code="contracts.dataset_count"):
    """A contract describes no dataset that could be served."""


class StateSecretField(ContractError, code="contracts.state_secret", status=403):
    """A contract maps a state-secret field; such a field never enters the program."""


class ClassificationMissing(ContractError, code="contracts.classification_missing"):
    """A field has no classification."""


class ClassificationUnknown(ContractError, code="contracts.classification_unknown"):
    """A classification is none of ours."""


class LegalBasisMissing(ContractError, code="contracts.legal_basis_missing"):
    """A contract does not say on which legal basis the data is held."""


class UnknownContractProperty(ContractError, code="contracts.unknown_property"):
    """A ``lienthong:`` property does not exist, or not at this place."""


class InvalidContractProperty(ContractError, code="contracts.invalid_property"):
    """A ``lienthong:`` property has a value of the wrong kind, or is given twice."""


class KeyNotDeclared(ContractError, code="contracts.key_not_declared"):
    """A contract does not name one field as the key of its records."""


class FieldNameInvalid(ContractError, code="contracts.field_name_invalid"):
    """A field's name is not usable in addresses, or is used twice."""


class FieldTypeUnsupported(ContractError, code="contracts.field_type_unsupported"):
    """A field has no logical type, or dates in a format that cannot be served."""


class ExampleMismatch(ContractError, code="contracts.example_mismatch"):
    """An example of a field is not of the field's type."""


class VersionNumberInvalid(ContractError, code="contracts.version_number_invalid"):
    """A contract's version is not a number of the form X.Y.Z."""


class VersionRuleBroken(ContractError, code="contracts.version_rule_broken"):
    """A new version of a contract changes more than its version number says."""


class BreakingChange(ContractError, code="contracts.breaking_change"):
    """A new version of a contract breaks who uses the old one, where none may."""


# --- sources -------------------------------------------------------------------------


class SourceAddressInvalid(SourceError, code="sources.address_invalid", status=500):
    """The address of a source is malformed or of an unknown kind."""


class SourceUnreachable(SourceError, code="sources.unreachable", xroad="ServiceFailed"):
    """A source cannot be reached or does not let the node in."""


class SourceTimeout(SourceError, code="sources.timeout", status=504, xroad="ServiceFailed"):
    """A source did not answer within its time."""


class SourceBusy(SourceError, code="sources.busy", status=503, xroad="ServiceFailed"):
    """All connections to a source are in use."""


class SourceQueryFailed(SourceError, code="sources.query_failed", xroad="ServiceFailed"):
    """A source refused a query for a reason that no more specific error names."""


class TableMissing(SourceError, code="sources.table_missing", xroad="ServiceFailed"):
    """The table that the contract names is not in the source."""


class ColumnMissing(SourceError, code="sources.column_missing", xroad="ServiceFailed"):
    """A column that the contract names is not in the source."""


class KeyTypeMismatch(SourceError, code="sources.key_type_mismatch", xroad="ServiceFailed"):
    """The key's column in the source is not of the type that the contract gives the key."""


class FileUnreadable(SourceError, code="sources.file_unreadable", xroad="ServiceFailed"):
    """A CSV or Parquet file is missing or cannot be read."""


class TableChoiceWanted(SourceError, code="sources.table_choice_wanted", status=400):
    """A source has several tables, and none was chosen."""


class NothingToDescribe(SourceError, code="sources.nothing_to_describe", status=400):
    """A table, or a source, holds nothing from which a contract could be proposed."""


class QualityNotMet(SourceError, code="sources.quality_not_met", status=422):
    """The data of a source breaks rules of quality of its contract."""


class QualityNotMeasured(SourceError, code="sources.quality_not_measured", status=422):
    """A rule of quality could not be measured in the source."""


class RecordFaulty(SourceError, code="sources.record_faulty", xroad="ServiceFailed"):
    """The record asked for breaks its contract."""


class UnknownEndpoint(SourceError, code="sources.unknown_endpoint", status=404, xroad="NotFound"):
    """A data service has no such path."""


class MethodNotAllowed(
    SourceError, code="sources.method_not_allowed", status=405, xroad="InvalidHttpMethod"
):
    """A data service has the path, under another method."""


class UnknownField(SourceError, code="sources.unknown_field", status=400, xroad="BadRequest"):
    """A request names a field that the contract does not have."""


class InvalidQuery(SourceError, code="sources.invalid_query", status=400, xroad="BadRequest"):
    """A request to a data service is not of the form that its OpenAPI description gives."""


class DuplicateJsonKey(
    SourceError, code="sources.duplicate_json_key", status=400, xroad="BadRequest"
):
    """A JSON object of a request holds one key twice."""


class QueryTooLarge(SourceError, code="sources.query_too_large", status=413, xroad="BadRequest"):
    """The body of a request to a data service is too long or nested too deeply."""


class TooManyKeys(SourceError, code="sources.too_many_keys", status=400, xroad="BadRequest"):
    """A look-up asks for more keys than one request may."""


class InvalidKeyValue(SourceError, code="sources.invalid_key", status=400, xroad="BadRequest"):
    """A key is not of the key's type."""


class InvalidClaim(SourceError, code="sources.invalid_claim", status=400, xroad="BadRequest"):
    """A claim is not of its field's type."""


class NothingGranted(SourceError, code="sources.nothing_granted", status=403, xroad="AccessDenied"):
    """None of the fields asked for may be released."""


class RelayAddressInvalid(SourceError, code="sources.relay_address_invalid", status=500):
    """The address of a relayed service is malformed."""


class RelayTargetInvalid(
    SourceError, code="sources.relay_target_invalid", status=400, xroad="BadRequest"
):
    """The path or query of a relayed request holds characters that no address may hold."""


class RelayUnreachable(SourceError, code="sources.relay_unreachable", xroad="ServiceFailed"):
    """A relayed service cannot be reached, or broke off its answer."""


class RelayAnswerUnusable(SourceError, code="sources.relay_answer_unusable", xroad="ServiceFailed"):
    """A relayed service answered with what is not HTTP/1.1, or with more than the limits allow."""


class RelayTimeout(SourceError, code="sources.relay_timeout", status=504, xroad="ServiceFailed"):
    """A relayed service did not answer within its time."""


# --- agreements ----------------------------------------------------------------------


class InvalidAgreementDocument(AgreementError, code="agreements.document"):
    """An agreement or a statement about it is malformed."""


class InvalidPath(AgreementError, code="agreements.path", xroad="BadRequest"):
    """A request path that two programs could read in two ways."""


class InvalidPattern(AgreementError, code="agreements.pattern"):
    """An endpoint pattern is malformed."""


class UnknownAgreement(AgreementError, code="agreements.unknown", status=404):
    """No agreement has this id on this node."""


class AgreementConflict(AgreementError, code="agreements.conflict", status=409):
    """Another document is known under this id."""


class StepNotAllowed(AgreementError, code="agreements.step", status=409):
    """An agreement is not in the state that the step needs."""


class NotAParty(AgreementError, code="agreements.not_a_party", status=403):
    """A node speaks for, or is asked about, a subsystem that it does not host."""


class StatementNotAccepted(AgreementError, code="agreements.statement", status=403):
    """A statement's signer, key, delegation or signature does not hold."""


class PartyWithoutNode(AgreementError, code="agreements.no_node", status=409):
    """The directory knows no node for a party."""


class ServiceMismatch(AgreementError, code="agreements.service", status=409):
    """The provider does not offer the service in the form that the agreement describes."""


class TooManyProposals(AgreementError, code="agreements.too_many_proposals", status=429):
    """A party has too many unanswered proposals."""


class AgreementNotDelivered(AgreementError, code="agreements.not_delivered", status=502):
    """Another node did not take an agreement in; it is tried again."""


class AgreementStoreFailed(AgreementError, code="agreements.store", status=503):
    """The node's database refused a step of an agreement."""


class EndpointWanted(AgreementError, code="agreements.endpoint_wanted", status=422):
    """An agreement about a relay service names no endpoint."""


class PeriodOver(AgreementError, code="agreements.period_over", status=422):
    """An agreement is proposed for a time that is over already."""


class AccessDenied(
    AgreementError, code="agreements.access_denied", status=403, xroad="AccessDenied"
):
    """A request that no agreement allows."""


class NoAgreement(AccessDenied, code="agreements.none"):
    """There is no agreement between the consumer and the service."""


class AgreementNotAccepted(AccessDenied, code="agreements.not_accepted"):
    """The other party has not accepted the agreement yet."""


class AgreementRefused(AccessDenied, code="agreements.refused"):
    """The other party refused the agreement."""


class AgreementWithdrawn(AccessDenied, code="agreements.withdrawn"):
    """A party withdrew the agreement."""


class AgreementExpired(AccessDenied, code="agreements.expired"):
    """The agreement's time is over."""


class AgreementNotYetValid(AccessDenied, code="agreements.not_yet_valid"):
    """The agreement's time has not come."""


class ServiceKindNotAgreed(AccessDenied, code="agreements.kind"):
    """The agreement is about fields and the service a relay, or the other way round."""


class EndpointNotAgreed(AccessDenied, code="agreements.endpoint"):
    """The agreement does not cover the method and path."""


class PurposeNotAgreed(AccessDenied, code="agreements.purpose"):
    """The agreement does not cover the purpose."""


class FieldsNotAgreed(AccessDenied, code="agreements.fields"):
    """The agreement grants none of the fields that were asked."""


class RateExceeded(AccessDenied, code="agreements.rate", status=429):
    """More requests a second than agreed."""


class ReservationWanted(AccessDenied, code="agreements.reservation", status=429):
    """This gateway has used up its share of a rate or quota and has to reserve more first."""


class QuotaExceeded(AccessDenied, code="agreements.quota", status=429):
    """More was asked in a day than agreed."""


# --- message -------------------------------------------------------------------------


class MessageMalformed(MessageError, code="message.malformed", xroad="InvalidMessage"):
    """A message between nodes does not have the form of the protocol."""


class HeadMalformed(MessageError, code="message.head_malformed", xroad="MalformedSignature"):
    """A head (signed note of a ledger) does not have its form."""


class ProofInvalid(MessageError, code="message.proof_invalid", xroad="InvalidHashChain"):
    """A message is not part of the group or tree whose head its sender signed."""


class ForeignMessage(MessageError, code="message.foreign", status=403, xroad="InvalidMessage"):
    """A message's sender, receiver or member does not belong to the connection or node."""


class TooManyTraces(MessageError, code="message.too_many_traces", status=429):
    """Another node asks for more traces than this one answers."""


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


class UnknownClient(MessageError, code="message.unknown_client", status=403, xroad="UnknownMember"):
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


class NoCommonVersion(
    MessageError, code="message.no_common_version", status=502, xroad="NetworkError"
):
    """Our node and the provider's speak no version of the protocol in common."""


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


class WrongSecurityServer(
    MessageError, code="xroad.wrong_security_server", status=404, xroad="InvalidSecurityServer"
):
    """X-Road-Security-Server names a node that does not answer for the service."""


class DescriptionMissing(
    MessageError, code="xroad.description_missing", status=404, xroad="NotFound"
):
    """getOpenAPI was asked about a service whose provider gave no description."""


class ReservedServiceCode(MessageError, code="xroad.reserved_service_code"):
    """A service would take the name of a metaservice."""


class MalformedFault(MessageError, code="xroad.malformed_fault", xroad="InvalidMessage"):
    """A fault passed on by another node holds what cannot stand in an answer."""


# --- soap (client edge, and SOAP services) ---------------------------------------------


class SoapContentType(MessageError, code="soap.content_type", xroad="InvalidContentType"):
    """A Content-Type is not one that SOAP 1.1 travels in, or cannot be read."""


class MultipartMalformed(MessageError, code="soap.multipart", xroad="MimeParsingFailed"):
    """The parts of a message with attachments cannot be told apart for certain."""


class SoapEncodingUnusable(MessageError, code="soap.encoding", xroad="InvalidXml"):
    """The character encoding of an envelope is unknown, not allowed or contradictory."""


class SoapXmlInvalid(MessageError, code="soap.xml", xroad="InvalidXml"):
    """An envelope is not well-formed XML."""


class SoapDoctype(MessageError, code="soap.doctype", xroad="InvalidXml"):
    """An envelope has a document type, with which entities could be declared."""


class SoapTooLarge(MessageError, code="soap.too_large", status=413, xroad="InvalidXml"):
    """An envelope has more bytes, elements, attributes or depth than is read."""


class NotAnEnvelope(MessageError, code="soap.not_an_envelope", xroad="InvalidSoap"):
    """XML that is not an envelope of SOAP 1.1."""


class SoapHeaderMissing(MessageError, code="soap.header_missing", xroad="MissingHeader"):
    """An envelope has no header."""


class SoapFieldMissing(MessageError, code="soap.field_missing", xroad="MissingHeaderField"):
    """An X-Road header field is missing or empty."""


class SoapFieldTwice(MessageError, code="soap.field_twice", xroad="DuplicateHeaderField"):
    """An X-Road header field stands twice."""


class SoapFieldInvalid(MessageError, code="soap.field_invalid", xroad="InvalidXml"):
    """An X-Road header field does not have its form."""


class SoapVersionUnsupported(
    MessageError, code="soap.protocol_version", xroad="InvalidProtocolVersion"
):
    """``protocolVersion`` is not 4.x."""


class SoapBodyMissing(MessageError, code="soap.body_missing", xroad="MissingBody"):
    """An envelope has no body."""


class SoapBodyInvalid(MessageError, code="soap.body_invalid", xroad="InvalidBody"):
    """The body does not have exactly one element."""


class SoapOperationMismatch(MessageError, code="soap.operation", xroad="InconsistentHeaders"):
    """The element in the body is not named like the service."""


class SoapInconsistent(MessageError, code="soap.inconsistent", xroad="InconsistentHeaders"):
    """An envelope says another thing than the signed message that carries it."""


class SoapActionRefused(MessageError, code="soap.action", xroad="InvalidSoapAction"):
    """SOAPAction names something else than the service's operation."""


class SoapAnswerUnusable(
    MessageError,
    code="soap.answer_unusable",
    status=502,
    xroad="ServiceFailed.InvalidSoap",
):
    """A SOAP service answered with what is no SOAP message."""


class SoapAnswerInconsistent(
    MessageError,
    code="soap.answer_inconsistent",
    status=502,
    xroad="ServiceFailed.InconsistentResponse",
):
    """An answer does not repeat the request's header fields, or not its hash."""


class ServiceProtocolMismatch(MessageError, code="soap.service_type", xroad="ServiceType"):
    """A SOAP service was called by REST, or the other way round."""


# --- transport -----------------------------------------------------------------------


class HttpMalformed(
    TransportError, code="transport.http_malformed", status=400, xroad="BadRequest"
):
    """A request breaks HTTP/1.1, or could be read in two ways (request smuggling)."""


class HeadTooLarge(TransportError, code="transport.head_too_large", status=431, xroad="BadRequest"):
    """A request has too many or too long headers."""


class TargetTooLong(
    TransportError, code="transport.target_too_long", status=414, xroad="BadRequest"
):
    """A request's path and query are too long."""


class BodyTooLarge(TransportError, code="transport.body_too_large", status=413, xroad="BadRequest"):
    """A request's body is larger than the limit."""


class HttpMethodNotSupported(
    TransportError, code="transport.method_not_supported", status=501, xroad="InvalidHttpMethod"
):
    """A request uses a method that this program does not carry."""


class HttpVersionNotSupported(
    TransportError, code="transport.version_not_supported", status=505, xroad="BadRequest"
):
    """A request is not of HTTP/1.0 or HTTP/1.1."""


class ExpectationFailed(
    TransportError, code="transport.expectation_failed", status=417, xroad="BadRequest"
):
    """A request expects something else than ``100-continue``."""


class RequestTooSlow(
    TransportError, code="transport.request_too_slow", status=408, xroad="IOError"
):
    """A request's head or body does not arrive in time."""


class TooManyConnections(
    TransportError, code="transport.too_many_connections", status=503, xroad="NetworkError"
):
    """The server holds as many connections as it may."""


class HandlerFailed(
    TransportError, code="transport.handler_failed", status=500, xroad="InternalError"
):
    """A request met an unexpected fault of this program."""


class SpoolFailed(TransportError, code="transport.spool_failed", status=507, xroad="IOError"):
    """A large body cannot be written to the disk."""


class ListenFailed(TransportError, code="transport.listen_failed", status=500):
    """A port cannot be opened."""


class TlsConfigurationInvalid(
    TransportError, code="transport.tls_configuration_invalid", status=500
):
    """A certificate, key or list of authorities for TLS cannot be used."""


class InvalidAddress(TransportError, code="transport.invalid_address", status=400):
    """An address is not of the form ``https://host:port``."""


class RequestUnsendable(TransportError, code="transport.request_unsendable", status=400):
    """A request made here cannot be written as HTTP without breaking it."""


class ConnectFailed(TransportError, code="transport.connect_failed", xroad="NetworkError"):
    """No connection to a peer or service can be made."""


class TlsFailed(TransportError, code="transport.tls_failed", xroad="SslAuthenticationFailed"):
    """TLS with a peer or service fails: certificate, protocol version or alert."""


class PeerClosed(TransportError, code="transport.peer_closed", xroad="NetworkError"):
    """A peer or service closed the connection before its answer was complete."""


class ClosedAfterHandshake(
    PeerClosed, code="transport.closed_after_handshake", xroad="SslAuthenticationFailed"
):
    """A peer closed a new TLS connection without a word; mostly it refused our certificate."""


class TimedOut(TransportError, code="transport.timed_out", status=504, xroad="NetworkError"):
    """A peer or service did not answer in time."""


class ResponseMalformed(TransportError, code="transport.response_malformed", xroad="HttpError"):
    """A peer or service answered with something that is not HTTP/1.1."""


class ResponseTooLarge(TransportError, code="transport.response_too_large", xroad="IOError"):
    """A peer's or service's answer is larger than the limit."""


class PoolExhausted(
    TransportError, code="transport.pool_exhausted", status=503, xroad="NetworkError"
):
    """All connections to other programs are in use."""


# --- ledger --------------------------------------------------------------------------


class LedgerUnavailable(LedgerError, code="ledger.unavailable", status=503, xroad="LoggingFailed"):
    """The ledger cannot take a record now (disk full, database away); nothing was sent."""


class RequestRegistered(LedgerError, code="ledger.request_registered", status=409):
    """Another gateway of this node has taken the request already: it is not executed again."""


class LedgerCorrupt(LedgerError, code="ledger.corrupt", xroad="DatabaseError"):
    """The stored ledger contradicts its own hashes or signatures."""


class LedgerForked(LedgerError, code="ledger.forked", status=409, xroad="InvalidHashChain"):
    """Another node shows two histories of its ledger."""


class TimeStampInvalid(LedgerError, code="ledger.time_stamp_invalid", status=400):
    """A time-stamp does not prove that a head existed at a time."""


class CosignatureInvalid(LedgerError, code="ledger.cosignature_invalid", status=400):
    """A witness's signature does not stand under this head."""


class WitnessedOther(LedgerError, code="ledger.witnessed_other", status=409):
    """A witness last signed a head of another size than the proof begins with."""


class GrowthUnproven(LedgerError, code="ledger.growth_unproven", status=422):
    """A proof does not show that one head grew out of another."""


class IndexKeyWrong(LedgerError, code="ledger.index_key"):
    """The key of the ledger's index is missing or is not the one that the index was made with."""


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


class NodeWaiting(NodeError, code="node.waiting", status=503):
    """A command needs the running node, which runs but waits for the directory's approval."""


class MemberKeyWanted(NodeError, code="node.member_key_wanted", status=409):
    """A further node of a member that is in the directory is made without the member's key."""


class NodeStateDamaged(NodeError, code="node.state_damaged"):
    """A file of the state folder is there but cannot be what this program wrote."""


class NodeNotApproved(NodeError, code="node.not_approved", status=503):
    """The directory does not name this node yet, or no longer, with a certificate for its key."""


class SubsystemNotHosted(NodeError, code="node.subsystem_not_hosted", status=422):
    """A service or client is to belong to a subsystem that this node does not speak for."""


class ClientCertificateUnusable(NodeError, code="node.client_certificate", status=422):
    """The certificate given for a client system cannot be read."""


class WorkersNeedPostgresql(NodeError, code="node.workers_need_postgresql", status=422):
    """Several processes of one node share a database that one process alone may write to."""


class NodeAlreadyRunning(NodeError, code="node.already_running"):
    """Another process runs this node."""


class SchemaTooNew(NodeError, code="node.schema_too_new"):
    """The database was made by a newer release than the one that was started."""


class SchemaVersionUnknown(NodeError, code="node.schema_unknown", status=422):
    """A version of the database was asked for that this release does not have."""


class SchemaChangeFailed(NodeError, code="node.schema_change"):
    """The tables could not be brought to another version; they are as they were."""


class NotABackup(NodeError, code="node.not_a_backup", status=422):
    """The file given to restore from was not written by ``lienthong backup``."""


class BackupCut(NodeError, code="node.backup_cut", status=422):
    """A backup file ends before its end."""


class BackupDamaged(NodeError, code="node.backup_damaged", status=422):
    """A backup file holds something else than what was written."""


class BackupLocked(NodeError, code="node.backup_locked", status=403):
    """A backup file does not open with the passphrase given."""


class BackupForged(NodeError, code="node.backup_forged", status=403):
    """A backup's manifest was not made with the key of the node that it names."""


class PassphraseWanted(NodeError, code="node.passphrase_wanted", status=422):
    """A backup with keys needs a passphrase of some length."""


class RestoreTargetTaken(NodeError, code="node.restore_target_taken", status=409):
    """A backup would be restored over something that is there."""


class OtherDatabaseWanted(NodeError, code="node.other_database_wanted", status=422):
    """A backup of SQLite is to be restored into PostgreSQL, or the other way round."""


class NodeConflict(NodeError, code="node.conflict", status=409):
    """A command contradicts what the node already has under the same name."""


class NodeDraining(NodeError, code="node.draining", status=503, xroad="MaintenanceMode"):
    """The node is stopping and takes no new requests."""


class NodeReported(NodeError, code="node.remote"):
    """The running node refused a command; its own error is shown: code, texts, exit code."""

    def __init__(self, **problem: Any) -> None:
        super().__init__(**problem)
        self.code = str(problem.get("code", self.code))  # type: ignore[misc]
        self.exit_code = int(problem.get("exit_code", 1))  # type: ignore[misc]
        told = problem.get("status")  # of RFC 9457: a page about what is not there is a 404
        if isinstance(told, int) and 400 <= told < 600:
            self.status = told  # type: ignore[misc]

    def message(self, language: str = "vi") -> str:
        """Say what the node said."""
        return str(self.facts.get("detail_en" if language == "en" else "detail", self.code))

    def remedy(self, language: str = "vi") -> str:
        """Say what the node advised."""
        return str(self.facts.get("remedy_en" if language == "en" else "remedy", ""))


class CountersInvalid(NodeError, code="node.counters_invalid", status=502):
    """What a node gave as its counters of an hour is not what it signed, or not of that hour."""


class CountersMissing(NodeError, code="node.counters_missing", status=404):
    """A node has no counters of an hour."""


class NothingTraced(NodeError, code="node.nothing_traced", status=404):
    """No log and no ledger within reach knows the id that was to be followed."""


class NotFound(NodeError, code="node.not_found", status=404, xroad="NotFound"):
    """The node has nothing under that name."""


class RequestMalformed(NodeError, code="node.request_malformed", status=422):
    """A call of the management API has fields that are missing or wrong."""


# --- demo ----------------------------------------------------------------------------


class DemoStepFailed(NodeError, code="demo.step_failed"):
    """A step of the tour gave another result than it should."""


class DemoCommandFailed(NodeError, code="demo.command_failed"):
    """A public command that the demo ran did not succeed."""


class DemoNotReady(NodeError, code="demo.not_ready"):
    """A process of the demo did not become ready."""


class DemoFolderInUse(NodeError, code="demo.folder_in_use"):
    """The folder given for the demo holds something else."""


class DemoPortsTaken(NodeError, code="demo.ports_taken"):
    """Ports that the demo needs are taken."""


# --- portal --------------------------------------------------------------------------


class PortalNotInitialised(PortalError, code="portal.not_initialised", status=500):
    """A folder given as a portal's state folder holds no portal."""


class PortalStateDamaged(PortalError, code="portal.state_damaged", status=500):
    """A file in the portal's state folder is not what the portal wrote."""


class PortalStoreFailed(PortalError, code="portal.store_failed", status=503):
    """The portal's database does not answer or refuses to write."""


class PortalFilesMissing(PortalError, code="portal.files_missing", status=500):
    """The typeface or the script that the pages are served with is not installed."""


class AccountExists(PortalError, code="portal.account_exists", status=409):
    """Another account has that name already."""


class AccountUnknown(PortalError, code="portal.account_unknown", status=404):
    """There is no account of that name."""


class AccountNameInvalid(PortalError, code="portal.account_name_invalid", status=422):
    """A name for signing in is too short, too long, or has other letters than a–z."""


class PasswordWeak(PortalError, code="portal.password_weak", status=422):
    """A new password is too short, too long, of few letters, or holds the account's name."""


class SignInRefused(PortalError, code="portal.sign_in_refused", status=403):
    """Name, password or code are wrong; which one is told to nobody."""


class SignInLocked(PortalError, code="portal.sign_in_locked", status=429):
    """Too many failed sign-ins under one name; further ones wait."""


class RoleUnknown(PortalError, code="portal.role_unknown", status=422):
    """A role is named that does not exist."""


class ProviderFailed(PortalError, code="portal.provider_failed", status=502):
    """The OpenID Connect provider does not answer, or what it says does not hold."""


class FormStale(PortalError, code="portal.form_stale", status=403):
    """A form was not sent by the browser that was shown it, or too long ago."""


class PageForbidden(PortalError, code="portal.forbidden", status=403):
    """The account has none of the roles that may open the page, or acts for another member."""


class PageUnknown(PortalError, code="portal.page_unknown", status=404):
    """There is no such page."""


class NodeNotLinked(PortalError, code="portal.node_not_linked", status=503):
    """The portal has no node whose console it could show."""


class FormTooLarge(PortalError, code="portal.form_too_large", status=413):
    """What was sent is larger than any form of the portal."""


# --- catalogue -----------------------------------------------------------------------


class CatalogueNotInitialised(CatalogueError, code="catalogue.not_initialised", status=500):
    """A folder given as a catalogue's state folder holds no catalogue."""


class CatalogueStoreFailed(CatalogueError, code="catalogue.store", status=500):
    """The catalogue's database did not do what was asked."""


class EntryUnknown(CatalogueError, code="catalogue.unknown", status=404, xroad="NotFound"):
    """The catalogue has no such dataset, or it was withdrawn."""


class QueryInvalid(CatalogueError, code="catalogue.query"):
    """A search that asks for too much, or by a filter that there is not."""


class InvalidPublication(CatalogueError, code="catalogue.publication"):
    """What a node sent is no publication, or contradicts its contract."""


class PublicationNotAccepted(CatalogueError, code="catalogue.not_accepted", status=403):
    """The directory does not give the node the right to publish this for the owner."""


class PublicationConflict(CatalogueError, code="catalogue.conflict", status=409):
    """The version was published with other content, or a newer one is in force."""


class PublicationOutdated(CatalogueError, code="catalogue.outdated", status=409):
    """A publication that was signed before the one that the catalogue has."""


class NothingToPublish(CatalogueError, code="catalogue.nothing_to_publish"):
    """The node has no such contract service, or was not told where the catalogue is."""


class CatalogueUnreachable(CatalogueError, code="catalogue.unreachable", status=502):
    """The catalogue could not be asked."""


class CatalogueRefused(CatalogueError, code="catalogue.refused", status=502):
    """The catalogue did not accept what was sent; it says why."""


class HarvestSourceUnknown(CatalogueError, code="catalogue.harvest_unknown", status=404):
    """No source of that name is harvested."""


class HarvestSourceInvalid(CatalogueError, code="catalogue.harvest_source"):
    """What is to be harvested has no usable name or address, or is there already."""


class HarvestBusy(CatalogueError, code="catalogue.harvest_busy", status=409):
    """A source is being harvested by this or another process; one is at a time."""


class HarvestFailed(CatalogueError, code="catalogue.harvest_failed", status=502):
    """A source could not be harvested whole; nothing that was there before is lost."""
