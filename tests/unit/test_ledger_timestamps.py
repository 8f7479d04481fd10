"""Time-stamps of RFC 3161: given by a real ``openssl ts``, judged by us, and by openssl too."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from lienthong.demo.time_authority import POLICY, TimeAuthority
from lienthong.errors import TimeStampInvalid
from lienthong.ledger.timestamps import (
    LARGEST_STAMP,
    StampQuery,
    accept_reply,
    stamp_query,
    verify_stamp,
)
from tests.fixtures.time_authority import (
    DAY,
    Issued,
    authority_of,
    issue,
    openssl_or_skip,
    trusted,
)

NOTE = "lienthong/VN/GOV/G01/n1/0\n5\nroot\n\n— lienthong/VN/GOV/G01/n1/0 AAAA\n"
OTHER = NOTE.replace("\n5\n", "\n6\n")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TimeAuthority:
    openssl_or_skip()
    made = TimeAuthority(tmp_path_factory.mktemp("tsa"))
    made.prepare()
    return made


def given(authority: TimeAuthority, note: str = NOTE, policy: str = "") -> tuple[StampQuery, bytes]:
    query = stamp_query(note, policy)
    return query, authority.reply(query.request)


def refusal(response: bytes, *pems: str, note: str = NOTE) -> str:
    with pytest.raises(TimeStampInvalid) as caught:
        verify_stamp(response, note, [trusted(pem) for pem in pems])
    return str(caught.value.facts["reason"])


def stamped_by(folder: Path, signer: Issued, *above: Issued) -> bytes:
    """A stamp whose certificates are in DER's order, by a signer of our making."""
    from lienthong.ledger.der import with_sorted_certificates

    return with_sorted_certificates(given(authority_of(folder, signer, *above))[1])


def test_a_stamp_proves_a_time(authority: TimeAuthority) -> None:
    query, reply = given(authority)
    stamp, stamped = accept_reply(reply, NOTE, query, [trusted(authority.chain.read_text())])
    assert abs(stamped.time - datetime.now(UTC)) < timedelta(minutes=1)
    assert stamped.authority == "TSA"
    assert stamped.accuracy == timedelta(seconds=1)
    again = verify_stamp(stamp.response, NOTE, [trusted(authority.chain.read_text())])
    assert again == stamped


def test_openssl_agrees_with_what_we_keep(authority: TimeAuthority, tmp_path: Path) -> None:
    query, reply = given(authority)
    stamp, _ = accept_reply(reply, NOTE, query, [trusted(authority.chain.read_text())])
    (tmp_path / "note").write_text(NOTE)
    (tmp_path / "stamp.tsr").write_bytes(stamp.response)
    words = ("-data", str(tmp_path / "note"), "-in", str(tmp_path / "stamp.tsr"))
    trust = ("-CAfile", str(authority.folder / "root.pem"))
    done = subprocess.run(["openssl", "ts", "-verify", *words, *trust], capture_output=True)
    assert done.returncode == 0, done.stderr


def test_the_policy_is_asked_for_and_checked(authority: TimeAuthority) -> None:
    chain = [trusted(authority.chain.read_text())]
    query, reply = given(authority, policy=f"{POLICY}.1")
    accept_reply(reply, NOTE, query, chain)
    other = query._replace(policy=POLICY)
    with pytest.raises(TimeStampInvalid, match="another policy"):
        accept_reply(reply, NOTE, other, chain)
    query, refused = given(authority, policy="1.2.3")  # one that it does not have
    with pytest.raises(TimeStampInvalid, match="the authority refused, status 2"):
        accept_reply(refused, NOTE, query, chain)


def test_refuses_another_nonce(authority: TimeAuthority) -> None:
    _, reply = given(authority)
    with pytest.raises(TimeStampInvalid, match="another nonce"):
        accept_reply(reply, NOTE, stamp_query(NOTE), [trusted(authority.chain.read_text())])


def test_refuses_a_stamp_on_something_else(authority: TimeAuthority) -> None:
    query, reply = given(authority, OTHER)
    with pytest.raises(TimeStampInvalid, match="something else than this head"):
        accept_reply(reply, NOTE, query, [trusted(authority.chain.read_text())])


def test_refuses_what_is_no_stamp(authority: TimeAuthority) -> None:
    query, reply = given(authority)
    chain = [trusted(authority.chain.read_text())]
    for broken in (b"", b"<html>", reply[:-1], reply + b"\0", reply[:200], b"0" * 300):
        with pytest.raises(TimeStampInvalid, match="cannot be read"):
            accept_reply(broken, NOTE, query, chain)
    with pytest.raises(TimeStampInvalid, match="too large"):
        accept_reply(bytes(LARGEST_STAMP + 1), NOTE, query, chain)


def test_refuses_a_stamp_whose_signature_was_changed(authority: TimeAuthority) -> None:
    query, reply = given(authority)
    stamp, _ = accept_reply(reply, NOTE, query, [trusted(authority.chain.read_text())])
    broken = bytearray(stamp.response)
    broken[-1] ^= 1
    assert "signature is wrong" in refusal(bytes(broken), authority.chain.read_text())
    later = stamp.response.replace(b"Z\x30\x03\x02\x01\x01", b"Z\x30\x03\x02\x01\x02")
    assert later != stamp.response  # its accuracy is part of what was signed
    assert "signature is wrong" in refusal(later, authority.chain.read_text())


def test_refuses_the_stamp_of_a_stranger(authority: TimeAuthority, tmp_path: Path) -> None:
    root = issue("other root", authority=True)
    response = stamped_by(tmp_path, issue("other", root), root)
    assert "none of the authorities" in refusal(response, authority.chain.read_text())
    assert "none of the authorities" in refusal(response)


def test_a_root_vouches_for_its_authorities_and_a_pinned_one_only_for_itself(
    tmp_path: Path,
) -> None:
    root = issue("root", authority=True)
    middle = issue("middle", root, authority=True)
    signer, other = issue("TSA", middle), issue("another TSA", middle)
    response = stamped_by(tmp_path, signer, middle, root)
    for pem in (root.pem, middle.pem + root.pem, signer.pem + middle.pem + root.pem):
        assert verify_stamp(response, NOTE, [trusted(pem)]).authority == "TSA"
    assert "none of the authorities" in refusal(response, other.pem + middle.pem + root.pem)


def test_refuses_a_certificate_that_is_not_for_time_stamping(tmp_path: Path) -> None:
    """openssl will not sign with one: the right one signs, and a twin of it is put in its place."""
    root = issue("root", authority=True)
    right = issue("TSA", root, serial=77)
    response = stamped_by(tmp_path, right, root)
    wanted = "its certificate is not for time-stamping only"
    both = (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CLIENT_AUTH)
    for twin in (
        issue("TSA", root, serial=77, key=right.key, usages=()),
        issue("TSA", root, serial=77, key=right.key, critical=False),
        issue("TSA", root, serial=77, key=right.key, usages=both),
    ):
        assert refusal(_exchanged(response, right, twin), root.pem) == wanted


def test_refuses_a_stamp_without_its_certificate(tmp_path: Path) -> None:
    root = issue("root", authority=True)
    signer = issue("TSA", root)
    response = _exchanged(stamped_by(tmp_path, signer, root), signer, issue("TSA", root))
    assert refusal(response, root.pem) == "its signer's certificate is not in it"


def test_certificates_are_judged_as_of_the_stamp(tmp_path: Path) -> None:
    root = issue("root", authority=True, days=(-10, 1))
    over = issue("TSA", root, days=(-3, -1))
    late = stamped_by(tmp_path / "over", over, root)
    assert refusal(late, root.pem) == "its certificate was outside its dates at that time"
    old_root = issue("root", authority=True, days=(-9, -2))
    above = stamped_by(tmp_path / "above", issue("TSA", old_root), old_root)
    assert "or a certificate above it" in refusal(above, old_root.pem)


def test_an_authority_counts_for_its_time_only(authority: TimeAuthority) -> None:
    query, reply = given(authority)
    pem = authority.chain.read_text()
    with pytest.raises(TimeStampInvalid, match="did not count at that time"):
        accept_reply(reply, NOTE, query, [trusted(pem, since=datetime.now(UTC) + DAY)])


def _exchanged(response: bytes, old: Issued, new: Issued) -> bytes:
    """The same response with another certificate in it; all lengths are made right again."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from lienthong.ledger import der

    before, after = (each.certificate.public_bytes(Encoding.DER) for each in (old, new))

    def walk(data: bytes) -> bytes:
        return b"".join(
            after
            if part.whole == before
            else der.element(part.tag, walk(part.content))
            if part.tag in (der.SEQUENCE, der.FIRST_TAGGED) and before in part.content
            else part.whole
            for part in der.parts(data)
        )

    return der.with_sorted_certificates(walk(response))
