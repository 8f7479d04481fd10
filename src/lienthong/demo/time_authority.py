"""A time-stamping authority (RFC 3161) for demonstrations and tests: ``openssl ts`` behind HTTP.

    python -m lienthong.demo.time_authority --folder FOLDER --port 3180

``chain.pem`` in the folder is what the directory's operator approves. A real authority keeps its
key in a certified device and its clock by an official source; this one has the machine's clock.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

OPENSSL = shutil.which("openssl")
LARGEST_QUERY = 16_384  # bytes; a query has under 100
POLICY = "1.3.6.1.4.1.99999.1"  # an example; each authority publishes its own
_CONFIGURATION = f"""
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
[stamping]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[req]
distinguished_name = name
[name]
[tsa]
default_tsa = authority
[authority]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
certs = root.pem
signer_digest = sha256
default_policy = {POLICY}
other_policies = {POLICY}.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class TimeAuthority:
    """The authority's files in one folder, and its answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._one_serial = threading.Lock()

    @property
    def chain(self) -> Path:
        """Its certificate and its root's, in PEM."""
        return self.folder / "chain.pem"

    def prepare(self, name: str = "Lien Thong demonstration TSA") -> None:
        """Make keys and certificates, unless they are there."""
        if self.chain.exists():
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / "openssl.cnf").write_text(_CONFIGURATION, encoding="ascii")
        (self.folder / "serial").write_text("01\n", encoding="ascii")
        self._openssl(
            *("req", "-config", "openssl.cnf", "-x509", *_KEY, "-keyout", "root.key"),
            *("-out", "root.pem", "-days", "3650", "-subj", f"/CN={name} root"),
            *("-extensions", "root"),
        )
        self._openssl(
            *("req", "-config", "openssl.cnf", *_KEY, "-keyout", "tsa.key"),
            *("-out", "tsa.csr", "-subj", f"/CN={name}"),
        )
        self._openssl(
            *("x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key"),
            *("-CAcreateserial", "-out", "tsa.pem", "-days", "1095"),
            *("-extfile", "openssl.cnf", "-extensions", "stamping"),
        )
        both = (self.folder / "tsa.pem").read_text() + (self.folder / "root.pem").read_text()
        self.chain.write_text(both, encoding="ascii")

    def reply(self, query: bytes) -> bytes:
        """Answer one request (a TimeStampReq) with a TimeStampResp, a refusal included."""
        with self._one_serial:
            asked, answered = self.folder / "query.tsq", self.folder / "reply.tsr"
            asked.write_bytes(query)
            answered.unlink(missing_ok=True)
            self._openssl(
                *("ts", "-reply", "-config", "openssl.cnf", "-section", "authority"),
                *("-queryfile", asked.name, "-out", answered.name),
            )
            return answered.read_bytes()

    def _openssl(self, *arguments: str) -> None:
        assert OPENSSL is not None, "openssl is not installed"
        subprocess.run(  # noqa: S603 - our own words, no shell
            [OPENSSL, *arguments], cwd=self.folder, check=True, capture_output=True
        )


def server(authority: TimeAuthority, port: int) -> ThreadingHTTPServer:
    """An HTTP server on loopback (RFC 3161 §3.4); ``serve_forever`` runs it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            wanted = self.headers.get("content-type") == "application/timestamp-query"
            if not wanted or not 0 < size <= LARGEST_QUERY:
                self.send_error(400)
                return
            try:
                content = authority.reply(self.rfile.read(size))
            except (OSError, subprocess.CalledProcessError):
                self.send_error(500)
                return
            self.send_response(200)
            self.send_header("content-type", "application/timestamp-reply")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    authority = TimeAuthority(options.folder)
    authority.prepare()
    server(authority, options.port).serve_forever()


if __name__ == "__main__":
    main()
