"""The data service: what is released, withheld, confirmed and refused."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lienthong import errors
from lienthong.sources.data_service import DataService
from lienthong.sources.queries import LARGEST_QUERY_BYTES, Operation
from lienthong.sources.source import MOST_KEYS, open_source
from tests.fixtures.people import ALL_FIELDS, RECORDS, people_contract, store_in_sql

FIRST, SECOND, THIRD = (str(record["so_dinh_danh"]) for record in RECORDS)
NAME_AND_BIRTH = frozenset({"ho_ten", "ngay_sinh"})


@pytest.fixture
def database(tmp_path: Path) -> Path:
    store_in_sql(f"sqlite:///{tmp_path}/nguoi.db")
    return tmp_path / "nguoi.db"


@pytest.fixture
def service(database: Path) -> Iterator[DataService]:
    contract = people_contract()
    source = open_source(f"sqlite://{database}", contract)
    yield DataService(contract, source)
    source.close()


def _get(
    service: DataService, path: str, query: str = "", granted: frozenset[str] = ALL_FIELDS
) -> tuple[int, Any]:
    status, body = service.answer(service.parse("GET", path, query, b""), granted)
    return status, json.loads(body)


def _post(
    service: DataService, path: str, request: Any, granted: frozenset[str] = ALL_FIELDS
) -> Any:
    content = request if isinstance(request, bytes) else json.dumps(request).encode()
    status, body = service.answer(service.parse("POST", path, "", content), granted)
    assert status == 200
    return json.loads(body)


def test_reads_one_record(service: DataService) -> None:
    status, answer = _get(service, f"/records/{FIRST}", "fields=ho_ten,thu_nhap")
    assert status == 200
    assert answer == {
        "record": {"ho_ten": "Nguyễn Văn Mẫu", "thu_nhap": "1500000.5"},
        "withheld": [],
    }


def test_a_record_that_is_not_there_is_404_with_json(service: DataService) -> None:
    status, answer = _get(service, "/records/000000000000")
    assert (status, answer["record"]) == (404, None)


def test_what_is_not_granted_is_withheld_and_named(service: DataService) -> None:
    _, answer = _get(service, f"/records/{FIRST}", "fields=so_con,ho_ten", NAME_AND_BIRTH)
    assert answer == {"record": {"ho_ten": "Nguyễn Văn Mẫu"}, "withheld": ["so_con"]}


def test_a_sensitive_field_is_released_only_by_name(service: DataService) -> None:
    _, answer = _get(service, f"/records/{FIRST}")
    assert set(answer["record"]) == ALL_FIELDS - {"thu_nhap"}
    assert answer["withheld"] == []


def test_nothing_granted_is_refused_before_the_source_is_asked(
    service: DataService, database: Path
) -> None:
    service.source.close()
    database.unlink()
    query = service.parse("GET", f"/records/{FIRST}", "fields=so_con", b"")
    with pytest.raises(errors.NothingGranted) as caught:
        service.answer(query, NAME_AND_BIRTH)
    assert (caught.value.xroad, caught.value.facts) == ("AccessDenied", {"fields": "so_con"})


def test_looks_up_records_in_the_order_of_keys(service: DataService) -> None:
    request = {"keys": [THIRD, "9", FIRST], "fields": ["ho_ten", "so_con"]}
    assert _post(service, "/records:lookup", request, frozenset({"ho_ten"})) == {
        "records": [{"ho_ten": "Lê Hoà"}, {"ho_ten": "Nguyễn Văn Mẫu"}],
        "missing": ["9"],
        "faulty": [],
        "withheld": ["so_con"],
    }


def test_a_bad_record_is_set_aside_and_the_rest_goes_on(
    service: DataService, database: Path
) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE nguoi SET ngay_sinh = '31/02/1990' WHERE rowid = 2")
    request = {"keys": [FIRST, SECOND, THIRD], "fields": ["ngay_sinh"]}
    answer = _post(service, "/records:lookup", request)
    assert answer["records"] == [{"ngay_sinh": "1990-03-15"}, {"ngay_sinh": None}]
    assert answer["faulty"] == [
        {"key": SECOND, "field": "ngay_sinh", "reason": "a value is not of its type"}
    ]
    with pytest.raises(errors.RecordFaulty) as caught:
        _get(service, f"/records/{SECOND}", "fields=ngay_sinh")
    assert "1990" not in repr(caught.value)


def test_two_records_with_one_key_are_never_chosen_between(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute(
            "CREATE TABLE nguoi2 AS SELECT * FROM nguoi UNION ALL SELECT * FROM nguoi"
        )
    contract = people_contract(
        lambda text: text.replace("physicalName: nguoi", "physicalName: nguoi2")
    )
    service = DataService(contract, open_source(f"sqlite://{database}", contract))
    answer = _post(service, "/records:lookup", {"keys": [FIRST]})
    assert answer["records"] == []
    assert answer["faulty"][0]["reason"] == "two records have this key"
    service.source.close()


@pytest.mark.parametrize("engine", ["mariadb"])
def test_a_key_that_only_resembles_another_finds_nothing(
    request: pytest.FixtureRequest, engine: str
) -> None:
    url = request.getfixturevalue(f"{engine}_url")
    store_in_sql(url, [("ABC", "A", None, None, None, None, None)])
    contract = people_contract()
    service = DataService(contract, open_source(url, contract))
    answer = _post(service, "/records:lookup", {"keys": ["abc", "ABC "], "fields": ["ho_ten"]})
    assert (answer["records"], answer["missing"]) == ([], ["abc", "ABC "])
    service.source.close()


def test_verifies_claims_without_releasing_values(service: DataService) -> None:
    claims = {
        "ho_ten": "  NGUYỄN  văn mẫu ",
        "ngay_sinh": "1990-03-16",
        "thu_nhap": "1500000.500",
        "so_con": 2,
        "con_song": False,
        "cap_nhat": "2024-05-06 07:08:09",
    }
    answer = _post(service, "/records:verify", {"key": FIRST, "claims": claims})
    assert answer == {
        "found": True,
        "matches": {
            "ho_ten": True,
            "ngay_sinh": False,
            "thu_nhap": True,
            "so_con": True,
            "con_song": False,
            "cap_nhat": True,
        },
        "withheld": [],
    }


def test_verification_needs_the_field_granted(service: DataService) -> None:
    request = {"key": FIRST, "claims": {"ho_ten": "x", "so_con": 2}}
    answer = _post(service, "/records:verify", request, NAME_AND_BIRTH)
    assert answer == {"found": True, "matches": {"ho_ten": False}, "withheld": ["so_con"]}
    with pytest.raises(errors.NothingGranted):
        _post(service, "/records:verify", {"key": FIRST, "claims": {"so_con": 2}}, NAME_AND_BIRTH)


def test_verification_of_no_record_answers_false_to_every_claim(service: DataService) -> None:
    request = {"key": "0", "claims": {"ho_ten": "x", "ngay_sinh": None}}
    answer = _post(service, "/records:verify", request)
    assert answer["found"] is False
    assert answer["matches"] == {"ho_ten": False, "ngay_sinh": False}


def test_null_agrees_with_nothing_held_and_nothing_else(service: DataService) -> None:
    for key, expected in ((FIRST, False), (THIRD, True)):
        answer = _post(service, "/records:verify", {"key": key, "claims": {"so_con": None}})
        assert answer["matches"] == {"so_con": expected}


def test_diacritics_count_and_composition_does_not(service: DataService) -> None:
    decomposed = "Le\u0302 Hoa\u0300"
    for claim, expected in ((decomposed, True), ("Lê Hoa", False), ("lê hoà", True)):
        answer = _post(service, "/records:verify", {"key": THIRD, "claims": {"ho_ten": claim}})
        assert answer["matches"] == {"ho_ten": expected}


def test_an_exact_field_is_compared_letter_by_letter(database: Path) -> None:
    own = "customProperties: [{property: 'lienthong:compare', value: exact}]"
    contract = people_contract(
        lambda text: text.replace("businessName: Họ và tên", f"businessName: H\n        {own}")
    )
    service = DataService(contract, open_source(f"sqlite://{database}", contract))
    answer = _post(service, "/records:verify", {"key": THIRD, "claims": {"ho_ten": "LÊ HOÀ"}})
    assert answer["matches"] == {"ho_ten": False}
    service.source.close()


def test_a_query_names_its_subjects_for_the_ledger(service: DataService) -> None:
    query = service.parse(
        "POST", "/records:lookup", "", json.dumps({"keys": [FIRST, SECOND]}).encode()
    )
    assert query.operation is Operation.LOOKUP
    assert query.subjects == (FIRST, SECOND)
    assert query.fields == ALL_FIELDS - {"thu_nhap"}


BAD_REQUESTS: list[tuple[str, str, str, bytes, type[errors.SourceError]]] = [
    ("GET", "/", "", b"", errors.UnknownEndpoint),
    ("GET", "/records", "", b"", errors.UnknownEndpoint),
    ("GET", "/records/a/b", "", b"", errors.UnknownEndpoint),
    ("POST", "/records:delete", "", b"{}", errors.UnknownEndpoint),
    ("POST", "/records/a", "", b"", errors.MethodNotAllowed),
    ("GET", "/records:lookup", "", b"", errors.MethodNotAllowed),
    ("GET", "/records/", "", b"", errors.InvalidKeyValue),
    ("GET", "/records/a\x00", "", b"", errors.InvalidKeyValue),
    ("GET", "/records/" + "9" * 201, "", b"", errors.InvalidKeyValue),
    ("GET", "/records/a", "", b"{}", errors.InvalidQuery),
    ("GET", "/records/a", "fields=", b"", errors.UnknownField),
    ("GET", "/records/a", "fields=ho_ten,nhom_mau", b"", errors.UnknownField),
    ("GET", "/records/a", "fields=ho_ten,ho_ten", b"", errors.InvalidQuery),
    ("GET", "/records/a", "field=ho_ten", b"", errors.InvalidQuery),
    ("GET", "/records/a", "fields=ho_ten&fields=so_con", b"", errors.InvalidQuery),
    ("GET", "/records/a", "fields=%ff", b"", errors.InvalidQuery),
    ("GET", "/records/a", "fields", b"", errors.InvalidQuery),
    ("POST", "/records:lookup", "a=1", b'{"keys": ["1"]}', errors.InvalidQuery),
    ("POST", "/records:lookup", "", b"", errors.InvalidQuery),
    ("POST", "/records:lookup", "", b"\xff", errors.InvalidQuery),
    ("POST", "/records:lookup", "", b"[]", errors.InvalidQuery),
    ("POST", "/records:lookup", "", b'{"keys": []}', errors.InvalidQuery),
    ("POST", "/records:lookup", "", b'{"keys": "1"}', errors.InvalidQuery),
    ("POST", "/records:lookup", "", b'{"keys": [true]}', errors.InvalidQuery),
    ("POST", "/records:lookup", "", b'{"keys": [1.0]}', errors.InvalidQuery),
    ("POST", "/records:lookup", "", b'{"keys": [1]}', errors.InvalidKeyValue),
    ("POST", "/records:lookup", "", b'{"keys": ["\\ud800"]}', errors.InvalidKeyValue),
    ("POST", "/records:lookup", "", b'{"keys": ["1", "1"]}', errors.InvalidQuery),
    ("POST", "/records:lookup", "", b'{"keys": ["1"], "field": []}', errors.InvalidQuery),
    ("POST", "/records:lookup", "", b'{"keys": ["1"], "fields": []}', errors.InvalidQuery),
    ("POST", "/records:lookup", "", b'{"keys": ["1"], "fields": ["x"]}', errors.UnknownField),
    ("POST", "/records:lookup", "", b'{"keys": ["1"], "keys": ["2"]}', errors.DuplicateJsonKey),
    ("POST", "/records:lookup", "", b'{"keys": ' + b"[" * 100_000, errors.QueryTooLarge),
    ("POST", "/records:lookup", "", b" " * (LARGEST_QUERY_BYTES + 1), errors.QueryTooLarge),
    ("POST", "/records:lookup", "", b'{"keys": [' + b"9" * 5000 + b"]}", errors.InvalidQuery),
    ("POST", "/records:verify", "", b'{"key": "1"}', errors.InvalidQuery),
    ("POST", "/records:verify", "", b'{"key": "1", "claims": {}}', errors.InvalidQuery),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "query", "body", "wanted"), BAD_REQUESTS)
def test_refuses_a_bad_request_with_its_own_error(
    service: DataService,
    method: str,
    path: str,
    query: str,
    body: bytes,
    wanted: type[errors.SourceError],
) -> None:
    with pytest.raises(errors.SourceError) as caught:
        service.parse(method, path, query, body)
    assert type(caught.value) is wanted
    assert len(caught.value.message("vi")) < 400


BAD_CLAIMS: list[tuple[str, type[errors.SourceError]]] = [
    ('{"x": 1}', errors.UnknownField),
    ('{"ho_ten": 1}', errors.InvalidClaim),
    ('{"so_con": "2"}', errors.InvalidClaim),
    ('{"so_con": 2.5}', errors.InvalidClaim),
    ('{"so_con": true}', errors.InvalidClaim),
    ('{"thu_nhap": NaN}', errors.InvalidQuery),
    ('{"thu_nhap": 1e999999}', errors.InvalidClaim),
    ('{"thu_nhap": "1,5"}', errors.InvalidClaim),
    ('{"ngay_sinh": "15/3/1990"}', errors.InvalidClaim),
    ('{"con_song": "true"}', errors.InvalidClaim),
    ('{"ho_ten": []}', errors.InvalidClaim),
]


@pytest.mark.parametrize(("claims", "wanted"), BAD_CLAIMS)
def test_refuses_a_claim_that_cannot_be_compared(
    service: DataService, claims: str, wanted: type[errors.SourceError]
) -> None:
    body = f'{{"key": "1", "claims": {claims}}}'.encode()
    with pytest.raises(errors.SourceError) as caught:
        service.parse("POST", "/records:verify", "", body)
    assert type(caught.value) is wanted


def test_takes_a_thousand_keys_and_not_one_more(service: DataService) -> None:
    keys = [str(number) for number in range(MOST_KEYS + 1)]
    assert len(_post(service, "/records:lookup", {"keys": keys[:-1]})["missing"]) == MOST_KEYS
    with pytest.raises(errors.TooManyKeys):
        _post(service, "/records:lookup", {"keys": keys})


def test_integer_keys_have_one_way_of_writing(database: Path) -> None:
    def change(text: str) -> str:
        own = "customProperties: [{property: 'lienthong:key', value: so_con}]"
        return text.replace("physicalName: nguoi", f"physicalName: nguoi\n    {own}", 1)

    contract = people_contract(change)
    service = DataService(contract, open_source(f"sqlite://{database}", contract))
    assert _get(service, "/records/2", "fields=ho_ten")[1]["record"] == {"ho_ten": "Nguyễn Văn Mẫu"}
    for text in ("02", "+2", "2.0", "٢", "--2", "9" * 30, ""):
        with pytest.raises(errors.InvalidKeyValue):
            service.parse("GET", f"/records/{text}", "", b"")
    with pytest.raises(errors.InvalidKeyValue):
        service.parse("POST", "/records:lookup", "", b'{"keys": [9223372036854775808]}')
    service.source.close()
