"""Signing keys that never leave a PKCS#11 token.

    key = TokenKey(KeyUri.parse("pkcs11:token=g01;object=signing"), access)
    key.sign(b"data")                       # the same signatures as of ``keys.PrivateKey``
    make_key(uri, access, Algorithm.P256)   # in the token, not extractable

Ed25519 by CKM_EDDSA, P-256 by CKM_ECDSA over a SHA-256 made here, RSA by CKM_RSA_PKCS_PSS.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, time
from hashlib import sha256, sha512
from typing import Any, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pkcs11 import MGF, Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.exceptions import MultipleObjectsReturned, NoSuchKey, PKCS11Error

from lienthong.errors import LienthongError, TokenKeyExists, TokenKeyMissing
from lienthong.identity.key_uri import KeyUri
from lienthong.identity.keys import SMALLEST_RSA_BITS, Algorithm, PublicKey
from lienthong.identity.token_access import TokenAccess
from lienthong.identity.tokens import token_of

_PROBE = b"lienthong: is the token there?"  # signed to find out; it is no statement of ours
# Names of curves as CKA_EC_PARAMS has them, in DER.
_P256 = bytes.fromhex("06082a8648ce3d030107")  # OID 1.2.840.10045.3.1.7
_ED25519 = bytes.fromhex("06032b6570")  # OID 1.3.101.112, RFC 8410
_ED25519_TEXT = b"\x13\x0cedwards25519"  # PrintableString, PKCS#11 3.0 §2.3.10
_PSS_OF_TOKEN = (Mechanism.SHA512, MGF.SHA512, 64)  # RFC 9421 §3.3.1, as in keys.py
_NEEDED = {
    Algorithm.ED25519: Mechanism.EDDSA,
    Algorithm.P256: Mechanism.ECDSA,
    Algorithm.RSA_PSS: Mechanism.RSA_PKCS_PSS,
}


class TokenKey:
    """A private key in a token, with the interface of ``SigningKey``."""

    is_remote = True

    def __init__(self, uri: KeyUri, access: TokenAccess) -> None:
        """Find the key. Raises TokenError leaves, InvalidKey, UnsafeKeyFile (of the PIN)."""
        self.uri = uri
        self.trouble: LienthongError | None = None
        self._token = token_of(uri, access)
        self._opened = -1
        self._handle: Any = None
        self.public, self.ends = self._token.run(self._describe)

    @property
    def current(self) -> Self:
        return self

    def sign(self, data: bytes) -> bytes:
        """Sign in the token. Raises TokenError leaves; ``trouble`` keeps the last one."""
        try:
            signature = self._token.run(lambda session: self._sign(session, data))
        except LienthongError as error:
            self.trouble = error
            raise
        self.trouble = None
        return signature

    def check(self) -> None:
        """Find out whether the token signs now. Raises as ``sign`` does. Blocking."""
        self.public.verify(self.sign(_PROBE), _PROBE)

    def _sign(self, session: Any, data: bytes) -> bytes:
        key = self._private(session)
        algorithm = self.public.algorithm
        if algorithm is Algorithm.ED25519:
            return bytes(key.sign(data, mechanism=Mechanism.EDDSA))
        if algorithm is Algorithm.P256:
            raw = bytes(key.sign(sha256(data).digest(), mechanism=Mechanism.ECDSA))
            half = len(raw) // 2
            return encode_dss_signature(
                int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
            )
        digest = sha512(data).digest()
        return bytes(
            key.sign(digest, mechanism=Mechanism.RSA_PKCS_PSS, mechanism_param=_PSS_OF_TOKEN)
        )

    def _private(self, session: Any) -> Any:
        """The key's object in this session; it must be the key that we know."""
        if self._handle is None or self._opened != self._token.opened:
            if _public_key(session, self.uri) != self.public:
                raise _missing(self.uri, "another key stands there now")
            self._handle = _find(session, self.uri, ObjectClass.PRIVATE_KEY)
            self._opened = self._token.opened
        return self._handle

    def _describe(self, session: Any) -> tuple[PublicKey, datetime | None]:
        private = _find(session, self.uri, ObjectClass.PRIVATE_KEY)
        return _public_key(session, self.uri), _end(private)

    def __repr__(self) -> str:
        return f"TokenKey({self.public.algorithm}, {self.public.key_id})"


def best_algorithm(uri: KeyUri, access: TokenAccess) -> Algorithm:
    """Ed25519 where the token has it, else P-256, which every token has."""
    has = token_of(uri, access).mechanisms()
    eddsa = {Mechanism.EDDSA, Mechanism.EC_EDWARDS_KEY_PAIR_GEN} <= has
    return Algorithm.ED25519 if eddsa else Algorithm.P256


def make_key(uri: KeyUri, access: TokenAccess, algorithm: Algorithm | None = None) -> TokenKey:
    """Make a key in the token, for signing only, that cannot be taken out of it.

    Raises TokenKeyExists, TokenKeyMissing (the URI names no ``object``, or the token cannot
    make such keys), other TokenError leaves.
    """
    if not uri.label:
        raise _missing(uri, "the URI names no object")
    chosen = algorithm or best_algorithm(uri, access)
    token = token_of(uri, access)
    if _NEEDED[chosen] not in token.mechanisms():
        raise _missing(uri, f"the token has no {_NEEDED[chosen].name}")
    token.make(lambda session: _generate(session, uri, chosen))
    return TokenKey(uri, access)


def _generate(session: Any, uri: KeyUri, algorithm: Algorithm) -> None:
    wanted = {Attribute.LABEL: uri.label, Attribute.CLASS: ObjectClass.PRIVATE_KEY}
    if list(session.get_objects(wanted)):
        raise TokenKeyExists(label=uri.label, token=uri.token or "?")
    options = {
        "label": uri.label,
        "id": uri.key_id or os.urandom(16),
        "store": True,
        "private_template": {Attribute.SIGN: True, Attribute.EXTRACTABLE: False},
    }
    if algorithm is Algorithm.RSA_PSS:
        session.generate_keypair(KeyType.RSA, SMALLEST_RSA_BITS, **options)
    elif algorithm is Algorithm.P256:
        _curve(session, KeyType.EC, _P256).generate_keypair(**options)
    else:
        _generate_ed25519(session, options)


def _generate_ed25519(session: Any, options: dict[str, Any]) -> None:
    """The curve is named by its OID; older tokens know it by a text only."""
    options = {**options, "mechanism": Mechanism.EC_EDWARDS_KEY_PAIR_GEN}
    try:
        _curve(session, KeyType.EC_EDWARDS, _ED25519).generate_keypair(**options)
    except PKCS11Error:
        _curve(session, KeyType.EC_EDWARDS, _ED25519_TEXT).generate_keypair(**options)


def _curve(session: Any, kind: KeyType, parameters: bytes) -> Any:
    return session.create_domain_parameters(kind, {Attribute.EC_PARAMS: parameters}, local=True)


def _find(session: Any, uri: KeyUri, kind: ObjectClass) -> Any:
    wanted: dict[str, Any] = {"object_class": kind}
    if uri.label:
        wanted["label"] = uri.label
    if uri.key_id:
        wanted["id"] = uri.key_id
    try:
        return session.get_key(**wanted)
    except NoSuchKey as error:
        word = "private" if kind is ObjectClass.PRIVATE_KEY else "public"
        raise _missing(uri, f"no {word} key fits") from error
    except MultipleObjectsReturned as error:
        raise _missing(uri, "several keys fit") from error


def _public_key(session: Any, uri: KeyUri) -> PublicKey:
    """The public half as our own; raises InvalidKey for what we do not allow."""
    found = _find(session, uri, ObjectClass.PUBLIC_KEY)
    try:
        return PublicKey(_der(found))
    except (ValueError, KeyError, TypeError) as error:
        raise _missing(uri, "its public key cannot be read") from error


def _der(found: Any) -> bytes:
    if found.key_type == KeyType.RSA:
        modulus = int.from_bytes(found[Attribute.MODULUS], "big")
        exponent = int.from_bytes(found[Attribute.PUBLIC_EXPONENT], "big")
        key: Any = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    elif found.key_type == KeyType.EC_EDWARDS:
        key = ed25519.Ed25519PublicKey.from_public_bytes(_point(found, 32))
    else:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _point(found, 65))
    der: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return der


def _point(found: Any, size_bytes: int) -> bytes:
    """A point, bare or in an OCTET STRING: tokens differ."""
    point = bytes(found[Attribute.EC_POINT])
    return point[2:] if point[:2] == bytes((4, size_bytes)) else point


def _end(private: Any) -> datetime | None:
    """When the token says that the key ends, if it says so."""
    try:
        end = private[Attribute.END_DATE]
    except (PKCS11Error, ValueError, KeyError, TypeError):
        return None
    return datetime.combine(end, time.max, UTC) if isinstance(end, date) else None


def _missing(uri: KeyUri, reason: str) -> TokenKeyMissing:
    name = uri.label or uri.key_id.hex() or "?"
    return TokenKeyMissing(key=name, token=uri.token or uri.serial or "?", reason=reason)
