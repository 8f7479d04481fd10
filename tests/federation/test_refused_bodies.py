"""What nobody agreed to leaves no body on the provider's disk and no name in its metrics."""

from __future__ import annotations

import secrets

from tests.federation.conftest import Pair
from tests.fixtures.federation import TestNode

LARGE = 3 * 1024 * 1024  # over the size from which a body becomes a file


def _database(node: TestNode) -> bytes:
    return b"".join(path.read_bytes() for path in node.state.glob("node.db*"))


def _kept_files(node: TestNode) -> set[str]:
    return {path.name for path in (node.state / "bodies").iterdir()}


def _code(pair: Pair, service: str, body: bytes) -> str:
    answer = pair.consumer.call("POST", service, "/x", body)
    return answer.headers["lienthong-error"]


def test_a_refused_body_is_not_kept_by_the_provider(pair: Pair) -> None:
    unagreed = pair.add_relay("khong-ai-duoc-hoi")
    before = _kept_files(pair.provider)
    for service, code in (
        (unagreed, "agreements.none"),
        (pair.provider.service_id("khong-co"), "message.unknown_service"),
    ):
        mark = secrets.token_hex(20).encode()
        assert _code(pair, service, mark) == code
        assert _code(pair, service, mark + bytes(LARGE)) == code
        assert mark in _database(pair.consumer)  # its own system sent it
        assert mark not in _database(pair.provider)
    assert _kept_files(pair.provider) == before


def test_a_permitted_body_is_kept_by_the_provider(pair: Pair) -> None:
    before = _kept_files(pair.provider)
    mark = secrets.token_hex(20).encode()
    assert pair.consumer.call("POST", pair.relay, "/x", mark).status == 200
    assert pair.consumer.call("POST", pair.relay, "/x", mark + bytes(LARGE)).status == 200
    assert mark in _database(pair.provider)
    assert len(_kept_files(pair.provider) - before) >= 1


def test_the_body_of_a_question_to_a_metaservice_is_not_kept(pair: Pair) -> None:
    mark = secrets.token_hex(20).encode()
    service = pair.provider.service_id("listMethods")
    assert pair.consumer.call("GET", service, "", mark).status == 200
    assert mark not in _database(pair.provider)


def test_names_that_only_a_request_knows_are_in_no_metric(pair: Pair) -> None:
    invented = f"bia-{secrets.token_hex(4)}"
    assert _code(pair, pair.provider.service_id(invented), b"1") == "message.unknown_service"
    nowhere = f"{pair.provider.member_id}/{invented}/listMethods"
    pair.consumer.call("GET", nowhere)
    for node in (pair.consumer, pair.provider):
        metrics = node.get(node.operations_port, "/metrics").body.decode()
        assert invented not in metrics
        assert 'service="unknown"' in metrics


def test_a_service_without_a_description_says_so(pair: Pair) -> None:
    code = pair.relay.rpartition("/")[2]
    service = pair.provider.service_id(f"getOpenAPI?serviceCode={code}")
    answer = pair.consumer.call("GET", service)
    assert answer.headers["lienthong-error"] == "xroad.description_missing"
