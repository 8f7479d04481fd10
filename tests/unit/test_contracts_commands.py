"""``lienthong contract check``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lienthong.contracts.commands import app
from tests.fixtures.people import CONTRACT_TEXT


@pytest.fixture
def contract_file(tmp_path: Path) -> Path:
    file = tmp_path / "nguoi.odcs.yaml"
    file.write_text(CONTRACT_TEXT, encoding="utf-8")
    return file


def test_shows_the_fields_of_a_contract_in_order(contract_file: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(contract_file)])
    assert result.exit_code == 0
    assert "ho_ten" in result.stdout
    assert "sensitive" in result.stdout


def test_lists_all_problems_and_exits_with_the_code_of_contracts(contract_file: Path) -> None:
    text = CONTRACT_TEXT.replace("classification: internal", "classification: mật")
    text = text.replace("lienthong:legalBasis", "other:basis")
    contract_file.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["check", str(contract_file)])
    assert result.exit_code == 6
    assert "contracts.state_secret" in result.stderr
    assert "contracts.legal_basis_missing" in result.stderr
    assert "cap_nhat" in result.stderr


def test_json_output_is_for_programs(contract_file: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(contract_file), "--json"])
    answer = json.loads(result.stdout)
    assert answer["valid"] is True
    assert answer["fields"]["thu_nhap"] == "sensitive"
    contract_file.write_text("a: [", encoding="utf-8")
    result = CliRunner().invoke(app, ["check", str(contract_file), "--json"])
    assert result.exit_code == 6
    assert json.loads(result.stdout)["problems"][0]["code"] == "contracts.unreadable"


def test_help_is_vietnamese_first_with_an_example() -> None:
    result = CliRunner().invoke(app, ["check", "--help"], env={"COLUMNS": "200"})
    assert "Kiểm tra một hợp đồng" in result.stdout
    assert "lienthong contract check cong-dan.odcs.yaml" in result.stdout
