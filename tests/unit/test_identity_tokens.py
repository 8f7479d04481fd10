"""Keys in a real token (SoftHSM2): they sign as keys in files do, and say what is wrong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lienthong.errors import (
    InvalidKeyUri,
    TokenFailed,
    TokenKeyExists,
    TokenKeyMissing,
    TokenMissing,
    TokenModuleUnusable,
    TokenPinMissing,
    TokenPinWrong,
    UnsafeKeyFile,
)
from lienthong.identity import tokens
from lienthong.identity.key_files import is_in_token, open_key
from lienthong.identity.key_uri import KeyUri
from lienthong.identity.keys import Algorithm, PrivateKey
from lienthong.identity.token_access import TokenAccess
from lienthong.identity.token_keys import TokenKey, best_algorithm, make_key
from tests.fixtures.soft_token import PIN, SoftToken

ACCESS = TokenAccess()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "RETRY_SECONDS", 0.0)


def made(token: SoftToken, algorithm: Algorithm | None = None, label: str = "ky") -> TokenKey:
    return make_key(KeyUri.parse(token.uri(label)), ACCESS, algorithm)


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_key_made_in_a_token_signs_what_its_public_key_verifies(
    soft_token: SoftToken, algorithm: Algorithm
) -> None:
    key = made(soft_token, algorithm)
    assert key.public.algorithm is algorithm
    for data in (b"", b"x", b"y" * 100_000):
        key.public.verify(key.sign(data), data)
    again = open_key(soft_token.uri("ky"))
    assert again.public == key.public
    again.public.verify(again.sign(b"again"), b"again")


def test_ed25519_is_chosen_where_the_token_has_it(soft_token: SoftToken) -> None:
    assert best_algorithm(KeyUri.parse(soft_token.uri()), ACCESS) is Algorithm.ED25519
    assert made(soft_token).public.algorithm is Algorithm.ED25519


def test_a_key_in_a_token_cannot_be_taken_out_of_it(soft_token: SoftToken) -> None:
    key = made(soft_token)
    assert not hasattr(key, "pem")
    from pkcs11 import Attribute, ObjectClass

    def look(session: object) -> tuple[bool, bool]:
        found = session.get_key(ObjectClass.PRIVATE_KEY, label="ky")  # type: ignore[attr-defined]
        return found[Attribute.EXTRACTABLE], found[Attribute.SENSITIVE]

    assert key._token.run(look) == (False, True)


def test_a_file_that_holds_a_uri_stands_for_a_key_file(
    soft_token: SoftToken, tmp_path: Path
) -> None:
    key = made(soft_token)
    path = tmp_path / "signing.pem"
    path.write_text(soft_token.uri("ky") + "\n")
    assert is_in_token(path)
    assert open_key(path).public == key.public
    PrivateKey.generate().save(tmp_path / "file.pem")
    assert not is_in_token(tmp_path / "file.pem")
    assert open_key(tmp_path / "file.pem").public.algorithm is Algorithm.ED25519


def test_a_second_key_of_the_same_name_is_refused(soft_token: SoftToken) -> None:
    made(soft_token)
    with pytest.raises(TokenKeyExists):
        made(soft_token)


def test_a_missing_key_and_a_missing_token_are_told_apart(soft_token: SoftToken) -> None:
    with pytest.raises(TokenKeyMissing) as missing:
        open_key(soft_token.uri("khac"))
    assert missing.value.facts["reason"] == "no private key fits"
    with pytest.raises(TokenMissing):
        open_key(soft_token.uri("ky").replace(soft_token.label, "khong-co"))


def test_a_missing_library_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenModuleUnusable) as error:
        open_key(f"pkcs11:token=a;object=b?module-path={tmp_path}/no.so")
    assert error.value.facts["module"] == f"{tmp_path}/no.so"
    with pytest.raises(TokenModuleUnusable):
        open_key("pkcs11:token=a;object=b")


def test_a_wrong_pin_is_tried_once_and_a_corrected_one_at_once(soft_token: SoftToken) -> None:
    key = made(soft_token)
    SoftToken.look_again()
    soft_token.write_pin("99999999")
    with pytest.raises(TokenPinWrong):
        key.sign(b"x")
    soft_token.write_pin(PIN)
    key._token.make(lambda session: session.set_pin(PIN, "99999999"))
    soft_token.write_pin("99999999")  # right by now, but refused once: it is not tried
    SoftToken.look_again()
    with pytest.raises(TokenPinWrong):
        key.sign(b"x")
    key._token._refused_pin = b""
    assert key.sign(b"x")


def test_the_pin_comes_from_a_file_the_environment_or_a_credential(
    soft_token: SoftToken, tmp_path: Path
) -> None:
    made(soft_token)
    bare = f"pkcs11:token={soft_token.label};object=ky"
    credential = tmp_path / "credentials"
    credential.mkdir()
    (credential / "token-pin").write_text(PIN)
    for access in (
        TokenAccess(soft_token.module, pin_file=str(soft_token.pin_file)),
        TokenAccess(soft_token.module, pin=PIN),
        TokenAccess(soft_token.module, credentials=str(credential)),
    ):
        SoftToken.look_again()
        assert open_key(bare, access).sign(b"x")
    SoftToken.look_again()
    with pytest.raises(TokenPinMissing):
        open_key(bare, TokenAccess(soft_token.module))


def test_a_pin_file_that_others_may_read_is_refused(soft_token: SoftToken) -> None:
    made(soft_token)
    SoftToken.look_again()
    soft_token.pin_file.chmod(0o640)
    with pytest.raises(UnsafeKeyFile):
        open_key(soft_token.uri("ky"))


def test_a_token_that_is_taken_out_says_so_and_signs_again_when_it_is_back(
    soft_token: SoftToken,
) -> None:
    key = made(soft_token)
    key.check()
    soft_token.take_out()
    for _ in range(2):
        with pytest.raises((TokenFailed, TokenMissing)):
            key.sign(b"away")
        assert key.trouble is not None
        assert key.trouble.status == 503
    soft_token.put_back()
    key.public.verify(key.sign(b"back"), b"back")
    assert key.trouble is None


def test_a_session_that_the_token_dropped_is_opened_anew_unseen(soft_token: SoftToken) -> None:
    key = made(soft_token)
    key.sign(b"one")
    key._token._module.library.reinitialize()  # what a restart of the token's server looks like
    assert key.sign(b"two")
    assert key.trouble is None


def test_another_key_under_the_same_name_is_not_signed_with(soft_token: SoftToken) -> None:
    key = made(soft_token)
    from pkcs11 import Attribute

    def swap(session: object) -> None:
        for found in list(session.get_objects({Attribute.LABEL: "ky"})):  # type: ignore[attr-defined]
            found.destroy()

    key._token.make(swap)
    made(soft_token)
    SoftToken.look_again()
    with pytest.raises(TokenKeyMissing) as error:
        key.sign(b"x")
    assert error.value.facts["reason"] == "another key stands there now"


def test_many_threads_sign_with_keys_of_one_token(soft_token: SoftToken) -> None:
    keys = [made(soft_token, algorithm, algorithm.value) for algorithm in list(Algorithm)[:2]]

    def sign(number: int) -> None:
        key, data = keys[number % 2], f"{number}".encode()
        key.public.verify(key.sign(data), data)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(sign, range(200)))


@pytest.mark.parametrize(
    "text",
    [
        "pkcs11:token=a;object=b?pin-value=1234",
        "pkcs11:token=a;token=b",
        "pkcs11:colour=red",
        "pkcs11:token",
        "pkcs11:slot-id=x",
        "pkcs11:slot-id=99999999999999999999",
        "pkcs11:object=%zz",
        "pkcs11:object=%ff",
        "pkcs11:object=%00",
        "pkcs11:type=cert",
        "file:signing.pem",
        "pkcs11:object=" + "a" * 3000,
    ],
)
def test_a_malformed_uri_is_refused_without_showing_a_pin(text: str) -> None:
    with pytest.raises(InvalidKeyUri) as error:
        KeyUri.parse(text)
    assert "1234" not in str(error.value)
