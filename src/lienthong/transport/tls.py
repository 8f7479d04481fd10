"""TLS contexts of nodes: TLS 1.2 or newer, no compression, no renegotiation.

Between nodes it is not the host name that counts: the directory pins each node's
certificate, and whoever connects compares it (``ConnectionPool(on_connect=…)``,
``DirectoryView.check_certificate``). The authorities are those of the directory.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from lienthong.errors import TlsConfigurationInvalid

# Forward secrecy and authenticated encryption only; TLS 1.3 has nothing else.
TLS12_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(
    certificate: Path,
    key: Path,
    authorities_pem: str | None = None,
    require_client_certificate: bool = False,
) -> ssl.SSLContext:
    """Make a server's context from PEM files. Raises TlsConfigurationInvalid."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    _load_identity(context, certificate, key)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    # A resumed session is not checked against the authorities again: where the certificate
    # of the client matters, each connection shakes hands in full.
    context.num_tickets = 0 if require_client_certificate else 2
    if require_client_certificate:
        context.options |= ssl.OP_NO_TICKET
    if authorities_pem is not None:
        _load_authorities(context, authorities_pem)
    if require_client_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(
    certificate: Path | None = None,
    key: Path | None = None,
    authorities_pem: str | None = None,
    check_hostname: bool = False,
) -> ssl.SSLContext:
    """Make a client's context. Without ``authorities_pem`` the system's are trusted.

    Raises TlsConfigurationInvalid.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    context.check_hostname = check_hostname
    if certificate is not None:
        _load_identity(context, certificate, key)
    if authorities_pem is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _load_authorities(context, authorities_pem)
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(TLS12_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])


def _load_identity(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "strerror", None) or str(error)
        raise TlsConfigurationInvalid(name=certificate, reason=reason) from error


def _no_password() -> str:
    raise ValueError("the key is encrypted")  # never ask on the terminal of a daemon


def _load_authorities(context: ssl.SSLContext, authorities_pem: str) -> None:
    try:
        context.load_verify_locations(cadata=authorities_pem)
    except (ssl.SSLError, ValueError) as error:
        raise TlsConfigurationInvalid(name="authorities", reason=str(error)) from error
