"""Bringing a publication to the catalogue.

send("https://catalogue.example.vn", envelope)
"""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

import msgspec
import urllib3

from lienthong import __version__
from lienthong.catalogue.routes import PATH
from lienthong.errors import CatalogueRefused, CatalogueUnreachable

TIMEOUT_SECONDS = 30.0
LARGEST_ANSWER_BYTES = 1 << 16


def send(url: str, envelope: bytes) -> dict[str, Any]:
    """Send an envelope; returns what the catalogue answered. Blocking.

    Raises CatalogueUnreachable, CatalogueRefused (with the catalogue's own words).
    """
    _check_address(url)
    pool = urllib3.PoolManager(headers={"User-Agent": f"lienthong/{__version__}"})
    try:
        response = pool.request(
            "POST",
            url.rstrip("/") + PATH,
            body=envelope,
            headers={"Content-Type": "application/json"},
            timeout=TIMEOUT_SECONDS,
            retries=False,
            redirect=False,
            preload_content=False,
        )
        answer = response.read(LARGEST_ANSWER_BYTES)
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise CatalogueUnreachable(url=url, reason=type(error).__name__) from error
    finally:
        pool.clear()
    return _answer(url, response.status, answer)


def _answer(url: str, status: int, answer: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(answer, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CatalogueUnreachable(url=url, reason=f"answer {status} is no JSON") from error
    if status != 200:
        detail = str(value.get("detail", status))[:500]
        raise CatalogueRefused(detail=detail, detail_en=str(value.get("detail_en", detail))[:500])
    return value


def _check_address(url: str) -> None:
    """Publications are no secret, but who reads them on the way learns who is busy: TLS."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return
    raise CatalogueUnreachable(url=url, reason="https:// is wanted")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
