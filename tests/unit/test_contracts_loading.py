"""Contracts: what loads, and what is refused with which error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lienthong import errors
from lienthong.contracts.classification import Classification
from lienthong.contracts.document import DEEPEST_NESTING, LARGEST_CONTRACT_BYTES
from lienthong.contracts.loading import contract_problems, load_contract
from lienthong.contracts.models import Comparison, FieldType
from lienthong.contracts.serving import serving_problems
from lienthong.sources.source import open_source
from tests.fixtures.people import CONTRACT_TEXT, people_contract, store_in_sql


def _replaced(old: str, new: str) -> bytes:
    assert old in CONTRACT_TEXT
    return CONTRACT_TEXT.replace(old, new, 1).encode()


def _refusal(old: str, new: str) -> errors.ContractError:
    with pytest.raises(errors.ContractError) as caught:
        load_contract(_replaced(old, new))
    return caught.value


def test_reads_fields_key_table_and_legal_basis() -> None:
    contract = people_contract()
    assert (contract.id, contract.version, contract.name) == ("test-nguoi", "1.0.0", "Người")
    assert contract.key == "so_dinh_danh"
    assert contract.table == "nguoi"
    assert contract.legal_basis == ("Luật Căn cước 26/2023/QH15",)
    name = contract.fields["ho_ten"]
    assert (name.column, name.title, name.type) == ("Họ tên", "Họ và tên", FieldType.STRING)
    assert contract.fields["thu_nhap"].classification is Classification.SENSITIVE


def test_digest_is_of_the_file_as_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "nguoi.odcs.yaml"
    file.write_text(CONTRACT_TEXT, encoding="utf-8")
    contract = load_contract(file)
    assert contract.raw == file.read_bytes()
    assert contract.digest == people_contract().digest
    assert load_contract(contract.raw + b"\n# remark").digest != contract.digest


def test_a_personal_key_is_the_subject_unless_said_otherwise() -> None:
    assert people_contract().key_field.subject
    own = "customProperties: [{property: 'lienthong:subject', value: false}]"
    contract = load_contract(_replaced("primaryKey: true", f"primaryKey: true\n        {own}"))
    assert not contract.key_field.subject
    public = _replaced("classification: personal", "classification: public")
    assert not load_contract(public).key_field.subject


@pytest.mark.parametrize(
    "word",
    ["state-secret", "mật", "Tối mật", "TUYỆT MẬT", "tuyet_mat", "Top Secret", "độ mật: mật"],
)
def test_refuses_a_state_secret_field_and_names_it(word: str) -> None:
    error = _refusal("classification: sensitive", f'classification: "{word}"')
    assert isinstance(error, errors.StateSecretField)
    assert error.facts["field"] == "thu_nhap"


def test_an_own_classification_does_not_hide_a_state_secret() -> None:
    own = "customProperties: [{property: 'lienthong:classification', value: public}]"
    secret = f"classification: mật\n        {own}"
    assert isinstance(_refusal("classification: sensitive", secret), errors.StateSecretField)


def test_a_tag_marks_a_state_secret_too() -> None:
    error = _refusal("physicalName: nguoi", "physicalName: nguoi\n    tags: [dan-cu, tối mật]")
    assert isinstance(error, errors.StateSecretField)


def test_a_state_secret_is_the_first_problem_of_a_broken_file() -> None:
    text = CONTRACT_TEXT.replace("classification: sensitive", "classification: mật")
    problems = contract_problems(text.replace("version: 1.0.0", "version: 1").encode())
    assert [type(problem) for problem in problems] == [
        errors.StateSecretField,
        errors.ContractSchemaMismatch,
    ]


def test_an_own_classification_overrides_a_foreign_scale() -> None:
    own = "customProperties: [{property: 'lienthong:classification', value: nội bộ}]"
    contract = load_contract(
        _replaced("classification: sensitive", f'classification: "3"\n        {own}')
    )
    assert contract.fields["thu_nhap"].classification is Classification.INTERNAL


FIELD_OWN = "classification: sensitive\n        customProperties:\n          - "

REFUSALS: list[tuple[str, str, type[errors.ContractError]]] = [
    ("        classification: sensitive\n", "", errors.ClassificationMissing),
    ("classification: sensitive", "classification: secretish", errors.ClassificationUnknown),
    ('    value: "Luật Căn cước 26/2023/QH15"', "    value: []", errors.InvalidContractProperty),
    ("lienthong:legalBasis", "other:basis", errors.LegalBasisMissing),
    ("lienthong:legalBasis", "lienthong:legalbasis", errors.UnknownContractProperty),
    ("lienthong:legalBasis", "Lienthong.legalBasis", errors.UnknownContractProperty),
    ("lienthong:legalBasis", "lienthong:key", errors.UnknownContractProperty),
    (
        "classification: sensitive",
        FIELD_OWN + "{property: 'lienthong:subject', value: 'yes'}",
        errors.InvalidContractProperty,
    ),
    (
        "classification: sensitive",
        FIELD_OWN + "{property: 'lienthong:legalBasis', value: x}",
        errors.UnknownContractProperty,
    ),
    ("apiVersion: v3.2.0", "apiVersion: v2.2.2", errors.ContractVersionUnsupported),
    ("kind: DataContract", "kind: Other", errors.ContractVersionUnsupported),
    ("id: test-nguoi", "id: 5", errors.ContractSchemaMismatch),
    ("status: active", "statsu: active", errors.ContractSchemaMismatch),
    (
        "logicalType: number",
        "logicalType: number\n        descriptio: x",
        errors.ContractSchemaMismatch,
    ),
    ("        logicalType: number\n", "", errors.FieldTypeUnsupported),
    ("name: so_con", "name: so_dinh_danh", errors.ContractSchemaMismatch),
    ('["1990-03-15"]', "[1990]", errors.ExampleMismatch),
    ('["001090000001"]', "[001070000001]", errors.ExampleMismatch),
    ("id: test-nguoi", "id: test-nguoi\nid: again", errors.DuplicateContractKey),
    ("id: test-nguoi", "id: &a test-nguoi", errors.UnsafeYaml),
    ("id: test-nguoi", "id: !!python/name:os.system ''", errors.UnsafeYaml),
    ("id: test-nguoi", "5: test-nguoi", errors.ContractUnreadable),
    ("id: test-nguoi", "id: [", errors.ContractUnreadable),
]


@pytest.mark.parametrize(("old", "new", "wanted"), REFUSALS)
def test_refuses_a_fault_with_its_own_error(
    old: str, new: str, wanted: type[errors.ContractError]
) -> None:
    error = _refusal(old, new)
    assert type(error) is wanted
    assert "?" not in error.message("vi").replace('"?"', "")


NOT_SERVED: list[tuple[str, str, type[errors.ContractError]]] = [
    ("name: so_con", "name: số_con", errors.FieldNameInvalid),
    ("name: so_con", "name: So_Dinh_Danh", errors.FieldNameInvalid),
    ("        primaryKey: true\n", "", errors.KeyNotDeclared),
    (
        "logicalType: integer",
        "logicalType: integer\n        primaryKey: true",
        errors.KeyNotDeclared,
    ),
    (
        "physicalName: nguoi",
        "physicalName: nguoi\n    customProperties: [{property: 'lienthong:key', value: x}]",
        errors.KeyNotDeclared,
    ),
    (
        "physicalName: nguoi",
        "physicalName: nguoi\n    customProperties: [{property: 'lienthong:key', value: con_song}]",
        errors.KeyNotDeclared,
    ),
    (
        "logicalType: date",
        "logicalType: date\n        logicalTypeOptions: {format: yyyy/MM}",
        errors.FieldTypeUnsupported,
    ),
    ("schema:\n", "context: {}\nschema: []\nx:\n", errors.DatasetCount),
]


@pytest.mark.parametrize(("old", "new", "wanted"), NOT_SERVED)
def test_what_cannot_be_served_loads_and_is_refused_by_the_service(
    old: str, new: str, wanted: type[errors.ContractError], tmp_path: Path
) -> None:
    text = _replaced(old, new).decode()
    if wanted is errors.DatasetCount:  # a contract without objects says nothing of any
        text = text.partition("\nx:")[0]
    contract = load_contract(text.encode())
    problems = list(serving_problems(contract))
    assert [type(problem) for problem in problems] == [wanted]
    assert problems[0].message("vi") != problems[0].message("en")
    address = store_in_sql(f"sqlite:///{tmp_path}/nguoi.db")
    with pytest.raises(wanted):
        open_source(address, contract)


def test_refuses_files_over_the_limits() -> None:
    with pytest.raises(errors.ContractTooLarge):
        load_contract(b"a: " + b"x" * LARGEST_CONTRACT_BYTES)
    with pytest.raises(errors.ContractTooLarge):
        load_contract(b"a: " + b"[" * 100_000)
    with pytest.raises(errors.ContractTooLarge):
        load_contract(b"a: " + b"[" * DEEPEST_NESTING + b"]" * DEEPEST_NESTING)


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    with pytest.raises(errors.UnsafeYaml):
        load_contract(b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n")


@pytest.mark.parametrize("content", [b"", b"- a", b"\xff\xfe", b"\x00", b"a: " + b"9" * 5000])
def test_what_is_no_contract_is_named_unreadable(content: bytes) -> None:
    with pytest.raises(errors.ContractUnreadable):
        load_contract(content)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.ContractUnreadable) as caught:
        load_contract(tmp_path / "none.odcs.yaml")
    assert "none.odcs.yaml" in caught.value.message()


def test_check_lists_all_problems_of_the_rules() -> None:
    text = CONTRACT_TEXT.replace("        classification: sensitive\n", "")
    text = text.replace('["1990-03-15"]', "[1990]").replace("lienthong:legalBasis", "other:basis")
    kinds = {type(problem) for problem in contract_problems(text.encode())}
    assert kinds == {
        errors.ClassificationMissing,
        errors.ExampleMismatch,
        errors.LegalBasisMissing,
    }


def test_own_properties_map_to_a_source_and_a_key() -> None:
    def change(text: str) -> str:
        own = (
            "physicalName: nguoi\n    customProperties:\n"
            "      - {property: 'lienthong:source.table', value: ct.v_nguoi}\n"
            "      - {property: 'lienthong:key', value: so_con}"
        )
        field = (
            "logicalType: integer\n        customProperties:\n"
            "          - {property: 'lienthong:source.column', value: SO_CON}\n"
            "          - {property: 'lienthong:compare', value: exact}"
        )
        text = text.replace("physicalName: nguoi", own, 1)
        return text.replace("logicalType: integer", field, 1)

    contract = people_contract(change)
    assert (contract.table, contract.key) == ("ct.v_nguoi", "so_con")
    assert contract.key_field.column == "SO_CON"
    assert contract.key_field.compare is Comparison.EXACT


def test_errors_never_repeat_long_contents() -> None:
    problems = contract_problems(_replaced("status: active", f"status: [{'x' * 5000}]"))
    shown: list[Any] = [problem.message("vi") for problem in problems]
    assert all(len(text) < 600 for text in shown)
