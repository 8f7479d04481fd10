"""Cosignatures in the C2SP form, and the witness's own rule, on both databases."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from nacl.signing import VerifyKey

from lienthong.errors import (
    CosignatureInvalid,
    GrowthUnproven,
    HeadMalformed,
    KeyRevoked,
    LedgerForked,
    UnknownNode,
    WitnessedOther,
)
from lienthong.identity.keys import Algorithm, PrivateKey
from lienthong.ledger.cosignatures import (
    cosign,
    cosigned_text,
    parse_cosignature,
    verify_cosignature,
    witness_name,
)
from lienthong.ledger.database import open_database
from lienthong.ledger.heads import Head, sign_head
from lienthong.ledger.merkle import Frontier, consistency_path, leaf_hash
from lienthong.ledger.witness import WitnessBook
from tests.fixtures.agreement_parties import CONSUMER_NODE, NOW, PROVIDER_NODE, Country

KEY = PrivateKey.generate()


class Log:
    """A growing tree of one node, as its witness sees it."""

    def __init__(self, told: str = "truth") -> None:
        self.levels: dict[tuple[int, int], bytes] = {}
        self.frontier = Frontier()
        self.told = told
        self.heads: list[Head] = []

    def grow(self, groups: int, told: str | None = None) -> Head:
        for _ in range(groups):
            number = self.frontier.size
            leaf = leaf_hash(f"{told or self.told} {number}".encode())
            _, closed = self.frontier.append(leaf)
            for level, subtree in enumerate(closed):
                self.levels[level, number >> level] = subtree
            root = self.frontier.root()
            time = NOW + timedelta(seconds=number)
            self.heads.append(Head(PROVIDER_NODE, 0, number + 1, root, time, 7, KEY.public.key_id))
        return self.heads[-1]

    def path(self, first: int, second: int) -> list[bytes]:
        return consistency_path(lambda level, i: self.levels[level, i], first, second)


@pytest.fixture(params=["sqlite", "postgresql"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], WitnessBook]:
    """Opens the same book, as a process of the node does at its start."""
    url = (
        f"sqlite:///{tmp_path}/w.db"
        if request.param == "sqlite"
        else request.getfixturevalue("postgresql_url")
    )
    return lambda: WitnessBook(open_database(url))


def ask(book: WitnessBook, head: Head, old: int, path: list[bytes]) -> str:
    return book.cosign(head, sign_head(head, KEY), old, path, lambda each: f"signed {each.size}")


def test_signs_what_grew_out_of_what_it_signed_last(reopen: Callable[[], WitnessBook]) -> None:
    log, book = Log(), reopen()
    assert ask(book, log.grow(3), 0, []) == "signed 3"
    assert ask(book, log.grow(4), 3, log.path(3, 7)) == "signed 7"
    assert ask(book, log.heads[-1], 7, []) == "signed 7"  # the same once more
    assert ask(reopen(), log.grow(1), 7, log.path(7, 8)) == "signed 8"
    last = book.last(log.heads[-1].origin)
    assert last is not None
    assert (last.size, last.root) == (8, log.heads[-1].root)


def test_refuses_a_rewritten_history(reopen: Callable[[], WitnessBook]) -> None:
    log, book = Log(), reopen()
    ask(book, log.grow(5), 0, [])
    liar = Log("lie")
    liar.grow(9)
    with pytest.raises(GrowthUnproven):
        ask(book, liar.heads[8], 5, liar.path(5, 9))
    with pytest.raises(LedgerForked):
        ask(book, liar.heads[4], 5, [])
    with pytest.raises(GrowthUnproven):
        ask(book, log.grow(2), 5, [])
    assert ask(book, log.heads[-1], 5, log.path(5, 7)) == "signed 7"


def test_goes_on_only_from_what_it_signed_last(reopen: Callable[[], WitnessBook]) -> None:
    log, book = Log(), reopen()
    log.grow(9)
    ask(book, log.heads[4], 0, [])
    for old, size in ((0, 9), (3, 9), (3, 4), (7, 9)):
        with pytest.raises(WitnessedOther) as caught:
            ask(book, log.heads[size - 1], old, log.path(old, size) if old else [])
        assert caught.value.facts["size"] == 5
    with pytest.raises(HeadMalformed):
        ask(book, log.heads[3], 5, [])


def test_what_is_signed_is_stored_before(reopen: Callable[[], WitnessBook]) -> None:
    log, book = Log(), reopen()
    head = log.grow(3)

    def crash(head: Head) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        book.cosign(head, sign_head(head, KEY), 0, [], crash)
    with pytest.raises(WitnessedOther):  # the crash does not let another first head in
        ask(reopen(), Log("lie").grow(2), 0, [])
    assert ask(reopen(), head, 3, []) == "signed 3"


def test_of_two_processes_that_sign_at_once_one_wins(reopen: Callable[[], WitnessBook]) -> None:
    log, one, other = Log(), reopen(), reopen()
    log.grow(9)
    ask(one, log.heads[2], 0, [])

    def meanwhile(head: Head, note: str, size: int) -> None:
        ask(other, log.heads[8], 3, log.path(3, 9))
        WitnessBook._advance(one, head, note, size)

    one._advance = meanwhile  # type: ignore[method-assign]
    with pytest.raises(WitnessedOther):
        ask(one, log.heads[5], 3, log.path(3, 6))
    last = other.last(log.heads[0].origin)
    assert last is not None
    assert last.size == 9  # not rolled back


# --- the form ------------------------------------------------------------------------------


@pytest.fixture
def country() -> Country:
    country = Country()
    country.add_member("VN/GOV/H37", {"motcua": (CONSUMER_NODE,)})
    country.add_node(CONSUMER_NODE)
    return country


HEAD = Log().grow(3)


def test_a_cosignature_is_as_c2sp_has_it(country: Country) -> None:
    """Checked by the letters of tlog-cosignature, with another library's verification."""
    key = country.node_keys[CONSUMER_NODE]
    line = cosign(HEAD, CONSUMER_NODE, key, NOW)
    dash, name, encoded = line.rstrip("\n").split(" ")
    data = base64.b64decode(encoded)
    raw = key.public.cryptography.public_bytes_raw()
    assert (dash, name) == ("—", f"lienthong-witness/{CONSUMER_NODE}")
    assert data[:4] == sha256(name.encode() + b"\n\x04" + raw).digest()[:4]
    seconds = int.from_bytes(data[4:12])
    assert seconds == int(NOW.timestamp())
    said = b"cosignature/v1\ntime %d\n" % seconds + HEAD.text.encode()
    VerifyKey(raw).verify(said, data[12:])
    assert said == cosigned_text(HEAD, seconds)


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_any_key_of_a_node_may_witness(country: Country, algorithm: Algorithm) -> None:
    country.node_keys[CONSUMER_NODE] = PrivateKey.generate(algorithm)
    country.add_node(CONSUMER_NODE)
    line = cosign(HEAD, CONSUMER_NODE, country.node_keys[CONSUMER_NODE], NOW)
    assert verify_cosignature(line, HEAD, country.view()) == (CONSUMER_NODE, NOW)


def test_refuses_a_cosignature_on_another_head(country: Country) -> None:
    line = cosign(HEAD, CONSUMER_NODE, country.node_keys[CONSUMER_NODE], NOW)
    other = Log("lie").grow(3)
    with pytest.raises(CosignatureInvalid, match="did not sign this head"):
        verify_cosignature(line, other, country.view())


def test_refuses_another_time_than_was_signed(country: Country) -> None:
    line = cosign(HEAD, CONSUMER_NODE, country.node_keys[CONSUMER_NODE], NOW)
    data = bytearray(base64.b64decode(line.split(" ")[2]))
    data[11] ^= 1
    moved = f"— {witness_name(CONSUMER_NODE)} {base64.b64encode(data).decode()}\n"
    with pytest.raises(CosignatureInvalid, match="did not sign this head"):
        verify_cosignature(moved, HEAD, country.view())


def test_refuses_strangers_and_revoked_keys(country: Country) -> None:
    with pytest.raises(UnknownNode):
        verify_cosignature(cosign(HEAD, PROVIDER_NODE, KEY, NOW), HEAD, country.view())
    with pytest.raises(CosignatureInvalid, match="no such key"):
        verify_cosignature(cosign(HEAD, CONSUMER_NODE, KEY, NOW), HEAD, country.view())
    country.revoke_key(CONSUMER_NODE, NOW)
    key = country.node_keys[CONSUMER_NODE]
    before = cosign(HEAD, CONSUMER_NODE, key, NOW - timedelta(seconds=1))
    assert verify_cosignature(before, HEAD, country.view()).node == CONSUMER_NODE
    with pytest.raises(KeyRevoked):
        verify_cosignature(cosign(HEAD, CONSUMER_NODE, key, NOW), HEAD, country.view())


@pytest.mark.parametrize(
    "line",
    [
        "",
        "— lienthong-witness/VN/GOV/H37/n1 AAAA\n",
        "— lienthong-witness/VN/GOV/H37/n1 " + "A" * 104,
        "- lienthong-witness/VN/GOV/H37/n1 " + "A" * 104 + "\n",
        "— lienthong/VN/GOV/H37/n1 " + "A" * 104 + "\n",
        "— lienthong-witness/VN/GOV/H37 " + "A" * 104 + "\n",
        "— lienthong-witness/VN/GOV/H37/%6e1 " + "A" * 104 + "\n",
        "— lienthong-witness/VN/GOV/H37/n1 " + "A" * 105 + "\n",
        "— lienthong-witness/VN/GOV/H37/n1 " + "//////////////////" + "A" * 86 + "\n",
        "— lienthong-witness/VN/GOV/H37/n1 " + "A" * 4000 + "\n",
    ],
)
def test_refuses_what_is_no_cosignature(line: str) -> None:
    with pytest.raises(CosignatureInvalid, match="not in the form"):
        parse_cosignature(line)


def test_a_witness_is_never_taken_for_the_node_itself() -> None:
    """Its name is that of no tree, and what it signs begins like no head."""
    assert not cosigned_text(HEAD, 1).startswith(b"lienthong/")
    assert not witness_name(HEAD.node).startswith("lienthong/")
