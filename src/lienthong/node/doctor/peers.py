"""Each other node, one step after the other: DNS, TCP, TLS, its certificate, its clock.

The steps are those of a real exchange, with this node's certificate: where one fails, those
behind it would say nothing and are left out.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from cryptography import x509

from lienthong.directory.view import DirectoryView
from lienthong.errors import LienthongError, TlsConfigurationInvalid
from lienthong.exchange.wire import HEAD_PATH, NODE_HEADER
from lienthong.node.doctor.context import Context
from lienthong.node.doctor.finding import Check, Finding, State, Words, failed, good, warning
from lienthong.transport.client import Address
from lienthong.transport.tls import client_context

CONNECT_SECONDS = 4.0
NOTICED_SECONDS = 5.0  # of a clock's difference
MOST_PEERS = 50
MOST_HEAD_BYTES = 65_536


class _Reply(NamedTuple):
    status: int
    date: datetime | None
    seconds: float  # between question and answer


def checks(context: Context, wanted: list[str]) -> list[Check]:
    """``wanted`` are the nodes to look at; this one's own address is looked at while it runs."""
    view = context.view
    if view is None:
        return []
    names = [node for node in wanted if node != context.node]
    if context.process is not None:
        names.insert(0, context.node)
    return [_check(context, view, node) for node in names]


def _check(context: Context, view: DirectoryView, node: str) -> Check:
    return Check("peer", node, lambda: peer(context, view, node))


def peer(context: Context, view: DirectoryView, node: str) -> Iterator[Finding]:
    """Go as far towards a node as possible."""
    try:
        address = Address.parse(view.node(node).addresses[0])
    except (LienthongError, IndexError) as error:
        yield failed("peer.address", node, _both(error), _ASK_OPERATOR)
        return
    for step in (_dns, _tcp):
        finding = step(node, address)
        if finding.state is not State.OK:
            yield finding
            return
    yield _tcp_good(node, address)
    yield from _tls(context, view, node, address)


def _dns(node: str, address: Address) -> Finding:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        return failed(
            "peer.dns",
            node,
            Words(
                f"không phân giải được tên {address.host}",
                f"no address for {address.host}: {error}",
            ),
            Words(
                f"Kiểm tra /etc/resolv.conf và bản ghi DNS: getent hosts {address.host}",
                f"Check /etc/resolv.conf and the DNS record: getent hosts {address.host}",
            ),
        )
    return good("peer.dns", node, str(found[0][4][0]), str(found[0][4][0]))


def _tcp(node: str, address: Address) -> Finding:
    try:
        socket.create_connection((address.host, address.port), CONNECT_SECONDS).close()
    except TimeoutError:
        return failed(
            "peer.tcp",
            node,
            Words(
                f"{address} không trả lời trong {CONNECT_SECONDS:.0f} giây", f"{address} is mute"
            ),
            Words(
                "Gói tin bị bỏ: tường lửa (hai phía) hoặc máy đã tắt. Xin mở TCP "
                f"{address.port} tới {address.host}",
                "Packets are dropped: a firewall on either side, or the machine is off. Ask for "
                f"TCP {address.port} to {address.host}",
            ),
        )
    except ConnectionRefusedError:
        return failed(
            "peer.tcp",
            node,
            Words(f"{address} từ chối kết nối", f"{address} refuses the connection"),
            Words(
                "Máy có trả lời nhưng cổng đóng: nút bên kia đang dừng, nghe cổng khác, hoặc "
                "tường lửa chủ động từ chối. Báo người quản trị nút đó",
                "The machine answers but the port is closed: that node is stopped, listens "
                "elsewhere, or a firewall rejects. Tell its administrator",
            ),
        )
    except OSError as error:
        return failed(
            "peer.tcp",
            node,
            Words(f"{address}: {error.strerror}", f"{address}: {error.strerror}"),
            Words("Kiểm tra tuyến mạng: ip route get", "Check the route: ip route get"),
        )
    return _tcp_good(node, address)


def _tcp_good(node: str, address: Address) -> Finding:
    return good("peer.tcp", node, f"nối được {address}", f"{address} can be reached")


def _tls(context: Context, view: DirectoryView, node: str, address: Address) -> Iterator[Finding]:
    try:
        tls = _context(context)
    except TlsConfigurationInvalid as error:
        yield failed("peer.tls", node, _both(error), _remedy(error))
        return
    try:
        with (
            socket.create_connection((address.host, address.port), CONNECT_SECONDS) as plain,
            tls.wrap_socket(plain, server_hostname=address.host) as secure,
        ):
            shown = _certificate(view, node, secure.getpeercert(True) or b"", context.now())
            yield shown
            if shown.state is not State.OK:
                return  # nothing is said to a stranger
            yield from _answer(context, node, _ask(context, secure))
    except (ssl.SSLError, OSError, ValueError) as error:
        yield _no_tls(node, error)


def _context(context: Context) -> ssl.SSLContext:
    """Our own certificate; theirs is looked at here, whatever it is."""
    state = context.state
    tls = client_context(state.tls_certificate, state.tls_key, check_hostname=False)
    tls.verify_mode = ssl.CERT_NONE
    return tls


def _certificate(view: DirectoryView, node: str, der: bytes, now: datetime) -> Finding:
    shown = _described(der)
    try:
        view.check_certificate(node, der, now)
    except LienthongError as error:
        return failed(
            "peer.certificate",
            node,
            Words(f"{error.message('vi')} {shown}", f"{error.message('en')} {shown}"),
            Words(
                "Nút bên kia phải đưa chứng thư đang có trong danh bạ: gia hạn, hoặc gửi yêu cầu "
                "mới cho người vận hành danh bạ. Địa chỉ cũng có thể dẫn tới nhầm máy",
                "That node must show a certificate that the directory lists: renew it, or send "
                "a new request to the operator. The address may also lead to the wrong machine",
            ),
        )
    return good("peer.certificate", node, f"danh bạ chấp nhận: {shown}", f"accepted: {shown}")


def _described(der: bytes) -> str:
    try:
        found = x509.load_der_x509_certificate(der)
    except ValueError:
        return "(?)"
    names = found.subject.rfc4514_string(), found.issuer.rfc4514_string()
    return f"[{names[0]} ← {names[1]}, … {found.not_valid_after_utc:%Y-%m-%d}]"


def _ask(context: Context, secure: ssl.SSLSocket) -> _Reply:
    """Ask for the node's head, as nodes do. Raises OSError, ValueError."""
    head = (
        f"GET {HEAD_PATH} HTTP/1.1\r\nHost: doctor\r\nConnection: close\r\n"
        f"{NODE_HEADER}: {context.node}\r\n\r\n"
    )
    begun = time.monotonic()
    secure.sendall(head.encode())
    received = b""
    while b"\r\n\r\n" not in received and len(received) < MOST_HEAD_BYTES:
        piece = secure.recv(16_384)
        if not piece:
            raise ConnectionError("closed without an answer")
        received += piece
    first, *lines = received.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    date = None
    for line in lines:
        name, _, value = line.partition(":")
        if name.lower() == "date":
            with suppress(ValueError):
                date = parsedate_to_datetime(value.strip())
    return _Reply(int(first.split()[1]), date, time.monotonic() - begun)


def _answer(context: Context, node: str, reply: _Reply) -> Iterator[Finding]:
    if reply.status not in (200, 404):  # 404: it has written nothing yet
        yield failed(
            "peer.accepts",
            node,
            Words(f"nút từ chối ta: HTTP {reply.status}", f"it refuses us: HTTP {reply.status}"),
            Words(
                "Nút bên kia chưa có danh bạ mới, hoặc chứng thư của ta không còn hiệu lực ở đó",
                "That node has no new copy of the directory, or our certificate no longer counts",
            ),
        )
    else:
        milliseconds = f"{reply.seconds * 1000:.0f} ms"
        yield good("peer.accepts", node, f"trả lời sau {milliseconds}", f"answers, {milliseconds}")
    if reply.date is not None:
        yield _clock(context, node, (reply.date - context.now()).total_seconds())


def _clock(context: Context, node: str, difference: float) -> Finding:
    return clock(node, difference, float(context.settings.clock_skew_seconds))


def clock(subject: str, difference: float, allowed: float) -> Finding:
    """How far another clock is ahead of ours, in seconds."""
    vi = f"đồng hồ lệch {difference:+.0f} giây so với {subject}"
    en = f"it is {difference:+.0f} s ahead of this machine"
    remedy = Words(
        "Bật đồng bộ giờ ở cả hai máy: timedatectl set-ntp true; chronyc tracking",
        "Synchronise both machines: timedatectl set-ntp true; chronyc tracking",
    )
    if abs(difference) > allowed:
        return failed("clock", subject, Words(vi, en), remedy)
    if abs(difference) > NOTICED_SECONDS:
        return warning("clock", subject, Words(vi, en), remedy)
    return good("clock", subject, vi, en)


def _no_tls(node: str, error: Exception) -> Finding:
    reason = getattr(error, "reason", "") or str(error) or type(error).__name__
    ours = isinstance(error, ssl.SSLError) and "ALERT" in str(reason).upper()
    if ours:
        remedy = Words(
            "Nút bên kia không nhận chứng thư của ta: nó chưa có danh bạ mới, hoặc chứng thư đã "
            "hết hạn. Xem dòng keys.expiry",
            "That node takes no certificate of ours: it has no new copy of the directory, or "
            "ours has expired. See keys.expiry",
        )
    else:
        remedy = Words(
            "TLS phải đi thẳng tới nút: không để proxy hay cân bằng tải tầng 7 giải mã ở giữa",
            "TLS must reach the node itself: no proxy or layer-7 balancer may end it on the way",
        )
    return failed("peer.tls", node, Words(f"TLS: {reason}", f"TLS: {reason}"), remedy)


def _both(error: Exception) -> Words:
    if isinstance(error, LienthongError):
        return Words(error.message("vi"), error.message("en"))
    return Words(str(error), str(error))


def _remedy(error: LienthongError) -> Words:
    return Words(error.remedy("vi"), error.remedy("en"))


_ASK_OPERATOR = Words(
    "Hỏi người vận hành danh bạ về bản ghi của nút này",
    "Ask the directory's operator about the record of this node",
)
