"""The keys of a running node: the one in use, and the next one that waits for its turn.

    keys = NodeKeys(state, settings, node)
    keys.signing.current.sign(data)     # a file's or a token's
    keys.follow(view, now)              # after each refresh of the directory

``lienthong node rotate`` puts the next key beside the one in use (``signing.next.pem``). It is
taken into use once the directory names it and every node has had two refreshes to learn of it;
until then, and if the operator never approves, the node goes on with what it has.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime
from pathlib import Path

from lienthong.directory.view import DirectoryView
from lienthong.errors import DirectoryError, LienthongError
from lienthong.events import log_event
from lienthong.identity.key_files import open_key
from lienthong.identity.keys import PublicKey, SigningKey
from lienthong.identity.token_access import TokenAccess
from lienthong.node.state import StateFolder
from lienthong.settings import Settings

CHECK_SECONDS = 5.0  # a token is asked to sign this often, so that /health knows of its loss
SETTLING_REFRESHES = 2.0  # how many refreshes the other nodes have to learn of something new

logger = logging.getLogger("lienthong.node.keys")


class Settling:
    """Whether what the directory says is old enough for all nodes to know of it."""

    def __init__(self, refresh_seconds: float) -> None:
        self._seconds = refresh_seconds * SETTLING_REFRESHES
        self._seen: dict[str, float] = {}

    def is_settled(self, name: str) -> bool:
        """Whether ``name`` was first asked for long enough ago."""
        first = self._seen.setdefault(name, time.monotonic())
        return time.monotonic() - first >= self._seconds


class KeyInUse:
    """A ``SigningKey`` that may be replaced while others hold it."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    @property
    def current(self) -> SigningKey:
        return self._key

    @property
    def public(self) -> PublicKey:
        return self._key.public

    @property
    def is_remote(self) -> bool:
        return self._key.is_remote

    @property
    def trouble(self) -> LienthongError | None:
        return self._key.trouble

    @property
    def ends(self) -> datetime | None:
        return self._key.ends

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)

    def check(self) -> None:
        self._key.check()

    def replace(self, key: SigningKey) -> None:
        """From now on this one signs."""
        self._key = key


class NodeKeys:
    """See the module's text. Raises InvalidKey, UnsafeKeyFile, TokenError leaves when made."""

    def __init__(self, state: StateFolder, settings: Settings, node: str) -> None:
        self._state = state
        self._node = node
        self._access = TokenAccess.of(settings)
        self._settling = Settling(settings.directory_refresh_seconds)
        self.signing = KeyInUse(open_key(state.signing_key, self._access))
        self._mark = _mark_of(state.signing_key)
        self._told: str | None = None

    def follow(self, view: DirectoryView, now: datetime) -> bool:
        """Take the next signing and member key into use when it is time; True when one was.

        Blocking: a token may be slow. Raises TokenError leaves, InvalidKey.
        """
        self._follow_others()
        promoted = [self._promote_signing(view, now), self._promote_member(view, now)]
        return any(promoted)

    def pending(self) -> list[str]:
        """Which keys have a successor that waits."""
        state = self._state
        owner = state.read_identity().owner.id
        places = {
            "signing": state.signing_key,
            "tls": state.tls_key,
            "member": state.member_key(owner),
        }
        return [role for role, path in places.items() if state.next_key(path).exists()]

    def check(self) -> None:
        """Ask a token to sign; its loss and its return are logged once. Blocking."""
        if not self.signing.is_remote:
            return
        try:
            self.signing.current.check()
            told = None
        except LienthongError as error:
            told = str(error)
        if told != self._told:
            level = logging.INFO if told is None else logging.ERROR
            event = "token.signs_again" if told is None else "token.does_not_sign"
            log_event(logger, level, event, reason=told or "")
        self._told = told

    def _follow_others(self) -> None:
        """Another process of this node has put another key in its place."""
        mark = _mark_of(self._state.signing_key)
        if mark != self._mark:
            self.signing.replace(open_key(self._state.signing_key, self._access))
            self._mark = mark

    def _promote_signing(self, view: DirectoryView, now: datetime) -> bool:
        path = self._state.signing_key
        following = self._state.next_key(path)
        if not following.exists():
            return False
        key = open_key(following, self._access)
        if not self._counts(view, key, now):
            return False
        # A key that counts no more has nothing to wait for.
        settled = self._settling.is_settled(key.public.key_id)
        if not settled and self._counts(view, self.signing.current, now):
            return False
        key.check()
        former = self.signing.public.key_id
        self._state.promote(following, path)
        self.signing.replace(key)
        self._mark = _mark_of(path)
        log_event(logger, logging.INFO, "key.rotated", former=former, key=key.public.key_id)
        return True

    def _promote_member(self, view: DirectoryView, now: datetime) -> bool:
        owner = self._state.read_identity().owner.id
        path = self._state.member_key(owner)
        following = self._state.next_key(path)
        if not following.exists():
            return False
        key_id = open_key(following, self._access).public.key_id
        stated = [item for item in view.member(owner).keys if item.holds(now)]
        if key_id not in {item.public.key_id for item in stated}:
            return False
        self._state.promote(following, path)
        log_event(logger, logging.INFO, "key.member_rotated", member=owner, key=key_id)
        return True

    def _counts(self, view: DirectoryView, key: SigningKey, now: datetime) -> bool:
        try:
            view.signing_key(self._node, key.public.key_id, now)
        except DirectoryError:
            return False
        return True


def _mark_of(path: Path) -> tuple[int, int]:
    """Changes when another file is put in this place."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns
