"""The key under which dossiers and citizens are found: one a node, and always the same.

Under another key the index would answer that a citizen was never asked about. So the database
remembers a fingerprint of the key, and a node does not start with a wrong one.
"""

from __future__ import annotations

import hmac
from pathlib import Path

from sqlalchemy import Engine, insert, select

from lienthong.errors import IndexKeyWrong
from lienthong.ledger import tables
from lienthong.ledger.database import writing

KEY_BYTES = 32
_NAME = "index-key"  # row of ledger_progress


def read_index_key(path: Path, engine: Engine) -> bytes:
    """Read the key of the ledger in ``engine``, whose tables exist. Raises IndexKeyWrong."""
    try:
        key = path.read_bytes()
    except OSError as error:
        raise IndexKeyWrong(path=path) from error
    if len(key) != KEY_BYTES or not _is_known(engine, _fingerprint(key)):
        raise IndexKeyWrong(path=path)
    return key


def _fingerprint(key: bytes) -> int:
    """63 bits of the key's own HMAC: they tell keys apart and nothing of the key."""
    digest = hmac.digest(key, b"lienthong index key", "sha256")
    return int.from_bytes(digest[:8], "big") >> 1


def _is_known(engine: Engine, fingerprint: int) -> bool:
    """Compare with the fingerprint in the database; the first key is taken down."""
    progress = tables.progress
    with writing(engine) as connection:
        known = connection.scalar(select(progress.c.value).where(progress.c.name == _NAME))
        if known is None:
            connection.execute(insert(progress).values(name=_NAME, value=fingerprint))
    return known is None or known == fingerprint
