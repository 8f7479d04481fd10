"""Looking at everything at once: each check in a thread of its own, none waited for too long.

findings = examine(context, progress=…)
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable

from lienthong.errors import LienthongError
from lienthong.node.doctor import machine, peers, ports, services, storage, trust
from lienthong.node.doctor.context import Context
from lienthong.node.doctor.finding import Check, Finding, State, Words, failed

CHECK_SECONDS = 15.0  # a peer that drops packets costs 4, a mute database 10
Progress = Callable[[int, int], None]  # (done, of how many)

logger = logging.getLogger("lienthong.node.doctor")
_SLOW = Words("Xem kết nối, tải của máy, rồi chạy lại", "Look at the network and load; run again")


def all_checks(context: Context, wanted_peers: Iterable[str] | None = None) -> list[Check]:
    """What there is to look at; ``wanted_peers`` None: those that the node deals with."""
    nodes = list(wanted_peers) if wanted_peers is not None else peers_of(context)
    return [
        *ports.checks(context),
        *machine.checks(context),
        *trust.checks(context),
        *storage.checks(context),
        *services.checks(context),
        *peers.checks(context, nodes),
    ]


def peers_of(context: Context) -> list[str]:
    """All nodes of a small instance; of a nation those that this one has agreements with."""
    view = context.view
    if view is None:
        return []
    partners = services.partners(context)
    others = (each.id for each in view.nodes())
    for node in others:
        if len(partners) >= peers.MOST_PEERS:
            break
        partners.setdefault(node)
    return sorted(partners)


def examine(checks: list[Check], progress: Progress = lambda done, total: None) -> list[Finding]:
    """Run all checks; findings in the order of the checks, each within its time."""
    done: queue.SimpleQueue[tuple[int, list[Finding]]] = queue.SimpleQueue()
    for number, check in enumerate(checks):
        # Daemons: a look that never ends must not hold up the end of the command.
        thread = threading.Thread(target=_look, args=(number, check, done), daemon=True)
        thread.start()
    results: dict[int, list[Finding]] = {}
    deadline = time.monotonic() + CHECK_SECONDS
    while len(results) < len(checks):
        try:
            number, findings = done.get(timeout=max(deadline - time.monotonic(), 0.001))
        except queue.Empty:
            break
        results[number] = findings
        progress(len(results), len(checks))
    return [
        finding
        for number, check in enumerate(checks)
        for finding in results.get(number) or [_too_slow(check)]
    ]


def _look(number: int, check: Check, done: queue.SimpleQueue[tuple[int, list[Finding]]]) -> None:
    try:
        findings = list(check.look())
    except LienthongError as error:
        told = Words(error.message("vi"), error.message("en"))
        todo = Words(error.remedy("vi"), error.remedy("en"))
        findings = [failed(check.name, check.subject, told, todo)]
    except Exception as error:  # a check that breaks is one line, and not the end of all others
        logger.exception("doctor.check_failed")
        told = Words(f"kiểm tra hỏng: {error!r}", f"the check broke: {error!r}")
        findings = [failed(check.name, check.subject, told, _SLOW)]
    done.put((number, findings))


def _too_slow(check: Check) -> Finding:
    told = Words(
        f"không xong trong {CHECK_SECONDS:.0f} giây", f"not done in {CHECK_SECONDS:.0f} seconds"
    )
    return failed(check.name, check.subject, told, _SLOW)


def worst(findings: Iterable[Finding]) -> State:
    """The worst state of all."""
    order = list(State)
    return max((each.state for each in findings), key=order.index, default=State.OK)
