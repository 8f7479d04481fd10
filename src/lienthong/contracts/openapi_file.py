"""The OpenAPI description that an agency gives of an existing service, and what it offers.

for method, path in read_openapi(text): …        # GET /so/{so}, POST /so, …
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from lienthong.contracts.document import LARGEST_CONTRACT_BYTES, read_document
from lienthong.errors import ContractError, OpenapiInvalid

# OpenAPI 3.1 §4.8.9: the other members of a path item are no operations.
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
LONGEST_PATH = 1024


def read_openapi(text: str) -> tuple[tuple[str, str], ...]:
    """Return the operations of a description in JSON or YAML: upper-case method, path.

    Raises OpenapiInvalid.
    """
    document = _document(text)
    version, paths = document.get("openapi"), document.get("paths")
    if not isinstance(version, str) or not version.startswith("3."):
        raise OpenapiInvalid(reason="openapi: 3.x wanted")
    if not isinstance(paths, dict):
        raise OpenapiInvalid(reason="no paths")
    return tuple(_operations(paths))


def _document(text: str) -> dict[str, Any]:
    content = text.encode()
    if len(content) > LARGEST_CONTRACT_BYTES:
        raise OpenapiInvalid(reason=f"over {LARGEST_CONTRACT_BYTES} bytes")
    try:
        if text.lstrip("\ufeff \t\r\n").startswith("{"):
            return msgspec.json.decode(text.lstrip("\ufeff"), type=dict[str, Any])
        return read_document(content, "openapi")
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise OpenapiInvalid(reason="not JSON") from error
    except ContractError as error:
        raise OpenapiInvalid(reason=error) from error


def _operations(paths: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for path, item in paths.items():
        if path.startswith("x-"):
            continue
        if not path.startswith("/") or len(path) > LONGEST_PATH or not isinstance(item, dict):
            raise OpenapiInvalid(reason=f"path {path[:100]!r}")
        for method in _METHODS:
            if method in item:
                yield method.upper(), path
