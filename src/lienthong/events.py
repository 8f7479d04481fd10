"""One line of the structured log: a stable dotted name and its facts.

    log_event(logger, logging.INFO, "exchange.answered", request_id=…, status=200)

``node.log`` writes them as JSON and masks citizen numbers.
"""

from __future__ import annotations

import logging


def log_event(logger: logging.Logger, level: int, event: str, **fields: object) -> None:
    """Log ``event`` with its facts. Never give it a body or a personal key."""
    if logger.isEnabledFor(level):
        logger.log(level, event, extra={"fields": fields})
