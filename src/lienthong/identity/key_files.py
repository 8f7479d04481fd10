"""Where a private key is: a PEM file, a ``pkcs11:`` URI, or a file that holds such a URI.

    open_key("keys/signing.pem", access)
    open_key("pkcs11:token=g01;object=signing", access)

In a state folder a key in a token has a file as well, in the place of the PEM: one line, its
URI. So everything that is said of key files holds for tokens.
"""

from __future__ import annotations

from pathlib import Path

from lienthong.errors import InvalidKey
from lienthong.identity.key_uri import SCHEME, KeyUri, is_key_uri
from lienthong.identity.keys import PrivateKey, SigningKey
from lienthong.identity.token_access import TokenAccess


def open_key(place: str | Path, access: TokenAccess | None = None) -> SigningKey:
    """Open a key for signing; ``access`` is taken from the environment where none is given.

    Raises InvalidKey, UnsafeKeyFile, InvalidKeyUri, TokenError leaves.
    """
    text = str(place)
    if not is_key_uri(text):
        path = Path(place)
        if not _holds_uri(path):
            return PrivateKey.load(path)
        text = path.read_text(encoding="utf-8").strip()
    # Only who uses a token loads the libraries for it.
    from lienthong.identity.token_keys import TokenKey

    return TokenKey(KeyUri.parse(text), access or TokenAccess.of_environment())


def is_in_token(path: Path) -> bool:
    """Whether the file of a key names one in a token."""
    return path.exists() and _holds_uri(path)


def _holds_uri(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(SCHEME)) == SCHEME.encode()
    except OSError as error:
        raise InvalidKey(name=path, reason=type(error).__name__) from error
