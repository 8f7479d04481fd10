"""Sessions with PKCS#11 tokens: opened once, shared, opened anew after the token was away.

    token = token_of(uri, access)
    token.run(lambda session: …)       # one caller at a time; raises our errors only

``python-pkcs11`` initialises a library without its own locking, so there is one lock for each
library. A PIN that was refused is not tried again, and none is tried when the token says that
one more wrong one locks it: a service that restarts would otherwise lock its own token.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any, TypeVar

import pkcs11
from pkcs11 import Mechanism, TokenFlag
from pkcs11.exceptions import (
    AnotherUserAlreadyLoggedIn,
    MultipleTokensReturned,
    NoSuchToken,
    PinExpired,
    PinIncorrect,
    PinInvalid,
    PinLenRange,
    PinLocked,
    PKCS11Error,
    UserAlreadyLoggedIn,
    UserPinNotInitialized,
)

from lienthong.errors import (
    LienthongError,
    TokenFailed,
    TokenMissing,
    TokenModuleUnusable,
    TokenPinLocked,
    TokenPinWrong,
)
from lienthong.identity.key_uri import KeyUri
from lienthong.identity.token_access import TokenAccess

RETRY_SECONDS = 1.0  # after a failure: who asks in between gets the same answer at once

SIGNING = {"ed25519": Mechanism.EDDSA, "p256": Mechanism.ECDSA, "rsa": Mechanism.RSA_PKCS_PSS}

_Result = TypeVar("_Result")
_WRONG_PIN = (PinIncorrect, PinInvalid, PinLenRange)
_LOCKED_PIN = (PinLocked, PinExpired, UserPinNotInitialized)


class Module:
    """A PKCS#11 library in this process. Whoever uses it holds ``lock``."""

    def __init__(self, path: str) -> None:
        self.lock = threading.RLock()
        self.generation = 0
        self.path = path
        try:
            self.library: Any = pkcs11.lib(path)
        except (PKCS11Error, RuntimeError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise TokenModuleUnusable(module=path, reason=reason) from error

    def start_again(self) -> None:
        """Forget all sessions: libraries see a token that came back only after this."""
        self.generation += 1
        self.library.reinitialize()


def described_tokens(module_path: str) -> list[dict[str, Any]]:
    """The initialised tokens behind a library, as JSON values; no PIN is needed.

    Raises TokenModuleUnusable, TokenFailed.
    """
    module = _module_of(module_path)
    with module.lock:
        try:
            return [
                _described(token, module_path)
                for token in module.library.get_tokens()
                if TokenFlag.TOKEN_INITIALIZED in token.flags
            ]
        except PKCS11Error as error:
            raise TokenFailed(token=module_path, reason=type(error).__name__) from error


def _described(token: Any, module_path: str) -> dict[str, Any]:
    has = set(token.slot.get_mechanisms())
    serial = token.serial.decode("ascii", "replace")
    return {
        "uri": KeyUri(token=token.label, serial=serial, module_path=module_path).text,
        "model": f"{token.manufacturer_id} {token.model}",
        "algorithms": [name for name, needed in SIGNING.items() if needed in has],
        "pin_locked": TokenFlag.USER_PIN_LOCKED in token.flags,
    }


class Token:
    """One token; ``run`` opens, shares and reopens its session."""

    def __init__(self, module: Module, uri: KeyUri, access: TokenAccess) -> None:
        self.opened = 0  # counts sessions: objects found in an older one are void
        self._module = module
        self._uri = uri
        self._access = access
        self._session: Any = None
        self._generation = -1
        self._refused_pin = b""
        self._error: LienthongError | None = None
        self._retry_at = 0.0

    def run(self, work: Callable[[Any], _Result]) -> _Result:
        """Do ``work`` with the session; once more with a new one when the old is void.

        Raises TokenMissing, TokenPinMissing, TokenPinWrong, TokenPinLocked, TokenFailed, and
        what ``work`` raises.
        """
        with self._module.lock:
            if self._error is not None and time.monotonic() < self._retry_at:
                raise type(self._error)(**self._error.facts)
            try:
                result = self._run(work)
            except LienthongError as error:
                self._error, self._retry_at = error, time.monotonic() + RETRY_SECONDS
                self._session = None
                raise
            self._error = None
            return result

    def make(self, work: Callable[[Any], _Result]) -> _Result:
        """Do ``work`` in a session of its own that may write. Raises as ``run`` does."""
        with self._module.lock:
            try:
                token = self._find()
                session = self._log_in(token, writable=True)
                try:
                    return work(session)
                finally:
                    session.close()
            except PKCS11Error as error:
                raise self._failed(error) from error

    def mechanisms(self) -> set[Any]:
        """What the token can do. Raises TokenMissing, TokenFailed."""
        with self._module.lock:
            try:
                return set(self._find().slot.get_mechanisms())
            except PKCS11Error as error:
                raise self._failed(error) from error

    def _run(self, work: Callable[[Any], _Result]) -> _Result:
        try:
            if self._session is not None and self._generation == self._module.generation:
                try:
                    return work(self._session)
                except PKCS11Error:  # a session may be dropped by the token at any time
                    self._session = None
                    self._module.start_again()
            elif self._error is not None:
                self._module.start_again()
            self._session = self._log_in(self._find(), writable=False)
            self._generation = self._module.generation
            self.opened += 1
            return work(self._session)
        except PKCS11Error as error:
            raise self._failed(error) from error

    def _find(self) -> Any:
        uri = self._uri
        wanted: dict[str, Any] = {}
        if uri.token:
            wanted["token_label"] = uri.token
        if uri.serial:
            wanted["token_serial"] = uri.serial.encode()
        try:
            found = [
                token
                for token in self._module.library.get_tokens(**wanted)
                if (uri.slot_id is None or token.slot.slot_id == uri.slot_id)
                and TokenFlag.TOKEN_INITIALIZED in token.flags
            ]
        except (NoSuchToken, MultipleTokensReturned) as error:
            raise self._missing("no token fits") from error
        if len(found) != 1:
            raise self._missing("no token fits" if not found else "several tokens fit")
        return found[0]

    def _log_in(self, token: Any, *, writable: bool) -> Any:
        flags = token.flags
        if TokenFlag.USER_PIN_LOCKED in flags:
            raise self._locked("the token has locked its PIN")
        pin = self._access.pin_of(self._uri)
        mark = sha256(pin.encode()).digest()
        if mark == self._refused_pin:
            raise TokenPinWrong(token=token.label)
        if TokenFlag.USER_PIN_FINAL_TRY in flags:
            raise self._locked("one more wrong PIN locks the token")
        try:
            return token.open(rw=writable, user_pin=pin)
        except (UserAlreadyLoggedIn, AnotherUserAlreadyLoggedIn):
            return token.open(rw=writable)  # a login holds for the whole process
        except _WRONG_PIN as error:
            self._refused_pin = mark
            raise TokenPinWrong(token=token.label) from error
        except _LOCKED_PIN as error:
            raise self._locked("the token has locked its PIN") from error

    def _missing(self, reason: str) -> TokenMissing:
        return TokenMissing(token=self._name, module=self._module.path, reason=reason)

    def _locked(self, reason: str) -> TokenPinLocked:
        return TokenPinLocked(token=self._name, reason=reason)

    def _failed(self, error: PKCS11Error) -> TokenFailed:
        reason = f"{type(error).__name__} {error}".strip()
        return TokenFailed(token=self._name, reason=reason)

    @property
    def _name(self) -> str:
        uri = self._uri
        slot = "" if uri.slot_id is None else f"slot {uri.slot_id}"
        return uri.token or uri.serial or slot or "?"


_modules: dict[str, Module] = {}
_tokens: dict[tuple[Module, str, str, int | None, TokenAccess, str], Token] = {}
_opening = threading.Lock()


def token_of(uri: KeyUri, access: TokenAccess) -> Token:
    """The token that a URI names, one object for the whole process.

    Raises TokenModuleUnusable.
    """
    module = _module_of(access.module_of(uri))
    with _opening:
        place = (module, uri.token, uri.serial, uri.slot_id, access, uri.pin_source)
        found = _tokens.get(place)
        if found is None:
            found = _tokens[place] = Token(module, uri, access)
        return found


def _module_of(path: str) -> Module:
    with _opening:
        module = _modules.get(path)
        if module is None:
            module = _modules[path] = Module(path)
        return module
