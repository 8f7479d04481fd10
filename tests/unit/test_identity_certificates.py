"""Certificates of nodes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from lienthong.errors import InvalidCertificate
from lienthong.identity.certificates import (
    LARGEST_PEM_BYTES,
    LONGEST_CHAIN,
    Authority,
    certificate_key,
    certificate_request,
    check_chain,
    fingerprint,
    read_chain,
    request_key,
)
from lienthong.identity.keys import Algorithm, PrivateKey

NOW = datetime.now(UTC)
NODE = "VN/GOV/G01/n1"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("VN", 3650, NOW)


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return PrivateKey.generate(Algorithm.P256)


def test_a_request_proves_its_key(key: PrivateKey) -> None:
    assert request_key(certificate_request(key, NODE, ["127.0.0.1"])) == key.public


def test_a_changed_request_is_refused(key: PrivateKey) -> None:
    pem = certificate_request(key, NODE, ["host.example.vn"])
    lines = pem.splitlines()
    lines[2] = lines[2][:10] + ("A" if lines[2][10] != "A" else "B") + lines[2][11:]
    with pytest.raises(InvalidCertificate):
        request_key("\n".join(lines))


def test_issues_for_names_and_addresses_and_for_both_sides(
    authority: Authority, key: PrivateKey
) -> None:
    names = ["127.0.0.1", "::1", "nút.example.vn"]
    [certificate] = read_chain(authority.issue(key.public, NODE, names, 90, NOW))
    check_chain([certificate], [authority.certificate], NOW)
    assert certificate_key(certificate) == key.public
    extensions = certificate.extensions
    alternative = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(one) for one in alternative.get_values_for_type(x509.IPAddress)] == names[:2]
    assert alternative.get_values_for_type(x509.DNSName) == ["xn--nt-rka.example.vn"]
    urn = alternative.get_values_for_type(x509.UniformResourceIdentifier)
    assert urn == [f"urn:lienthong:node:{NODE}"]


def test_a_certificate_never_outlives_its_authority(authority: Authority, key: PrivateKey) -> None:
    [certificate] = read_chain(authority.issue(key.public, NODE, [], 99_999, NOW))
    assert certificate.not_valid_after_utc == authority.certificate.not_valid_after_utc


def test_refuses_chains_outside_their_dates(authority: Authority, key: PrivateKey) -> None:
    chain = read_chain(authority.issue(key.public, NODE, [], 90, NOW))
    for at in (NOW - timedelta(days=1), NOW + timedelta(days=91)):
        with pytest.raises(InvalidCertificate, match="dates"):
            check_chain(chain, [authority.certificate], at)


def test_refuses_chains_of_strangers(authority: Authority, key: PrivateKey) -> None:
    stranger = Authority.create("VN", 3650, NOW)
    chain = read_chain(stranger.issue(key.public, NODE, [], 90, NOW))
    with pytest.raises(InvalidCertificate, match="authority"):
        check_chain(chain, [authority.certificate], NOW)
    with pytest.raises(InvalidCertificate, match="next"):
        check_chain([*chain, authority.certificate], [authority.certificate], NOW)
    with pytest.raises(InvalidCertificate):
        check_chain([], [authority.certificate], NOW)


def test_a_certificate_that_may_not_issue_issues_nothing(
    authority: Authority, key: PrivateKey
) -> None:
    [leaf] = read_chain(authority.issue(key.public, NODE, [], 90, NOW))
    false_authority = Authority(key, leaf)
    other = PrivateKey.generate(Algorithm.P256)
    chain = read_chain(false_authority.issue(other.public, "VN/GOV/G99/n1", [], 30, NOW))
    with pytest.raises(InvalidCertificate):
        check_chain([*chain, leaf], [authority.certificate], NOW)
    with pytest.raises(InvalidCertificate):
        check_chain(chain, [leaf], NOW)


def test_an_authority_is_read_back(authority: Authority, tmp_path: Path) -> None:
    authority.key.save(tmp_path / "a.pem")
    (tmp_path / "a.crt").write_text(authority.pem)
    loaded = Authority.load(tmp_path / "a.pem", tmp_path / "a.crt")
    assert fingerprint(loaded.certificate) == fingerprint(authority.certificate)
    with pytest.raises(InvalidCertificate):
        Authority.load(tmp_path / "a.pem", tmp_path / "none.crt")


def test_refuses_what_is_no_certificate(authority: Authority) -> None:
    for pem in ("", "x", authority.pem[:200], "é", "x" * (LARGEST_PEM_BYTES + 1)):
        with pytest.raises(InvalidCertificate):
            read_chain(pem)
        with pytest.raises(InvalidCertificate):
            request_key(pem)
    with pytest.raises(InvalidCertificate):
        read_chain(authority.pem * (LONGEST_CHAIN + 1))


def test_refuses_host_names_that_are_none(authority: Authority, key: PrivateKey) -> None:
    for host in ("a..b", "x" * 300):
        with pytest.raises(InvalidCertificate):
            authority.issue(key.public, NODE, [host], 90, NOW)


def test_more_bytes_than_a_chain_has_are_not_read() -> None:
    with pytest.raises(InvalidCertificate, match="over"):
        read_chain("x" * (LARGEST_PEM_BYTES + 1))
