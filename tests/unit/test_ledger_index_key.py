"""A ledger is searched under one key, and a node with another one does not start."""

from __future__ import annotations

from pathlib import Path

import pytest

from lienthong.errors import IndexKeyWrong
from lienthong.ledger.index_key import KEY_BYTES, read_index_key
from tests.fixtures.ledgers import LedgerNode

NODE = "VN/GOV/G01/n1"


@pytest.fixture
def ledger(tmp_path: Path) -> LedgerNode:
    return LedgerNode.at(tmp_path, NODE)


def _key_file(folder: Path, content: bytes) -> Path:
    path = folder / "index.key"
    path.write_bytes(content)
    return path


def test_the_same_key_is_read_again(ledger: LedgerNode, tmp_path: Path) -> None:
    path = _key_file(tmp_path, b"a" * KEY_BYTES)
    assert read_index_key(path, ledger.engine) == b"a" * KEY_BYTES
    assert read_index_key(path, ledger.engine) == b"a" * KEY_BYTES


def test_refuses_another_key_than_the_index_was_made_with(
    ledger: LedgerNode, tmp_path: Path
) -> None:
    read_index_key(_key_file(tmp_path, b"a" * KEY_BYTES), ledger.engine)
    with pytest.raises(IndexKeyWrong):
        read_index_key(_key_file(tmp_path, b"b" * KEY_BYTES), ledger.engine)


@pytest.mark.parametrize("content", [b"", b"a" * (KEY_BYTES - 1), b"a" * (KEY_BYTES + 1)])
def test_refuses_a_key_that_was_cut(ledger: LedgerNode, tmp_path: Path, content: bytes) -> None:
    with pytest.raises(IndexKeyWrong):
        read_index_key(_key_file(tmp_path, content), ledger.engine)


def test_refuses_to_go_on_without_its_key(ledger: LedgerNode, tmp_path: Path) -> None:
    with pytest.raises(IndexKeyWrong):
        read_index_key(tmp_path / "index.key", ledger.engine)
