"""``pkcs11:`` URIs (RFC 7512): which key, in which token, behind which library.

    uri = KeyUri.parse("pkcs11:token=g01;object=signing?module-path=/usr/lib/libx.so")
    uri.token, uri.label, uri.module_path

A PIN never stands in one (``pin-value`` is refused): URIs are seen in process lists, shell
histories and settings. ``pin-source`` names a file that holds it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import quote, unquote_to_bytes

from lienthong.errors import InvalidKeyUri

SCHEME = "pkcs11:"
LARGEST_URI_CHARACTERS = 2048
_LARGEST_SLOT = (1 << 64) - 1  # CK_SLOT_ID is an unsigned long
_PATH = {"token", "serial", "slot-id", "object", "id", "type"}
_QUERY = {"module-path", "pin-source"}
_SAFE = "-._~[]'()*+,=:@!$ /"  # RFC 7512 §2.3, as far as shells and people bear it
_HEXADECIMAL = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class KeyUri:
    """What a URI says; an empty text means that it says nothing of it."""

    token: str = ""
    serial: str = ""
    slot_id: int | None = None
    label: str = ""  # the attribute ``object``
    key_id: bytes = b""  # the attribute ``id``
    module_path: str = ""
    pin_source: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URI. Raises InvalidKeyUri."""
        if not text.startswith(SCHEME) or len(text) > LARGEST_URI_CHARACTERS:
            raise InvalidKeyUri(uri=_shown(text), reason="not pkcs11:…")
        path, _, query = text.removeprefix(SCHEME).partition("?")
        found = {
            **_attributes(text, path, ";", _PATH),
            **_attributes(text, query, "&", _QUERY),
        }
        if found.get("type", b"private") != b"private":
            raise InvalidKeyUri(uri=_shown(text), reason="type is not private")
        return cls(
            _text(text, found, "token"),
            _text(text, found, "serial"),
            _slot(text, found),
            _text(text, found, "object"),
            found.get("id", b""),
            _text(text, found, "module-path"),
            _text(text, found, "pin-source").removeprefix("file:"),
        )

    def named(self, label: str) -> Self:
        """The same token, and the key of this label in it."""
        return replace(self, label=label)

    @property
    def text(self) -> str:
        """The URI in one spelling; ``parse`` gives the same values back."""
        parts = [
            ("token", self.token),
            ("serial", self.serial),
            ("slot-id", "" if self.slot_id is None else str(self.slot_id)),
            ("object", self.label),
        ]
        path = [f"{name}={_quoted(value)}" for name, value in parts if value]
        if self.key_id:
            path.append("id=" + "".join(f"%{byte:02x}" for byte in self.key_id))
        asked = [("module-path", self.module_path), ("pin-source", self.pin_source)]
        query = "&".join(f"{name}={_quoted(value)}" for name, value in asked if value)
        return SCHEME + ";".join(path) + (f"?{query}" if query else "")


def is_key_uri(text: str) -> bool:
    """Whether a text given for a key file is a URI, not a path."""
    return text.startswith(SCHEME)


def _attributes(uri: str, part: str, separator: str, known: set[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for item in filter(None, part.split(separator)):
        name, equals, value = item.partition("=")
        if name == "pin-value":
            raise InvalidKeyUri(uri=_shown(uri), reason="a PIN may not stand in it")
        if name not in known or not equals:
            raise InvalidKeyUri(uri=_shown(uri), reason=f"{name[:40]} is not understood")
        if name in found:
            raise InvalidKeyUri(uri=_shown(uri), reason=f"{name} stands in it twice")
        if _HEXADECIMAL.search(value):
            raise InvalidKeyUri(uri=_shown(uri), reason="% without two hexadecimal digits")
        found[name] = unquote_to_bytes(value)
    return found


def _text(uri: str, found: dict[str, bytes], name: str) -> str:
    try:
        value = found.get(name, b"").decode()
    except UnicodeDecodeError as error:
        raise InvalidKeyUri(uri=_shown(uri), reason=f"{name} is not UTF-8") from error
    if "\0" in value:
        raise InvalidKeyUri(uri=_shown(uri), reason=f"{name} is not UTF-8")
    return value


def _slot(uri: str, found: dict[str, bytes]) -> int | None:
    value = found.get("slot-id")
    if value is None:
        return None
    if not value.isdigit() or len(value) > 20 or int(value) > _LARGEST_SLOT:
        raise InvalidKeyUri(uri=_shown(uri), reason="slot-id is not a number")
    return int(value)


def _quoted(value: str) -> str:
    return quote(value, safe=_SAFE.replace(" ", "").replace("'", ""))


def _shown(uri: str) -> str:
    """The URI for a message, without what may be a PIN."""
    return re.sub(r"pin-value=[^&;]*", "pin-value=…", uri[:200])
