"""Documents and statements: one spelling each, and nothing but what was agreed in them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from lienthong.agreements.documents import parse_document, parse_statement
from lienthong.agreements.models import Party, whole_second
from lienthong.agreements.patterns import Endpoint
from lienthong.agreements.proposals import draft
from lienthong.errors import EndpointWanted, InvalidAgreementDocument
from tests.fixtures.agreement_parties import END, RELAY, START, proposal


def members(**changes: Any) -> bytes:
    document = json.loads(draft(proposal(), Party.CONSUMER).canonical)
    for name, value in changes.items():
        if value is ...:
            del document[name]
        else:
            document[name] = value
    return json.dumps(document).encode()


def test_the_canonical_form_is_that_of_rfc_8785() -> None:
    document = draft(proposal(legal_basis='Điều "5"'), Party.CONSUMER)
    rewritten = json.dumps(
        json.loads(document.canonical), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert document.canonical == rewritten.encode()
    assert b'"valid_from":"2026-01-01T00:00:00Z"' in document.canonical


def test_white_space_and_order_do_not_change_the_digest() -> None:
    document = draft(proposal(), Party.CONSUMER)
    shuffled = dict(reversed(json.loads(document.canonical).items()))
    assert parse_document(json.dumps(shuffled, indent=3).encode()).digest == document.digest


def test_local_times_are_written_in_utc() -> None:
    vietnam = timezone(timedelta(hours=7))
    document = draft(proposal(valid_from=START.astimezone(vietnam)), Party.CONSUMER)
    assert document.valid_from == START
    assert b"+07:00" not in document.canonical


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "lienthong-agreement-2"},
        {"id": "1"},
        {"id": "A" * 8 + "-0000-4000-8000-000000000000"},
        {"consumer": "VN/GOV/H37"},
        {"consumer": "VN/GOV/H37/m%6ftcua"},
        {"consumer": "VN-TEST/GOV/H37/motcua"},
        {"service": "VN/GOV/G01/dancu"},
        {"kind": "relay"},
        {"kind": "file"},
        {"fields": []},
        {"fields": ["a", "a"]},
        {"fields": ["a\nb"]},
        {"fields": [""]},
        {"purposes": []},
        {"purposes": [" x"]},
        {"purposes": ["x" * 201]},
        {"legal_basis": ""},
        {"legal_basis": ...},
        {"endpoints": []},
        {"endpoints": [{"method": "GET", "pattern": "/../x"}]},
        {"endpoints": [{"method": "GET", "pattern": "/x", "more": 1}]},
        {"valid_from": "2027-01-01T00:00:00Z"},
        {"valid_from": "2026-01-01T00:00:00"},
        {"valid_from": "2026-01-01T00:00:00.5Z"},
        {"valid_from": "2026-01-01T07:00:00+07:00"},
        {"rate": {"per_second": 0, "burst": 1}},
        {"rate": 5},
        {"daily_quota": 1.5},
        {"daily_quota": -1},
        {"contract": {"id": "x", "version": "1", "digest": "zz"}},
        {"unknown": 1},
    ],
)
def test_refuses_a_document_that_breaks_a_rule(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidAgreementDocument):
        parse_document(members(**changes))


def test_a_relay_must_name_its_endpoints() -> None:
    with pytest.raises(EndpointWanted):
        draft(proposal(service=RELAY, fields=()), Party.CONSUMER)
    terms = proposal(service=RELAY, fields=(), endpoints=(Endpoint("GET", "/**"),))
    assert draft(terms, Party.CONSUMER).kind == "relay"


def test_a_proposal_is_held_to_the_same_limits_as_a_received_document() -> None:
    with pytest.raises(InvalidAgreementDocument):
        draft(proposal(purposes=("x" * 201,)), Party.CONSUMER)
    with pytest.raises(InvalidAgreementDocument):
        draft(proposal(rate=-1), Party.CONSUMER)
    with pytest.raises(InvalidAgreementDocument):
        draft(proposal(valid_until=START), Party.CONSUMER)
    assert draft(proposal(valid_until=END), Party.CONSUMER).valid_until == END


def test_a_relay_has_no_contract() -> None:
    contract = {"id": "a", "version": "1", "digest": "0" * 64}
    with pytest.raises(InvalidAgreementDocument, match="relay has no contract"):
        parse_document(members(kind="relay", fields=[], contract=contract))


def test_a_statement_names_a_node() -> None:
    statement = {
        "agreement": "a",
        "digest": "0" * 64,
        "act": "accept",
        "party": "provider",
        "node": "VN/GOV/G01/n1",
        "key_id": "k",
        "algorithm": "ed25519",
        "time": "2026-01-01T00:00:00Z",
    }
    assert parse_statement(json.dumps(statement).encode()).node == "VN/GOV/G01/n1"
    with pytest.raises(InvalidAgreementDocument, match="node"):
        parse_statement(json.dumps({**statement, "node": "G01"}).encode())


def test_an_instant_at_the_end_of_the_calendar_is_refused() -> None:
    west = timezone(-timedelta(hours=14))
    with pytest.raises(InvalidAgreementDocument, match="not a date"):
        whole_second(datetime.max.replace(tzinfo=west))
