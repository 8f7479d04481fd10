"""The node's own ports: open while it runs, free while it does not."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

from lienthong.node.doctor.context import Context
from lienthong.node.doctor.finding import Check, Finding, Words, failed, good, warning

CONNECT_SECONDS = 3.0
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
PORTS = ("peer_listen", "client_http_listen", "client_https_listen", "operations_listen")


def checks(context: Context) -> list[Check]:
    found = [Check("node.process", context.node, lambda: process(context))]
    for name in PORTS:
        listen = str(getattr(context.settings, name))
        if listen:
            found.append(_port_check(context, name, listen))
    return found


def _port_check(context: Context, name: str, listen: str) -> Check:
    return Check("ports", f"{name} {listen}", lambda: port(context, name, listen))


def process(context: Context) -> Iterator[Finding]:
    """Does the node run at all?"""
    if context.process is None:
        yield warning(
            "node.process",
            context.node,
            Words("nút không chạy", "the node does not run"),
            Words(
                f"Khởi động: lienthong node run {context.state.folder}",
                f"Start it: lienthong node run {context.state.folder}",
            ),
        )
    else:
        pid = context.process
        yield good("node.process", context.node, f"đang chạy, pid {pid}", f"runs, pid {pid}")


def port(context: Context, name: str, listen: str) -> Iterator[Finding]:
    """Is somebody there, and is it we?"""
    subject = f"{name} {listen}"
    host, _, number = listen.rpartition(":")
    address = (_EVERYWHERE.get(host.strip("[]"), host.strip("[]")), int(number))
    if context.process is not None:
        yield _running(subject, name, address)
    else:
        yield _stopped(subject, address)


def _running(subject: str, name: str, address: tuple[str, int]) -> Finding:
    try:
        socket.create_connection(address, CONNECT_SECONDS).close()
    except OSError as error:
        return failed(
            "ports",
            subject,
            Words(f"nút chạy nhưng cổng không mở ({error})", "the node runs, the port is closed"),
            Words(
                "Xem lienthong node status STATE: nút còn chờ danh bạ chấp thuận, hoặc thiết lập "
                "đã đổi sau khi khởi động",
                "Look at lienthong node status STATE: it waits for approval, or the setting "
                "changed after the start",
            ),
        )
    if name == "peer_listen":
        return good("ports", subject, "mở; mở cổng này ở tường lửa", "open; let others reach it")
    return good("ports", subject, "đang mở", "open")


def _stopped(subject: str, address: tuple[str, int]) -> Finding:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(address)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            vi = "chương trình khác giữ cổng" if taken else f"không mở được: {error.strerror}"
            en = "another program has it" if taken else f"cannot be opened: {error.strerror}"
            return failed(
                "ports",
                subject,
                Words(vi, en),
                Words(
                    f"Tìm chương trình đó: ss -ltnp 'sport = :{address[1]}'; hoặc đổi cổng",
                    f"Find it: ss -ltnp 'sport = :{address[1]}'; or choose another port",
                ),
            )
    return good("ports", subject, "còn trống", "free")
