"""How this program gets into tokens: the library to load, and where the PIN is.

    access = TokenAccess.of(settings)       # of a node
    access = TokenAccess.of_environment()   # of a command without a state folder

The PIN is looked for in this order: the file that the URI names (``pin-source``), the setting
``token_pin_file``, the environment variable ``LIENTHONG_TOKEN_PIN``, the systemd credential
``token-pin``. It is read anew whenever it is needed, so that it can be corrected while a node
runs, and it is never an option of a command: other users see those.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lienthong.errors import TokenModuleUnusable, TokenPinMissing, UnsafeKeyFile
from lienthong.identity.key_uri import KeyUri
from lienthong.settings import Settings, load_settings

CREDENTIAL = "token-pin"  # of systemd: LoadCredential=token-pin:/etc/…  (systemd.exec(5))
_LARGEST_PIN_BYTES = 1024


@dataclass(frozen=True, slots=True)
class TokenAccess:
    """What the settings say; a URI that says more goes first."""

    module: str = ""
    pin_file: str = ""
    pin: str = ""
    credentials: str = ""  # systemd's folder of this service

    @classmethod
    def of(cls, settings: Settings, environment: Mapping[str, str] = os.environ) -> Self:
        """Take it from a node's settings."""
        return cls(
            settings.token_module,
            settings.token_pin_file,
            settings.token_pin,
            environment.get("CREDENTIALS_DIRECTORY", ""),
        )

    @classmethod
    def of_environment(cls) -> Self:
        """Take it from the environment alone. Raises ConfigurationError leaves."""
        return cls.of(load_settings(None, os.environ))

    def module_of(self, uri: KeyUri) -> str:
        """The library to load. Raises TokenModuleUnusable."""
        module = uri.module_path or self.module
        if not module:
            raise TokenModuleUnusable(module="?", reason="no library is named")
        return module

    def pin_of(self, uri: KeyUri) -> str:
        """The PIN. Raises TokenPinMissing, UnsafeKeyFile (others may read the file)."""
        for path in filter(None, (uri.pin_source, self.pin_file)):
            return _read_pin(uri, Path(path))
        if self.pin:
            return self.pin
        credential = Path(self.credentials, CREDENTIAL)
        if self.credentials and credential.exists():
            return _first_line(uri, credential)  # systemd keeps others out
        raise TokenPinMissing(token=uri.token or "?", reason="no PIN is given")


def _read_pin(uri: KeyUri, path: Path) -> str:
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        raise TokenPinMissing(token=uri.token or "?", reason=f"{path} cannot be read") from error
    if mode & 0o077:
        raise UnsafeKeyFile(path=path, mode=oct(mode)[2:])
    return _first_line(uri, path)


def _first_line(uri: KeyUri, path: Path) -> str:
    try:
        with path.open("rb") as file:
            pin = file.read(_LARGEST_PIN_BYTES).decode().splitlines()
    except (OSError, ValueError) as error:
        raise TokenPinMissing(token=uri.token or "?", reason=f"{path} cannot be read") from error
    if not pin or not pin[0]:
        raise TokenPinMissing(token=uri.token or "?", reason=f"{path} is empty")
    return pin[0]
