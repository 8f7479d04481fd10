"""Request targets of the X-Road REST interface."""

from __future__ import annotations

import pytest

from lienthong.errors import (
    AmbiguousParameter,
    MalformedTarget,
    MissingParameter,
    ReservedServiceCode,
    UnsupportedMethod,
    UnsupportedProtocolVersion,
)
from lienthong.exchange.xroad.paths import (
    LONGEST_TARGET,
    check_method,
    check_service_code,
    is_list_clients,
    parse_service_target,
    query_parameter,
)
from lienthong.identity.identifiers import ServiceId

POPULATION = ServiceId("VN", "GOV", "G01", "dancu", "cong-dan")


@pytest.mark.parametrize(
    ("rest", "path", "query"),
    [
        ("", "", ""),
        ("/", "/", ""),
        ("/records:lookup", "/records:lookup", ""),
        ("/records/a%2Fb//c?x=1&y=%20?", "/records/a%2Fb//c", "x=1&y=%20?"),
        ("?x=/y", "", "x=/y"),
    ],
)
def test_everything_behind_the_identifier_travels_as_it_came(
    rest: str, path: str, query: str
) -> None:
    target = parse_service_target(f"/r1/VN/GOV/G01/dancu/cong-dan{rest}")
    assert target == (POPULATION, path, query, None)


def test_decodes_each_part_of_the_identifier_by_itself() -> None:
    target = parse_service_target("/r1/VN/GOV/G01/d%C3%A2n%20c%C6%B0/cong-dan")
    assert target.service.subsystem == "dân cư"


@pytest.mark.parametrize("code", ["listMethods", "allowedMethods", "getOpenAPI"])
def test_recognises_the_metaservices_of_a_provider(code: str) -> None:
    assert parse_service_target(f"/r1/VN/GOV/G01/dancu/{code}?a=b").metaservice == code


def test_recognises_the_list_of_clients() -> None:
    assert is_list_clients("/listClients?xRoadInstance=VN")
    assert not is_list_clients("/listClientsOfMine")


@pytest.mark.parametrize(
    "target",
    [
        "",
        "/",
        "r1/VN/GOV/G01/dancu/cong-dan",
        "/r1/VN/GOV/G01/dancu",
        "/rx/VN/GOV/G01/dancu/cong-dan",
        "http://example.org/r1/VN/GOV/G01/dancu/cong-dan",
        "/r1/VN/GOV/G01/dancu/cong-dan#part",
        "/r1/VN/GOV/G01/dancu/cong-dan/a b",
        "/r1/VN/GOV/G01/dancu/cong-dan/\r\nX-Road-Client: VN/GOV/G02/x",
        "/r1/VN/GOV/G01/d\xc3\xa2n/cong-dan",
        "/r1/VN/GOV/G01/dancu/cong-dan/" + "x" * LONGEST_TARGET,
    ],
)
def test_refuses_a_target_of_another_form(target: str) -> None:
    with pytest.raises(MalformedTarget):
        parse_service_target(target)


@pytest.mark.parametrize("part", ["", "%00", "%2F", "..", "%zz", "%ff", "a%3Bb"])
def test_refuses_an_identifier_with_a_forbidden_part(part: str) -> None:
    with pytest.raises(MalformedTarget):
        parse_service_target(f"/r1/VN/GOV/{part}/dancu/cong-dan/records")


def test_names_a_protocol_version_that_it_does_not_speak() -> None:
    with pytest.raises(UnsupportedProtocolVersion) as caught:
        parse_service_target("/r2/VN/GOV/G01/dancu/cong-dan")
    assert caught.value.facts == {"version": "r2"}


def test_does_not_repeat_what_follows_the_identifier_in_an_error() -> None:
    with pytest.raises(MalformedTarget) as caught:
        parse_service_target("/r1/VN/GOV/G01/dancu/cong-dan/records/001090000001#x")
    assert "001090000001" not in str(caught.value)


@pytest.mark.parametrize("method", ["CONNECT", "get", "PROPFIND", "GET\r\n"])
def test_refuses_a_method_that_x_road_does_not_pass_on(method: str) -> None:
    with pytest.raises(UnsupportedMethod):
        check_method(method)


def test_metaservices_are_only_read() -> None:
    check_method("GET", "listMethods")
    check_method("POST")
    with pytest.raises(UnsupportedMethod):
        check_method("POST", "listMethods")


def test_reads_one_decoded_parameter() -> None:
    assert query_parameter("serviceCode=c%C3%B4ng%20d%C3%A2n&x=1", "serviceCode") == "công dân"
    assert query_parameter("", "serviceCode") is None


@pytest.mark.parametrize("query", ["", "serviceCode=", "servicecode=x"])
def test_asks_for_a_parameter_that_is_missing(query: str) -> None:
    with pytest.raises(MissingParameter):
        query_parameter(query, "serviceCode", required=True)


def test_refuses_to_choose_between_two_values() -> None:
    with pytest.raises(AmbiguousParameter):
        query_parameter("serviceCode=a&serviceCode=b", "serviceCode")


@pytest.mark.parametrize("query", ["serviceCode=%ff", "&".join(["a=1"] * 101)])
def test_refuses_a_query_that_cannot_be_read(query: str) -> None:
    with pytest.raises(MalformedTarget):
        query_parameter(query, "serviceCode")


@pytest.mark.parametrize("code", ["listMethods", "getOpenAPI", "getWsdl"])
def test_no_service_takes_the_name_of_a_metaservice(code: str) -> None:
    with pytest.raises(ReservedServiceCode):
        check_service_code(code)
