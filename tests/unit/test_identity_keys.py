"""Keys sign and verify, are read only from safe files, and refuse what is weak."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from lienthong.errors import InvalidKey, SignatureInvalid, UnsafeKeyFile
from lienthong.identity.keys import Algorithm, PrivateKey, PublicKey

KEYS = {algorithm: PrivateKey.generate(algorithm) for algorithm in Algorithm}


@pytest.fixture(params=list(Algorithm))
def key(request: pytest.FixtureRequest) -> PrivateKey:
    return KEYS[request.param]


def test_a_signature_holds_for_its_data_only(key: PrivateKey) -> None:
    signature = key.sign(b"data")
    key.public.verify(signature, b"data")
    with pytest.raises(SignatureInvalid):
        key.public.verify(signature, b"other data")


def test_a_signature_by_another_key_is_refused(key: PrivateKey) -> None:
    signature = PrivateKey.generate(Algorithm.ED25519).sign(b"data")
    with pytest.raises(SignatureInvalid):
        key.public.verify(signature, b"data")


def test_every_flipped_byte_of_a_signature_is_noticed(key: PrivateKey) -> None:
    signature = bytearray(key.sign(b"data"))
    for position in range(0, len(signature), 7):
        signature[position] ^= 1
        with pytest.raises(SignatureInvalid):
            key.public.verify(bytes(signature), b"data")
        signature[position] ^= 1
    key.public.verify(bytes(signature), b"data")


@given(st.sampled_from(list(Algorithm)), st.binary(max_size=500), st.binary(max_size=50))
def test_any_bytes_as_a_signature_are_refused_with_our_error(
    algorithm: Algorithm, signature: bytes, data: bytes
) -> None:
    with pytest.raises(SignatureInvalid):
        KEYS[algorithm].public.verify(signature, data)


def test_ed25519_agrees_with_the_test_vectors_of_rfc_8032() -> None:
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    key = PrivateKey(ed25519.Ed25519PrivateKey.from_private_bytes(seed))
    assert key.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_libsodium_and_openssl_agree_on_ed25519() -> None:
    key = KEYS[Algorithm.ED25519]
    key.cryptography.public_key().verify(key.sign(b"data"), b"data")
    key.public.verify(key.cryptography.sign(b"data"), b"data")


def test_a_key_survives_its_file_which_only_the_owner_can_read(
    key: PrivateKey, tmp_path: Path
) -> None:
    path = tmp_path / "signing.pem"
    key.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PrivateKey.load(path).public == key.public


def test_an_existing_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    KEYS[Algorithm.ED25519].save(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        PrivateKey.generate().save(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_refuses_a_key_file_that_others_can_read(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "signing.pem"
    KEYS[Algorithm.ED25519].save(path)
    path.chmod(mode)
    with pytest.raises(UnsafeKeyFile) as caught:
        PrivateKey.load(path)
    assert caught.value.facts["mode"] == oct(mode)[2:]


def test_refuses_a_key_file_that_is_missing_damaged_or_encrypted(tmp_path: Path) -> None:
    damaged, locked = tmp_path / "damaged.pem", tmp_path / "locked.pem"
    damaged.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    locked.write_bytes(
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    for path in (damaged, locked):
        path.chmod(0o600)
    for path in (damaged, locked, tmp_path / "absent.pem"):
        with pytest.raises(InvalidKey):
            PrivateKey.load(path)


def test_refuses_keys_that_are_weak_or_of_other_kinds() -> None:
    for weak in (
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
        ed448.Ed448PrivateKey.generate(),
    ):
        with pytest.raises(InvalidKey):
            PrivateKey(weak)


def test_an_rsa_key_that_is_short_is_refused_for_that() -> None:
    with pytest.raises(InvalidKey, match="2048 bits"):
        PrivateKey(rsa.generate_private_key(65537, 2048))


def test_bytes_do_not_move_between_a_signature_and_its_data() -> None:
    key = KEYS[Algorithm.ED25519]
    signature = key.sign(b"data")
    for whole, data in ((signature + b"d", b"ata"), (signature[:63], signature[63:] + b"data")):
        with pytest.raises(SignatureInvalid):
            key.public.verify(whole, data)


def test_equal_keys_have_equal_texts(key: PrivateKey) -> None:
    again = PublicKey.parse(key.public.text)
    assert again == key.public
    assert hash(again) == hash(key.public)
    assert again.key_id == key.public.key_id
    assert len(again.key_id) == 32


def test_refuses_a_public_key_under_the_name_of_another_algorithm(key: PrivateKey) -> None:
    encoded = base64.b64encode(key.public.der).decode()
    for algorithm in {*Algorithm, "none"} - {key.public.algorithm}:
        with pytest.raises(InvalidKey):
            PublicKey.parse(f"{algorithm}:{encoded}")


@given(
    st.text(max_size=200)
    | st.binary(max_size=100).map(lambda data: "ed25519:" + base64.b64encode(data).decode())
)
def test_any_text_as_a_public_key_is_refused_with_our_error(text: str) -> None:
    with pytest.raises(InvalidKey):
        PublicKey.parse(text)


def test_a_printed_key_shows_its_identifier_and_nothing_secret(key: PrivateKey) -> None:
    assert repr(key) == f"PrivateKey({key.public.algorithm}, {key.public.key_id})"
    assert key.public.key_id in repr(key.public)
