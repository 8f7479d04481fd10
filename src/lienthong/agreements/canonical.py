"""Canonical JSON: the one byte string that a signature under a document covers.

A subset of RFC 8785 (JCS): objects with ASCII keys, arrays, strings, integers, booleans and
null. Floating-point numbers, whose form is the hard part of JCS, do not occur.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec


def canonical_json(value: Any) -> bytes:
    """Encode builtins or a struct: keys sorted, no white space, only the escapes JSON needs."""
    builtins = msgspec.to_builtins(value)
    text = json.dumps(
        builtins, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return text.encode("utf-8")
