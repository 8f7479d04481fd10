"""Evidence: both sides export it, anybody verifies it offline, and no byte of it can change."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lienthong.errors import EvidenceError
from lienthong.ledger.evidence import verify_evidence
from lienthong.node.admin_client import call
from tests.fixtures.federation import Federation, TestNode, attempt
from tests.fixtures.recording_service import RecordingService

# What nobody signs: who exported the file and when. All else is signed or changes nothing.
UNSIGNED = ("exported_by", "exported_at")
WITHIN_SECONDS = 90.0


@dataclass(frozen=True)
class Nation:
    """A directory with two nodes under it, and an exchange between them."""

    federation: Federation
    root: bytes
    consumer: TestNode
    provider: TestNode
    request_id: str

    def export(self, node: TestNode, file: Path) -> bytes:
        node.command("evidence", "export", self.request_id, "--output", str(file))
        return file.read_bytes()


def found(nation: Federation, service: RecordingService) -> Nation:
    consumer = nation.node("H37", subsystem="motcua")
    provider = nation.node("G01", subsystem="dancu")
    nation.start()
    provider.command(
        "service", "add", "--subsystem", "dancu", "--code", "dem", "--relay", service.url
    )
    nation.agree(consumer, provider, "dem", "--endpoint", "* /**")
    answer = consumer.call(
        "POST",
        provider.service_id("dem"),
        "/echo",
        {"hỏi": "nơi thường trú"},
        headers={"X-Road-UserId": "can-bo-1", "X-Road-Issue": "HS-1"},
    )
    assert answer.status == 200
    return Nation(nation, nation.root.read_bytes(), consumer, provider, answer.request_id)


@pytest.fixture(scope="module")
def service() -> Iterator[RecordingService]:
    with RecordingService() as running:
        yield running


@pytest.fixture(scope="module")
def nation(tmp_path_factory: pytest.TempPathFactory, service: RecordingService) -> Iterator[Nation]:
    with Federation(tmp_path_factory.mktemp("f")) as federation:
        yield found(federation, service)


@pytest.fixture(scope="module")
def bundle(nation: Nation, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The consumer's bundle, known to be good."""
    content = nation.export(nation.consumer, tmp_path_factory.mktemp("b") / "bundle.json")
    assert verify_evidence(content, nation.root).checks
    return content


def acknowledged(nation: Nation, file: Path) -> bytes:
    """The provider's bundle once the consumer's receipt has come."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while "acknowledged" not in json.loads(content := nation.export(nation.provider, file)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return content


def test_both_sides_export_evidence_that_anybody_verifies_offline(
    nation: Nation, bundle: bytes, tmp_path: Path
) -> None:
    file, root = tmp_path / "bundle.json", tmp_path / "root.json"
    root.write_bytes(nation.root)
    for content in (bundle, acknowledged(nation, file)):
        file.write_bytes(content)
        done = attempt("evidence", "verify", "--trust", str(root), str(file), "--json")
        verdict = json.loads(done.stdout)
        assert done.returncode == 0
        assert verdict["verdict"] == "valid"
        assert verdict["request"]["x-road-request-id"] == nation.request_id
        assert verdict["request"]["x-road-userid"] == "can-bo-1"
        assert verdict["answer"]["lienthong-outcome"] == "answered"
        assert {"request", "answer", "acknowledged", "request body", "answer body"} <= set(
            verdict["checks"]
        )


def test_the_provider_proves_delivery_with_the_consumers_own_signature(
    nation: Nation, tmp_path: Path
) -> None:
    content = json.loads(acknowledged(nation, tmp_path / "b.json"))
    consumer = call(nation.consumer.state, "GET", "/status")["node"]
    assert content["acknowledged"]["head"].startswith(f"lienthong/{consumer}/")
    content["acknowledged"] = content["received"]
    with pytest.raises(EvidenceError):
        verify_evidence(json.dumps(content).encode(), nation.root)


def signed_values(content: bytes) -> Any:
    """Everything in a bundle but what is declared to be unsigned, as values.

    Spaces do not count, nor how a character is escaped, nor the case of the hexadecimal digits
    of a signature in the directory's files: it stands for the same signature.
    """
    values = json.loads(content)
    values["directory"] = json.loads(
        re.sub(r'\\"sig\\":\s*\\"\w+', lambda sig: sig[0].lower(), json.dumps(values["directory"]))
    )
    return {name: value for name, value in values.items() if name not in UNSIGNED}


def is_irrelevant(changed: bytes, original: bytes) -> bool:
    """Whether both say the same to whoever reads them: only unsigned parts or spaces differ."""
    try:
        return bool(signed_values(changed) == signed_values(original))
    except (ValueError, KeyError, AttributeError, RecursionError):
        return False


@pytest.mark.parametrize("seed", range(4))
def test_every_changed_byte_is_detected(nation: Nation, bundle: bytes, seed: int) -> None:
    chance = random.Random(seed)
    for place in chance.sample(range(len(bundle)), 150):
        changed = bytearray(bundle)
        changed[place] ^= 1 << chance.randrange(8)
        assert is_detected(bytes(changed), bundle, nation), (
            f"byte {place}: {bundle[place - 60 :][:120]!r}"
        )


def test_every_changed_byte_of_heads_proofs_and_salts_is_detected(
    nation: Nation, bundle: bytes
) -> None:
    """The dense parts, every byte of them, each replaced by a neighbour in its alphabet."""
    for name in ('"salts"', '"index"', '"head"', '"tree"', '"body"', '"time"', '"status"'):
        start = bundle.index(name.encode()) + len(name)
        for place in range(start, min(start + 160, bundle.index(b"\n", start))):
            changed = bytearray(bundle)
            changed[place] = next(each for each in b"ABab01" if each not in (changed[place],))
            assert is_detected(bytes(changed), bundle, nation), (name, place - start)


def is_detected(changed: bytes, original: bytes, nation: Nation) -> bool:
    try:
        verdict = verify_evidence(changed, nation.root)
    except EvidenceError:
        return True
    same = verify_evidence(original, nation.root)
    return is_irrelevant(changed, original) and verdict == same


def test_truncated_and_foreign_files_are_refused_with_our_errors(
    nation: Nation, bundle: bytes
) -> None:
    for content in (b"", b"{}", b"[]", b"\xff", bundle[: len(bundle) // 2], b"[" * 1_000_000):
        with pytest.raises(EvidenceError):
            verify_evidence(content, nation.root)
    values = json.loads(bundle)
    for name in values:
        if name not in {"received", "acknowledged", "request_body", "answer_body"}:
            less = {key: value for key, value in values.items() if key != name}
            with pytest.raises(EvidenceError):
                verify_evidence(json.dumps(less).encode(), nation.root)


def test_a_part_of_another_exchange_cannot_be_put_in(nation: Nation, bundle: bytes) -> None:
    answer = nation.consumer.call("POST", nation.provider.service_id("dem"), "/echo", {"khác": 1})
    other = json.loads(call(nation.consumer.state, "GET", f"/evidence/{answer.request_id}"))
    for name in ("request", "answer", "acknowledged", "request_body", "answer_body"):
        mixed = {**json.loads(bundle), name: other[name]}
        with pytest.raises(EvidenceError):
            verify_evidence(json.dumps(mixed).encode(), nation.root)


def test_an_older_directory_than_the_heads_name_is_refused(nation: Nation, bundle: bytes) -> None:
    """Who holds a bundle must not choose a directory from before a revocation."""
    nation.federation.node("G99", subsystem="moi")
    nation.federation.nodes.pop()  # it never runs; the directory has a new version by it
    deadline = time.monotonic() + WITHIN_SECONDS
    older = directory_version(nation.consumer)
    while (
        directory_version(nation.consumer) == older or directory_version(nation.provider) == older
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    answer = nation.consumer.call("POST", nation.provider.service_id("dem"), "/echo", {})
    newer = json.loads(call(nation.consumer.state, "GET", f"/evidence/{answer.request_id}"))
    assert verify_evidence(json.dumps(newer).encode(), nation.root).checks
    newer["directory"] = json.loads(bundle)["directory"]
    with pytest.raises(EvidenceError, match="older than"):
        verify_evidence(json.dumps(newer).encode(), nation.root)


def directory_version(node: TestNode) -> int:
    return int(call(node.state, "GET", "/status")["directory"]["version"])


def test_the_same_names_under_another_directory_prove_nothing(
    nation: Nation, bundle: bytes, service: RecordingService, tmp_path: Path
) -> None:
    """A complete second nation: same instance, members, nodes and services, its own root."""
    with Federation(tmp_path / "f") as federation:
        forged = found(federation, service)
        content = forged.export(forged.consumer, tmp_path / "forged.json")
    assert verify_evidence(content, forged.root).checks
    with pytest.raises(EvidenceError):
        verify_evidence(content, nation.root)
    with pytest.raises(EvidenceError):
        verify_evidence(bundle, forged.root)
    real = json.loads(bundle)
    swapped = {**json.loads(content), "directory": real["directory"]}
    with pytest.raises(EvidenceError):
        verify_evidence(json.dumps(swapped).encode(), nation.root)


def test_evidence_of_what_never_was_cannot_be_exported(nation: Nation) -> None:
    done = attempt(
        *("evidence", "export", str(nation.consumer.state), "khong-co"),
        *("--output", str(nation.consumer.state / "x.json")),
    )
    assert done.returncode == 11
    assert "ledger.not_found" in done.stderr


def test_the_bundle_names_no_field_that_is_neither_signed_nor_declared(bundle: bytes) -> None:
    known = {"format", "directory", "request", "answer", "received", "acknowledged"}
    known |= {"request_body", "answer_body", *UNSIGNED}
    assert set(msgspec.json.decode(bundle)) <= known
