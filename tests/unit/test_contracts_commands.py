"""``lienthong contract``: check, new, diff, infer, test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lienthong.contracts.commands import app
from lienthong.errors import PathUnusable, QualityNotMet, VersionRuleBroken
from lienthong.node.contract_commands import app as whole_app
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


def test_a_new_contract_is_written_once_and_loads(tmp_path: Path) -> None:
    file = tmp_path / "moi.odcs.yaml"
    words = ["new", str(file), "--id", "a", "--name", "Số", "--table", "s.so", "--key", "ma"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert CliRunner().invoke(app, ["check", str(file)]).exit_code == 0
    assert isinstance(CliRunner().invoke(app, words).exception, PathUnusable)


def test_a_difference_is_told_to_people_and_programs(contract_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "moi.odcs.yaml"
    other.write_text(CONTRACT_TEXT.replace("name: so_con", "name: con"), encoding="utf-8")
    result = CliRunner().invoke(app, ["diff", str(contract_file), str(other), "--json"])
    assert json.loads(result.stdout)["needed"] == "2.0.0"
    assert isinstance(result.exception, VersionRuleBroken)
    same = CliRunner().invoke(app, ["diff", str(contract_file), str(contract_file)])
    assert (same.exit_code, "Không có thay đổi" in same.stdout) == (0, True)


def test_a_proposal_and_a_failed_quality_have_their_exit_codes(tmp_path: Path) -> None:
    (tmp_path / "so.csv").write_text("ma,ten\n1,a\n1,b\n", encoding="utf-8")
    proposed = CliRunner().invoke(whole_app, ["infer", str(tmp_path / "so.csv")])
    file = tmp_path / "so.odcs.yaml"
    text = proposed.stdout.replace("- name: ma ", "- name: ma\n        unique: true ")
    file.write_text(text, encoding="utf-8")
    words = ["test", str(file), "--source", str(tmp_path / "so.csv"), "--json"]
    result = CliRunner().invoke(whole_app, words)
    assert isinstance(result.exception, QualityNotMet)
    assert json.loads(result.stdout)["counts"]["failed"] == 1
