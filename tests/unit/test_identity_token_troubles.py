"""What tokens in trouble answer becomes a name that says what to do. Their library is played:

SoftHSM2, which the other tests use, never locks a PIN and never fails.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from pkcs11 import KeyType, TokenFlag
from pkcs11.exceptions import (
    DeviceError,
    MultipleTokensReturned,
    NoSuchToken,
    PinIncorrect,
    PinLocked,
    PKCS11Error,
)

from lienthong.errors import (
    InvalidCertificate,
    InvalidKey,
    InvalidKeyUri,
    TokenFailed,
    TokenKeyMissing,
    TokenMissing,
    TokenModuleUnusable,
    TokenPinLocked,
    TokenPinMissing,
    TokenPinWrong,
)
from lienthong.identity import token_keys, tokens
from lienthong.identity.certificates import (
    certificate_key,
    certificate_request,
    check_chain,
    request_key,
)
from lienthong.identity.key_files import is_in_token
from lienthong.identity.key_uri import KeyUri
from lienthong.identity.keys import Algorithm, PrivateKey, PublicKey
from lienthong.identity.token_access import TokenAccess
from lienthong.identity.token_keys import make_key
from tests.fixtures.soft_token import SoftToken

URI = KeyUri.parse("pkcs11:token=g01;object=ky?module-path=/lib/none.so")


class Library:
    """A token library with one token that has these flags and fails so when it is opened."""

    path = "/lib/none.so"

    def __init__(
        self,
        flags: TokenFlag = TokenFlag.TOKEN_INITIALIZED,
        *,
        opening: Exception | None = None,
        looking: Exception | None = None,
        asking: Exception | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self.library = self
        self.generation = 0
        self.opened = 0
        self.label = "g01"
        self.flags = flags | TokenFlag.TOKEN_INITIALIZED
        self.slot = SimpleNamespace(slot_id=0, get_mechanisms=self.get_mechanisms)
        self._opening, self._looking, self._asking = opening, looking, asking

    def get_tokens(self, **_: object) -> list[Any]:
        if self._looking:
            raise self._looking
        return [self]

    def get_mechanisms(self) -> list[Any]:
        if self._asking:
            raise self._asking
        return []

    def open(self, **_: object) -> Any:
        self.opened += 1
        if self._opening:
            raise self._opening
        return SimpleNamespace(close=lambda: None)

    def start_again(self) -> None:
        self.generation += 1


def token_in(library: Any) -> tokens.Token:
    return tokens.Token(library, URI, TokenAccess(pin="246810"))


def nothing(session: object) -> None:
    """Work that needs no key."""


@pytest.mark.parametrize("flag", [TokenFlag.USER_PIN_LOCKED, TokenFlag.USER_PIN_FINAL_TRY])
def test_a_pin_is_not_tried_where_it_is_locked_or_would_be(flag: TokenFlag) -> None:
    library = Library(flag)
    with pytest.raises(TokenPinLocked):
        token_in(library).run(nothing)
    assert library.opened == 0


@pytest.mark.parametrize(
    ("opening", "error"),
    [(PinLocked(), TokenPinLocked), (PinIncorrect(), TokenPinWrong), (DeviceError(), TokenFailed)],
)
def test_what_a_token_says_to_a_login_is_named(opening: Exception, error: type) -> None:
    library = Library(opening=opening)
    for work in (token_in(library).run, token_in(library).make):
        with pytest.raises(error):
            work(nothing)


def test_a_token_in_trouble_is_not_asked_again_at_once() -> None:
    library = Library(opening=DeviceError())
    token = token_in(library)
    for _ in range(3):
        with pytest.raises(TokenFailed, match="DeviceError"):
            token.run(nothing)
    assert library.opened == 1


@pytest.mark.parametrize("looking", [NoSuchToken(), MultipleTokensReturned()])
def test_no_token_or_several_that_fit_are_missing_ones(looking: Exception) -> None:
    with pytest.raises(TokenMissing):
        token_in(Library(looking=looking)).run(nothing)


def test_a_token_that_cannot_say_what_it_can_do_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(TokenFailed):
        token_in(Library(asking=DeviceError())).mechanisms()
    monkeypatch.setattr(tokens, "_module_of", lambda path: Library(looking=PKCS11Error()))
    with pytest.raises(TokenFailed):
        tokens.described_tokens("/lib/none.so")


# --- keys in a token, files of PINs --------------------------------------------------------


def test_a_key_is_made_under_a_name_and_where_the_token_can(
    soft_token: SoftToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TokenKeyMissing, match="no object"):
        make_key(KeyUri.parse(soft_token.uri()), TokenAccess())
    monkeypatch.setattr(tokens.Token, "mechanisms", lambda self: set())
    with pytest.raises(TokenKeyMissing, match="the token has no"):
        make_key(KeyUri.parse(soft_token.uri("ky")), TokenAccess(), Algorithm.P256)


def test_a_uri_that_fits_several_keys_names_none(soft_token: SoftToken) -> None:
    for label in ("mot", "hai"):
        make_key(KeyUri.parse(soft_token.uri(label)), TokenAccess())
    with pytest.raises(TokenKeyMissing, match="several"):
        token_keys.TokenKey(KeyUri.parse(soft_token.uri()), TokenAccess())


def test_a_public_key_that_cannot_be_read_is_a_missing_one() -> None:
    class WithoutValues(dict[Any, Any]):
        key_type = KeyType.RSA

    session = SimpleNamespace(get_key=lambda **_: WithoutValues())
    with pytest.raises(TokenKeyMissing, match="cannot be read"):
        token_keys._public_key(session, URI)


@pytest.mark.parametrize("content", [None, b"", b"\n246810", b"\xff\xfe"])
def test_a_pin_file_must_hold_a_pin(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "pin"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises(TokenPinMissing, match=r"cannot be read|is empty"):
        TokenAccess(pin_file=str(path)).pin_of(URI)


def test_a_key_without_a_library_is_told_so() -> None:
    with pytest.raises(TokenModuleUnusable, match="no library is named"):
        TokenAccess().module_of(KeyUri.parse("pkcs11:token=g01;object=ky"))


def test_a_pin_in_a_uri_is_refused_for_what_it_is() -> None:
    with pytest.raises(InvalidKeyUri, match="PIN may not stand"):
        KeyUri.parse("pkcs11:token=g01;object=ky?pin-value=246810")


def test_a_folder_is_no_key_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidKey):
        is_in_token(tmp_path)


@pytest.mark.parametrize("text", ["ed25519:???", "ed25519:AAA", "ed25519"])
def test_a_public_key_is_written_in_base64(text: str) -> None:
    with pytest.raises(InvalidKey):
        PublicKey.parse(text)


# --- certificates --------------------------------------------------------------------------


def certificate(
    subject: str, issuer: str, key: Any, signer: Any, days: int, *, issues: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    names = [
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each)])
        for each in (subject, issuer)
    ]
    builder = x509.CertificateBuilder(names[1], names[0], key.public_key(), 7)
    builder = builder.not_valid_before(now - timedelta(days=9))
    builder = builder.not_valid_after(now + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(issues, None), critical=True)
    return builder.sign(signer, hashes.SHA256())


def test_an_authority_whose_time_is_over_vouches_for_nobody() -> None:
    above, below = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    over = certificate("CA", "CA", above, above, -1, issues=True)
    renewed = certificate("CA", "CA", above, above, 30, issues=True)
    leaf = certificate("n1", "CA", below, above, 30, issues=False)
    now = datetime.now(UTC)
    assert check_chain([leaf], [over, renewed], now) == renewed
    with pytest.raises(InvalidCertificate, match="dates"):
        check_chain([leaf], [over], now)


def test_a_key_that_we_do_not_allow_is_refused_in_certificates_and_requests() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    with pytest.raises(InvalidCertificate, match="key not allowed"):
        certificate_key(certificate("n1", "n1", key, key, 30, issues=False))
    with pytest.raises(InvalidCertificate, match="cannot be read"):
        request_key(
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
        )


def test_a_request_proves_that_its_sender_holds_the_key() -> None:
    pem = certificate_request(PrivateKey.generate(Algorithm.P256), "VN/GOV/G01/n1", [])
    request = x509.load_pem_x509_csr(pem.encode())
    der = bytearray(request.public_bytes(Encoding.DER))
    der[-1] ^= 1
    spoilt = x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM).decode()
    with pytest.raises(InvalidCertificate, match="signature is wrong"):
        request_key(spoilt)
