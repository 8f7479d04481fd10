"""What must hold for a node to work; each check says what it saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lienthong.errors import LienthongError
from lienthong.node.health import Check, FailedCheck, HealthReport

if TYPE_CHECKING:
    from lienthong.node.node import Node

LARGEST_CLOCK_LAG_SECONDS = 5.0


def health_report(node: Node) -> HealthReport:
    """Look at the node; must not block."""
    if not node.started:
        waiting = node.trust.last_error
        if waiting is None:
            return HealthReport((Check("started", ok=False, reason="starting"),))
        return HealthReport((_failed(node, "started", waiting),))
    return HealthReport(
        (
            _directory(node),
            _certificate(node),
            _signing_key(node),
            _clock(node),
            _ledger(node),
            *_time_stamps(node),
            *_forks(node),
        ),
        maintenance=node.maintenance or node.core.draining,
    )


def _failed(node: Node, name: str, error: LienthongError) -> Check:
    told = error.message(node.settings.language)
    return FailedCheck(name, ok=False, reason=told, error=error)


def _directory(node: Node) -> Check:
    try:
        view = node.core.view()
    except LienthongError as error:
        return _failed(node, "directory", error)
    last = node.trust.last_error
    seen = f"version {view.version}, expires {view.expires.isoformat()}"
    return Check("directory", ok=True, reason=seen if last is None else f"{seen}; {last.code}")


def _certificate(node: Node) -> Check:
    expires = node.trust.certificate_expires()
    good = expires is not None and expires > node.clock.now()
    return Check("certificate", ok=good, reason="" if expires is None else expires.isoformat())


def _signing_key(node: Node) -> Check:
    trouble = node.keys.signing.trouble
    if trouble is not None:
        return _failed(node, "signing_key", trouble)
    return Check("signing_key", ok=True, reason=f"key {node.keys.signing.public.key_id}")


def _clock(node: Node) -> Check:
    behind, moved = node.clock.behind_seconds, node.clock.stepped_seconds
    if abs(moved) > LARGEST_CLOCK_LAG_SECONDS:
        reason = f"it was moved by {moved:+.0f} s while the node ran, and is not followed"
        return Check("clock", ok=False, reason=reason)
    good = behind <= LARGEST_CLOCK_LAG_SECONDS
    return Check("clock", ok=good, reason="" if good else f"{behind:.0f} s behind its own ledger")


def _ledger(node: Node) -> Check:
    committer = node.core.committer
    good = committer.last_error is None
    return Check("ledger", ok=good, reason=f"{committer.size} groups" if good else "cannot write")


def _time_stamps(node: Node) -> tuple[Check, ...]:
    """Whether stamps come; a backlog is an alarm and no failure: traffic goes on."""
    stamper = node.anchoring.stamper
    if not stamper.configured:
        return ()
    backlog = stamper.backlog
    waiting = f"{backlog.groups} groups wait, {backlog.seconds:.0f} s"
    reason = f"{waiting}; {stamper.last_error}" if stamper.last_error else waiting
    return (Check("time_stamps", ok=True, reason=reason, alarm=stamper.alarming),)


def _forks(node: Node) -> tuple[Check, ...]:
    """Other nodes' ledgers that have shown two histories, by name."""
    forked = sorted(node.core.peers.forked)
    if not forked:
        return ()
    return (Check("forks", ok=True, reason=", ".join(forked), alarm=True),)
