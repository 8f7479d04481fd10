"""Which contracts ``make judge-contracts`` has judged, and how it says that one was refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lienthong.contracts.loading import load_contract
from tools import judge_contracts


def test_what_ships_and_what_the_commands_write_is_judged(tmp_path: Path) -> None:
    shipped = judge_contracts.shipped()
    for part in ("src/lienthong/demo", "docs/how-to", "docs/tutorial", "tests/fixtures"):
        assert any(place.startswith(part) for place in shipped)
    loaded = [load_contract(text.encode()) for text in shipped.values()]
    assert max(len(each.objects) for each in loaded) > 1
    assert any(field.type.is_nested for each in loaded for field in each.fields.values())
    written = judge_contracts.written(tmp_path)
    for how in ("new", "infer, SQLite", "infer, CSV", "infer, Parquet"):
        assert any(place.startswith(f"contract {how}") for place in written)
    for text in written.values():
        load_contract(text.encode())


@pytest.mark.parametrize(("program", "code"), [("true", 0), ("false", 1)])
def test_one_refusal_or_many_are_exit_code_1(
    program: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_contracts, "JUDGE", Path(str(shutil.which(program))))
    monkeypatch.setattr(judge_contracts, "written", lambda folder: {})
    assert judge_contracts.main() == code
