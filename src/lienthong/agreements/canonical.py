"""Canonical JSON: the one byte string that a signature under a document covers.

A subset of RFC 8785 (JCS): objects with ASCII keys, arrays, integers, booleans, null, and
strings without control characters. Inside it, sorted keys, no white space and UTF-8 are all
of JCS; floating-point numbers, whose form is its hard part, do not occur.
"""

from __future__ import annotations

from typing import Any

import msgspec


def canonical_json(value: Any) -> bytes:
    """Encode builtins or a struct in the form of RFC 8785."""
    return msgspec.json.encode(value, order="sorted")
