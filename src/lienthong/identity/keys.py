"""Key pairs: Ed25519 by default, P-256 and RSA-PSS where an authority demands them.

    key = PrivateKey.generate(Algorithm.ED25519)
    signature = key.sign(b"data")
    key.public.verify(signature, b"data")        # raises SignatureInvalid

Algorithm names are those of RFC 9421 §6.2.2. Ed25519 goes through libsodium, which signs in
half and verifies in a third of the time of OpenSSL (docs/performance.md).
"""

from __future__ import annotations

import base64
import os
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, Self

import nacl.bindings
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from lienthong.errors import InvalidKey, LienthongError, SignatureInvalid, UnsafeKeyFile

SMALLEST_RSA_BITS = 3072  # NIST SP 800-57: the 128-bit level, which P-256 and Ed25519 have
LARGEST_RSA_BITS = 8192  # a larger modulus makes each verification a denial of service
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA512()), salt_length=64)  # RFC 9421 §3.3.1


class Algorithm(StrEnum):
    """Signature algorithms by their RFC 9421 names."""

    ED25519 = "ed25519"
    P256 = "ecdsa-p256-sha256"
    RSA_PSS = "rsa-pss-sha512"


ALGORITHM_WORDS = {
    "ed25519": Algorithm.ED25519,
    "p256": Algorithm.P256,
    "rsa": Algorithm.RSA_PSS,
}  # what people write in commands


class PublicKey:
    """A verification key. Equal keys have equal ``text``.

    ``text`` is ``<algorithm>:<base64 of the DER SubjectPublicKeyInfo>``; ``key_id`` the first
    16 bytes of the DER's SHA-256, in hexadecimal.
    """

    __slots__ = ("_key", "_raw", "algorithm", "der", "key_id")

    def __init__(self, der: bytes) -> None:
        try:
            key = serialization.load_der_public_key(der)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InvalidKey(name="public key", reason="not a DER public key") from error
        self.algorithm = _algorithm_of(key)
        self.der = der
        self.key_id = sha256(der).hexdigest()[:32]
        self._key: Any = key
        self._raw = key.public_bytes_raw() if isinstance(key, ed25519.Ed25519PublicKey) else b""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``text``. Raises InvalidKey."""
        algorithm, _, encoded = text.partition(":")
        try:
            key = cls(base64.b64decode(encoded, validate=True))
        except ValueError as error:
            raise InvalidKey(name="public key", reason="not base64") from error
        if key.algorithm != algorithm:
            raise InvalidKey(name="public key", reason=f"not of algorithm {algorithm}")
        return key

    @property
    def text(self) -> str:
        return f"{self.algorithm}:{base64.b64encode(self.der).decode()}"

    @property
    def cryptography(self) -> Any:
        """The key as an object of the ``cryptography`` library, for certificates."""
        return self._key

    def verify(self, signature: bytes, data: bytes) -> None:
        """Check ``signature`` over ``data``. Raises SignatureInvalid."""
        try:
            if self.algorithm is Algorithm.ED25519:
                if len(signature) != 64:
                    raise ValueError("length")
                nacl.bindings.crypto_sign_open(signature + data, self._raw)
            elif self.algorithm is Algorithm.P256:
                self._key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
            else:
                self._key.verify(signature, data, _PSS, hashes.SHA512())
        except (ValueError, InvalidSignature, nacl.exceptions.CryptoError) as error:
            raise SignatureInvalid(reason=f"key {self.key_id}") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.der)

    def __repr__(self) -> str:
        return f"PublicKey({self.algorithm}, {self.key_id})"


class SigningKey(Protocol):
    """What signs: a key in memory (``PrivateKey``), in a token, or the one of them in use."""

    @property
    def public(self) -> PublicKey: ...

    @property
    def current(self) -> SigningKey:
        """The key to sign with now: whoever names a key and signs takes both from this one."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether signing waits for something outside of this process."""
        ...

    @property
    def trouble(self) -> LienthongError | None:
        """Why the last signature failed; None while the key works."""
        ...

    @property
    def ends(self) -> datetime | None:
        """When the token says that the key ends, if it says so."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Sign ``data``. Raises TokenError leaves while a token is away."""
        ...

    def check(self) -> None:
        """Find out whether it signs now; raises as ``sign`` does. Blocking."""
        ...


class PrivateKey:
    """A signing key held in memory, loaded from a PEM (PKCS#8) file of mode 0600."""

    is_remote = False
    trouble: LienthongError | None = None
    ends: datetime | None = None

    __slots__ = ("_expanded", "_key", "public")

    def __init__(self, key: Any) -> None:
        algorithm = _algorithm_of(key.public_key())
        self._key = key
        self.public = PublicKey(
            key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        self._expanded = (
            nacl.bindings.crypto_sign_seed_keypair(key.private_bytes_raw())[1]
            if algorithm is Algorithm.ED25519
            else b""
        )

    @classmethod
    def generate(cls, algorithm: Algorithm = Algorithm.ED25519) -> Self:
        """Make a new key."""
        if algorithm is Algorithm.ED25519:
            return cls(ed25519.Ed25519PrivateKey.generate())
        if algorithm is Algorithm.P256:
            return cls(ec.generate_private_key(ec.SECP256R1()))
        return cls(rsa.generate_private_key(65537, SMALLEST_RSA_BITS))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a key file. Raises UnsafeKeyFile (others may read it), InvalidKey."""
        try:
            mode = path.stat().st_mode & 0o777
            if mode & 0o077:
                raise UnsafeKeyFile(path=path, mode=oct(mode)[2:])
            return cls(serialization.load_pem_private_key(path.read_bytes(), None))
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise InvalidKey(name=path, reason=type(error).__name__) from error

    def save(self, path: Path) -> None:
        """Write a new key file of mode 0600, durably; never over an existing one."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(self.pem)
            file.flush()
            os.fsync(file.fileno())

    @property
    def current(self) -> Self:
        return self

    @property
    def pem(self) -> bytes:
        """The key as unencrypted PKCS#8 PEM."""
        pem: bytes = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return pem

    @property
    def cryptography(self) -> Any:
        """The key as an object of the ``cryptography`` library, for certificates."""
        return self._key

    def sign(self, data: bytes) -> bytes:
        """Sign ``data`` with the key's own algorithm."""
        algorithm = self.public.algorithm
        if algorithm is Algorithm.ED25519:
            return nacl.bindings.crypto_sign(data, self._expanded)[:64]
        if algorithm is Algorithm.P256:
            signature: bytes = self._key.sign(data, ec.ECDSA(hashes.SHA256()))
        else:
            signature = self._key.sign(data, _PSS, hashes.SHA512())
        return signature

    def check(self) -> None:
        """A key in memory always signs."""

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.algorithm}, {self.public.key_id})"


def _algorithm_of(key: Any) -> Algorithm:
    if isinstance(key, ed25519.Ed25519PublicKey):
        return Algorithm.ED25519
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return Algorithm.P256
    if isinstance(key, rsa.RSAPublicKey):
        if SMALLEST_RSA_BITS <= key.key_size <= LARGEST_RSA_BITS:
            return Algorithm.RSA_PSS
        raise InvalidKey(name="RSA key", reason=f"{key.key_size} bits")
    raise InvalidKey(name="key", reason="algorithm not allowed")
