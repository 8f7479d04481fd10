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

# --- transport -----------------------------------------------------------------------

# --- ledger --------------------------------------------------------------------------

# --- evidence ------------------------------------------------------------------------

# --- node ----------------------------------------------------------------------------
