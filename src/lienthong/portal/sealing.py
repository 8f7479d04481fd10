"""The portal's own secret: it seals what must not be read from the database, and ties forms to
the browser that was shown them.

The file ``secret.key`` (mode 0600) lies in the state folder. Whoever steals the database alone
gets no second factor out of it.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from lienthong.errors import PortalStateDamaged
from lienthong.given_paths import telling

KEY_BYTES = 32


class Sealer:
    """Seals texts (AES-CBC with HMAC, the Fernet form) and makes tokens of forms."""

    def __init__(self, key: bytes) -> None:
        self._forms = hmac.digest(key, b"forms", "sha256")
        sealing = hmac.digest(key, b"sealing", "sha256")
        self._fernet = Fernet(base64.urlsafe_b64encode(sealing))

    def seal(self, text: str) -> str:
        return self._fernet.encrypt(text.encode()).decode()

    def unseal(self, sealed: str, most_seconds: int | None = None) -> str | None:
        """None for what was not sealed here, or longer ago than ``most_seconds``."""
        try:
            return self._fernet.decrypt(sealed.encode(), ttl=most_seconds).decode()
        except (InvalidToken, ValueError):
            return None

    def form_token(self, cookie: str) -> str:
        """What a form must carry when it is sent by the browser that holds ``cookie``."""
        digest = hmac.digest(self._forms, cookie.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def is_form_token(self, cookie: str, token: str) -> bool:
        return hmac.compare_digest(self.form_token(cookie).encode(), token.encode())


def make_secret(path: Path) -> None:
    """Write a new secret, unless one is there. Raises PathUnusable."""
    if path.exists():
        return
    with telling(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))


def read_secret(path: Path) -> Sealer:
    """Raises PathUnusable, PortalStateDamaged."""
    with telling(path):
        key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise PortalStateDamaged(path=path)
    return Sealer(key)
