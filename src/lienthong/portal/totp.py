"""The second factor: time-based one-time passwords (RFC 6238) and recovery codes.

Six digits, thirty seconds, HMAC-SHA-1: what every authenticator application understands. SHA-1
is safe here, as HMAC does not depend on collisions (RFC 6238 §1.2, RFC 4226 appendix B).
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
import struct
from hashlib import sha256
from urllib.parse import quote

STEP_SECONDS = 30
DIGITS = 6
SECRET_BYTES = 20  # RFC 4226 §4 R6: 160 bits
NEIGHBOURS = 1  # steps before and after, for clocks that differ (RFC 6238 §5.2)
RECOVERY_CODES = 10


def new_secret() -> str:
    """A secret as authenticator applications take it: Base32 without padding."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def code_at(secret: str, step: int) -> str:
    """The code of one time step (RFC 4226 §5.3)."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", step), "sha1")
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def matching_step(secret: str, code: str, now: float) -> int | None:
    """The step that ``code`` belongs to, or None; the caller must use each step once only."""
    given = re.sub(r"\s", "", code)
    if not re.fullmatch(r"[0-9]{6}", given):
        return None
    current = int(now) // STEP_SECONDS
    for step in range(current - NEIGHBOURS, current + NEIGHBOURS + 1):
        if hmac.compare_digest(code_at(secret, step), given):
            return step
    return None


def provisioning_uri(secret: str, account: str, issuer: str = "Liên Thông") -> str:
    """What the QR code says (Google Authenticator's key URI format)."""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
    return f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer, safe='')}"


def new_recovery_codes() -> list[str]:
    """Codes that each sign in once when the phone is lost: 50 random bits, easily typed."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"  # without what looks alike
    raw = ("".join(secrets.choice(alphabet) for _ in range(10)) for _ in range(RECOVERY_CODES))
    return [f"{each[:5]}-{each[5:]}" for each in raw]


def recovery_digest(account: str, code: str) -> str:
    """Under which a recovery code is kept."""
    plain = re.sub(r"[\s-]", "", code).lower()
    return sha256(f"{account}\0{plain}".encode()).hexdigest()
