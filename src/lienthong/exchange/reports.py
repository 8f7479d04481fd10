"""What the log says of an exchange, in the same words on both sides."""

from __future__ import annotations

import logging
import uuid
from typing import Protocol

from lienthong.errors import LienthongError
from lienthong.events import log_event
from lienthong.exchange.core import Observer
from lienthong.exchange.faults import PeerFault
from lienthong.ledger.messages import Request


class Ending(Protocol):
    """How an exchange ended: a signed answer, or what is about to become one."""

    @property
    def outcome(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def status(self) -> int: ...


def report_answer(
    logger: logging.Logger, role: str, request: Request, ending: Ending, error_id: str = ""
) -> None:
    """Log that a request was answered, refused or failed in a signed answer.

    ``error_id`` is the id that the client is told of an error.
    """
    log_event(
        logger,
        logging.INFO,
        "exchange.answered",
        role=role,
        request_id=request.request_id,
        message_id=request.message_id,
        client=request.client,
        service=request.service,
        outcome=ending.outcome,
        reason=ending.reason,
        status=ending.status,
        **_details(request, ending, error_id),
    )


def _details(request: Request, ending: Ending, error_id: str) -> dict[str, str]:
    """What ``lienthong node trace`` needs beyond, of an exchange that did not go well."""
    if ending.outcome == "answered":
        return {}
    return {"error_id": error_id, "sender": request.sender, "receiver": request.receiver}


def report_refusal(
    observer: Observer,
    logger: logging.Logger,
    role: str,
    error: LienthongError,
    event: str = "exchange.refused",
    **facts: object,
) -> str:
    """Count and log a refusal; returns its id, which the caller is told as ``detail``."""
    error_id = str(uuid.uuid4())
    observer.refused(role, error.code)
    log_event(
        logger,
        logging.WARNING,
        event,
        error_id=error_id,
        **facts,
        code=error.code,
        reason=str(error),
    )
    return error_id


def report_failure(
    logger: logging.Logger, request: Request, error: LienthongError | PeerFault
) -> None:
    """Log what became of a request that is in the ledger; the error remembers whose it was."""
    if isinstance(error, PeerFault):
        error.request_id, error.node = request.request_id, request.receiver
    else:
        error.facts.update(request_id=request.request_id, receiver=request.receiver)
    log_event(
        logger,
        logging.WARNING,
        "exchange.failed",
        request_id=request.request_id,
        message_id=request.message_id,
        receiver=request.receiver,
        reason=str(error),
    )


def report_unreachable(logger: logging.Logger, request: Request, error: LienthongError) -> None:
    """Log that the receiver could not be connected to; another of its member's nodes may be."""
    log_event(
        logger,
        logging.WARNING,
        "exchange.node_unreachable",
        request_id=request.request_id,
        receiver=request.receiver,
        reason=str(error),
    )
