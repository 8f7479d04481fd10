"""What the node offers and may ask for: sources, services behind it, agreements."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from lienthong.agreements.models import Agreement, Status
from lienthong.agreements.store import AgreementStore
from lienthong.contracts import load_contract
from lienthong.errors import LienthongError
from lienthong.ledger.database import connect_database
from lienthong.node.doctor.context import Context
from lienthong.node.doctor.finding import Check, Finding, Words, failed, good, warning
from lienthong.node.store import NodeStore, ServiceDefinition
from lienthong.sources.source import open_source
from lienthong.transport.client import Address
from lienthong.transport.tls import client_context

CONNECT_SECONDS = 4.0
ENDING = timedelta(days=30)


def checks(context: Context) -> list[Check]:
    """One check a service; none where the database cannot be read (``storage`` says so)."""
    try:
        definitions, agreements = _read(context)
    except Exception:
        return []
    found = [Check("agreements", context.node, lambda: agreed(context, agreements))]
    return found + [_check(each) for each in definitions if each.enabled]


def partners(context: Context) -> dict[str, None]:
    """The nodes of the other sides of all agreements, as keys."""
    view = context.view
    found: dict[str, None] = {}
    if view is None:
        return found
    with suppress(Exception):
        for each in _read(context)[1]:
            document = each.document
            for subsystem in (document.consumer, document.service.rpartition("/")[0]):
                with suppress(LienthongError):
                    found.update(dict.fromkeys(view.nodes_of(subsystem)))
    return found


def _read(context: Context) -> tuple[list[ServiceDefinition], list[Agreement]]:
    if context.is_sqlite and not context.state.database.exists():
        return [], []
    engine = connect_database(context.database)
    try:
        return NodeStore(engine).services(), AgreementStore(engine).all()
    finally:
        engine.dispose()


def _check(definition: ServiceDefinition) -> Check:
    return Check("services.source", definition.id, lambda: source(definition))


def source(definition: ServiceDefinition) -> Iterator[Finding]:
    """Can the service answer now?"""
    look = _relay if definition.kind == "relay" else _contract
    try:
        look(definition)
    except LienthongError as error:
        told = Words(error.message("vi"), error.message("en"))
        todo = Words(error.remedy("vi"), error.remedy("en"))
        yield failed("services.source", definition.id, told, todo)
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        yield failed(
            "services.source",
            definition.id,
            Words(f"không nối được {definition.relay}: {reason}", f"{definition.relay}: {reason}"),
            Words(
                f"Kiểm tra dịch vụ đó có chạy không: curl -v {definition.relay}",
                f"Check that the service runs: curl -v {definition.relay}",
            ),
        )
    else:
        yield good("services.source", definition.id, "tới được", "can be reached")


def _contract(definition: ServiceDefinition) -> None:
    open_source(definition.source, load_contract(definition.contract.encode())).close()


def _relay(definition: ServiceDefinition) -> None:
    address = Address.parse(definition.relay)
    with socket.create_connection((address.host, address.port), CONNECT_SECONDS) as plain:
        if address.tls and definition.verify_tls:
            context = client_context(check_hostname=True)
            context.wrap_socket(plain, server_hostname=address.host).close()


def agreed(context: Context, agreements: list[Agreement]) -> Iterator[Finding]:
    """Which rights end soon?"""
    now = context.now()
    active = [each for each in agreements if each.status(now) is Status.ACTIVE]
    ending = [each for each in active if each.document.valid_until - now < ENDING]
    for each in ending:
        days = (each.document.valid_until - now).days
        yield warning(
            "agreements",
            each.id,
            Words(
                f"{each.document.consumer} → {each.document.service}: còn {days} ngày",
                f"{each.document.consumer} → {each.document.service}: {days} days left",
            ),
            Words(
                "Lập thỏa thuận mới trước ngày đó: lienthong agreement propose",
                "Make a new one before that day: lienthong agreement propose",
            ),
        )
    if not ending:
        vi, en = f"{len(active)} còn hiệu lực", f"{len(active)} in force"
        yield good("agreements", context.node, vi, en)
