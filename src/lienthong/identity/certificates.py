"""TLS certificates of nodes: requests, the development authority, chains.

    request = certificate_request(key, "VN/GOV/G01/n1", ["127.0.0.1"])
    authority = Authority.create("VN", days=3650, now=now)
    pem = authority.issue(request_key(request), "VN/GOV/G01/n1", ["127.0.0.1"], 365, now)
    check_chain(read_chain(pem), [authority.certificate], at)

P-256 throughout: browsers, Java and Windows refuse Ed25519 in TLS. The name that matters is
the node's identifier in the subjectAltName (``urn:lienthong:node:…``); between nodes the
certificate itself is pinned by the directory. A national authority takes the place of
``Authority`` in production (docs/protocols/0002-directory.md §6).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Self
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lienthong.errors import InvalidCertificate, InvalidKey
from lienthong.identity.keys import Algorithm, PrivateKey, PublicKey

LONGEST_CHAIN = 5  # certificates; a longer chain is a way to make every handshake slow
LARGEST_PEM_BYTES = 65_536  # of a chain or request; keeps hostile files out of the parser
_LONGEST_COMMON_NAME = 64  # RFC 5280 appendix A.1, ub-common-name
_CLOCK_TOLERANCE = timedelta(hours=1)  # certificates start earlier, for clocks that are behind
PARSE_ERRORS = (  # what reading a certificate raises, its extensions included
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def certificate_request(key: PrivateKey, node: str, hosts: Iterable[str]) -> str:
    """Return a PKCS#10 request in PEM for ``key``, the node's TLS key."""
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_name(node))
        .add_extension(_alternative_names(node, hosts), critical=False)
    )
    request = builder.sign(key.cryptography, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def request_key(pem: str) -> PublicKey:
    """Return the key that a request proves to hold. Raises InvalidCertificate."""
    try:
        request = x509.load_pem_x509_csr(_limited(pem))
        if not request.is_signature_valid:
            raise InvalidCertificate(name="request", reason="its signature is wrong")
        return _public_key(request.public_key())
    except (*PARSE_ERRORS, InvalidKey) as error:
        raise InvalidCertificate(name="request", reason="cannot be read") from error


def read_chain(pem: str) -> tuple[x509.Certificate, ...]:
    """Read a certificate followed by its intermediates. Raises InvalidCertificate."""
    try:
        chain = tuple(x509.load_pem_x509_certificates(_limited(pem)))
    except PARSE_ERRORS as error:
        raise InvalidCertificate(name="chain", reason="cannot be read") from error
    if len(chain) > LONGEST_CHAIN:
        raise InvalidCertificate(name="chain", reason=f"over {LONGEST_CHAIN} certificates")
    return chain


def certificate_key(certificate: x509.Certificate) -> PublicKey:
    """Return the certificate's key. Raises InvalidCertificate."""
    try:
        return _public_key(certificate.public_key())
    except (*PARSE_ERRORS, InvalidKey) as error:
        raise InvalidCertificate(name="certificate", reason="key not allowed") from error


def fingerprint(certificate: x509.Certificate | bytes) -> str:
    """Return the SHA-256 of the DER form in hexadecimal."""
    if isinstance(certificate, bytes):
        return sha256(certificate).hexdigest()
    return certificate.fingerprint(hashes.SHA256()).hex()


def check_chain(
    chain: Sequence[x509.Certificate], authorities: Iterable[x509.Certificate], at: datetime
) -> x509.Certificate:
    """Check that ``chain`` leads to one of ``authorities``, holds at ``at``; return that one.

    1. Every certificate is within its dates.
    2. Each is issued by the next, which may issue certificates.
    3. The last is an authority or issued by one that is within its dates.

    Raises InvalidCertificate.
    """
    if not chain:
        raise InvalidCertificate(name="chain", reason="empty")
    for certificate in chain:
        _check_dates(certificate, at)
    for lower, upper in pairwise(chain):
        if not _issued(lower, upper):
            raise InvalidCertificate(name=_subject(lower), reason="not issued by the next in chain")
    top = chain[-1]
    issuers = issuers_of(top, authorities)
    if not issuers:
        raise InvalidCertificate(name=_subject(top), reason="no approved authority issued it")
    for authority in issuers:  # an authority that was renewed is there twice
        if authority.not_valid_before_utc <= at <= authority.not_valid_after_utc:
            return authority
    raise InvalidCertificate(name=_subject(issuers[0]), reason="outside its dates")


def issuers_of(
    certificate: x509.Certificate, authorities: Iterable[x509.Certificate]
) -> list[x509.Certificate]:
    """Return those of ``authorities`` that are or issued ``certificate``, whatever their dates."""
    return [one for one in authorities if certificate == one or _issued(certificate, one)]


class Authority:
    """A small certificate authority for demonstrations, tests and closed pilots."""

    def __init__(self, key: PrivateKey, certificate: x509.Certificate) -> None:
        self.key = key
        self.certificate = certificate

    @classmethod
    def create(cls, instance: str, days: int, now: datetime) -> Self:
        """Make a new authority with its own key and self-signed certificate."""
        key = PrivateKey.generate(Algorithm.P256)
        name = _name(f"Lien Thong development authority {instance}")
        builder = _builder(name, name, key.public, now, now + timedelta(days=days))
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        certificate = (
            builder.add_extension(constraints, critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .sign(key.cryptography, hashes.SHA256())
        )
        return cls(key, certificate)

    @classmethod
    def load(cls, key_path: Path, certificate_path: Path) -> Self:
        """Read an authority's files. Raises InvalidKey, UnsafeKeyFile, InvalidCertificate."""
        try:
            pem = certificate_path.read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            raise InvalidCertificate(name=certificate_path, reason="cannot be read") from error
        return cls(PrivateKey.load(key_path), read_chain(pem)[0])

    @property
    def pem(self) -> str:
        """The authority's certificate in PEM."""
        return _pem(self.certificate)

    def issue(
        self, key: PublicKey, node: str, hosts: Iterable[str], days: int, now: datetime
    ) -> str:
        """Return a certificate in PEM for a node's TLS ``key``; it never outlives the authority."""
        issuer_key = self.key.cryptography.public_key()
        until = min(now + timedelta(days=days), self.certificate.not_valid_after_utc)
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key)
        certificate = (
            _builder(_name(node), self.certificate.subject, key, now, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(both), critical=False)
            .add_extension(_alternative_names(node, hosts), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self.key.cryptography, hashes.SHA256())
        )
        return _pem(certificate)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.cryptography)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.cryptography)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_TOLERANCE)
        .not_valid_after(until)
        .add_extension(identifier, critical=False)
    )


def _usage(**granted: bool) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: granted.get(name, False) for name in names})


def _name(text: str) -> x509.Name:
    common_name = text.encode("ascii", "replace").decode()[:_LONGEST_COMMON_NAME]
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative_names(node: str, hosts: Iterable[str]) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier(f"urn:lienthong:node:{quote(node)}")
    ]
    names += (_host_name(host) for host in dict.fromkeys(hosts))
    return x509.SubjectAlternativeName(names)


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host.encode("idna").decode("ascii"))
    except ValueError as error:
        raise InvalidCertificate(name=host[:100], reason="no host name") from error


def _check_dates(certificate: x509.Certificate, at: datetime) -> None:
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        raise InvalidCertificate(name=_subject(certificate), reason="outside its dates")


def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()


def _issued(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    try:
        constraints = upper.extensions.get_extension_for_class(x509.BasicConstraints)
        if not constraints.value.ca:
            return False
        lower.verify_directly_issued_by(upper)
    except (*PARSE_ERRORS, x509.ExtensionNotFound, InvalidSignature):
        return False
    return True


def _public_key(key: object) -> PublicKey:
    der: bytes = key.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return PublicKey(der)


def _limited(pem: str) -> bytes:
    data = pem.encode()
    if len(data) > LARGEST_PEM_BYTES:
        raise InvalidCertificate(name="PEM", reason=f"over {LARGEST_PEM_BYTES} bytes")
    return data


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
