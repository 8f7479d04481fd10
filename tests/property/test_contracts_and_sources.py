"""Whatever is thrown at the readers of contracts, queries, values and addresses: our errors."""

from __future__ import annotations

import contextlib
import json
import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lienthong import errors
from lienthong.contracts.classification import Classification, is_state_secret
from lienthong.contracts.comparison import compare
from lienthong.contracts.loading import contract_problems, load_contract
from lienthong.contracts.models import Field, FieldType
from lienthong.contracts.openapi import openapi_of
from lienthong.contracts.serving import serving_problems
from lienthong.identity.identifiers import ServiceId
from lienthong.sources.claims import agrees, read_claim
from lienthong.sources.quality.checks import checks_of
from lienthong.sources.queries import read_query
from lienthong.sources.relay import Relay, passed_headers
from lienthong.sources.values import release
from lienthong.transport.client import InProcessTransport
from tests.fixtures.people import CONTRACT_TEXT, people_contract

CONTRACT = people_contract()
DOCUMENT: dict[str, Any] = yaml.safe_load(CONTRACT_TEXT)
HOUSEHOLDS: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[1] / "fixtures/contracts/ho-gia-dinh.odcs.yaml").read_text("utf-8")
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)
field_values = (
    json_values
    | st.decimals()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.binary()
)


def _field(kind: FieldType) -> Field:
    fields = {field.type: field for field in CONTRACT.fields.values()}
    known = fields.get(kind, CONTRACT.fields["cap_nhat"])
    return Field(
        known.name, kind, known.classification, "", known.column, "", False, known.compare, None, ()
    )


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_contract_or_a_contract_error(content: bytes) -> None:
    with pytest.raises(errors.ContractError):
        load_contract(content)


@pytest.mark.parametrize("whole", [DOCUMENT, HOUSEHOLDS], ids=["one object", "all of ODCS"])
@given(data=st.data())
def test_a_contract_with_any_part_replaced_loads_or_is_refused(
    whole: dict[str, Any], data: st.DataObject
) -> None:
    document = json.loads(json.dumps(whole))
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(json_values)
    content = json.dumps(document).encode()
    problems = contract_problems(content)
    for problem in problems:
        assert isinstance(problem, errors.ContractError)
        assert problem.message("vi")
    if not problems:
        loaded = load_contract(content)
        assert all(problem.message("vi") for problem in serving_problems(loaded))
        with contextlib.suppress(errors.VersionNumberInvalid):
            assert compare(loaded, loaded).changes == ()
        for each in loaded.objects:
            assert checks_of(each) is not None
            if not list(serving_problems(each)):
                openapi_of(each, ServiceId.parse("VN/GOV/G01/a/b"))


@given(st.text())
def test_a_classification_is_one_of_four_or_an_error(text: str) -> None:
    try:
        assert Classification.parse(text, field="x") in list(Classification)
        assert not is_state_secret(text)
    except (errors.ClassificationUnknown, errors.StateSecretField):
        pass


SEPARATORS = st.sampled_from([" ", "_", "-", "  ", ". "])


@given(st.sampled_from(["tuyệt mật", "tối mật", "bí mật nhà nước", "state secret"]), SEPARATORS)
def test_a_state_secret_is_known_however_it_is_typed(words: str, separator: str) -> None:
    assert is_state_secret(words.upper().replace(" ", separator))


@given(
    st.sampled_from(["GET", "POST", "PUT", ""]),
    st.text()
    | st.sampled_from(["/records:lookup", "/records:verify"])
    | st.text().map("/records/{}".format),
    st.text() | st.text(string.printable).map("fields={}".format),
    st.binary() | json_values.map(lambda value: json.dumps(value).encode()),
)
def test_any_request_is_a_query_or_an_error_of_sources(
    method: str, path: str, query: str, body: bytes
) -> None:
    with contextlib.suppress(errors.SourceError):
        question = read_query(CONTRACT, method, path, query, body)
        assert question.fields <= set(CONTRACT.fields)
        assert question.keys


@given(
    st.fixed_dictionaries(
        {}, optional={"keys": json_values, "fields": json_values, "x": json_values}
    )
)
def test_any_lookup_is_a_query_or_an_error_of_sources(request: dict[str, Any]) -> None:
    with contextlib.suppress(errors.SourceError):
        read_query(CONTRACT, "POST", "/records:lookup", "", json.dumps(request).encode())


@given(st.sampled_from(list(FieldType)), field_values)
def test_any_value_is_released_in_its_type_or_refused(kind: FieldType, value: Any) -> None:
    try:
        released = release(_field(kind))(value)
    except ValueError:
        return
    json.dumps(released, allow_nan=False)
    wanted: Any = str | int | bool
    if kind.is_nested:
        wanted = dict if kind in (FieldType.OBJECT, FieldType.MAP) else list
    assert released is None or isinstance(released, wanted)
    # What has been released is in canonical form: releasing it again changes nothing.
    assert release(_field(kind))(released) == released


@given(st.sampled_from(list(FieldType)), field_values)
def test_a_released_value_agrees_with_itself_as_a_claim(kind: FieldType, value: Any) -> None:
    field = _field(kind)
    try:
        held = release(field)(value)
    except ValueError:
        return
    assert agrees(field, held, read_claim(field, held))


@given(st.sampled_from(list(FieldType)), json_values)
def test_any_claim_is_read_or_refused(kind: FieldType, value: Any) -> None:
    with contextlib.suppress(errors.InvalidClaim):
        read_claim(_field(kind), value)


@given(st.text() | st.text().map("http://{}".format))
def test_any_relay_address_is_taken_or_refused(url: str) -> None:
    with contextlib.suppress(errors.RelayAddressInvalid):
        relay = Relay(url, InProcessTransport({}))
        target = relay._target("/a", "b=1")
        assert target.isascii()
        assert not set(target) & set(" \r\n")


@given(st.lists(st.tuples(st.sampled_from(["connection", "te", "a", "b", "host"]), st.text())))
def test_passed_headers_keep_their_order(headers: list[tuple[str, str]]) -> None:
    passed = passed_headers(headers)
    assert [pair for pair in headers if pair in passed] == passed
    assert not {name for name, _ in passed} & {"connection", "te", "host"}
