"""Reading the packages that hold the maps."""

import subprocess
import sys
from pathlib import Path

import pytest

from lienthong.errors import UnitDataMissing
from lienthong.units import packages


def _install(folder: Path, package: str, file: str, content: bytes) -> None:
    path = folder / package / "data" / file
    path.parent.mkdir(parents=True)
    (folder / package / "__init__.py").write_text("raise ImportError('must not be imported')")
    path.write_bytes(content)


def test_neither_package_nor_what_it_needs_is_imported() -> None:
    program = (
        "import sys; from lienthong.units.atlas import atlas; atlas();"
        "print(sorted({'shapely', 'numpy', 'geopy', 'vietnamadminunits', 'vietnam_provinces'}"
        " & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert result.stdout.strip() == b"[]"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "CONVERSION_PACKAGE", "no_such_package_of_units")
    with pytest.raises(UnitDataMissing) as caught:
        packages.read_maps()
    assert "no_such_package_of_units" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no database at all", b"SQLite format 3\x00"])
def test_a_damaged_database_is_our_own_error(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(tmp_path, "damagedmaps", "dataset.db", content)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(packages, "CONVERSION_PACKAGE", "damagedmaps")
    with pytest.raises(UnitDataMissing):
        packages.read_maps()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"DICT_PROVINCE": 1}', b"\xff"])
def test_a_damaged_conversion_is_our_own_error(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(tmp_path, "damagedconversion", "converter_2025.json", content)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(packages, "CONVERSION_PACKAGE", "damagedconversion")
    with pytest.raises(UnitDataMissing):
        packages.read_conversion()


ROWS = [packages.NewRow("01", "Thành phố Hà Nội", "00004", "Phường Ba Đình", ("a", "b"))]


@pytest.mark.parametrize(
    ("code", "name", "spelling"),
    [
        (4, "phường  Ba Đình", {"00004": "phường Ba Đình"}),
        (5, "Phường Ba Đình", {}),  # another code list
        (4, "Phường Trúc Bạch", {}),  # another meaning of the code
    ],
)
def test_a_spelling_is_taken_only_where_codes_and_names_agree(
    code: int,
    name: str,
    spelling: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = f'[{{"name": "Hà Nội", "code": 1, "wards": [{{"name": "{name}", "code": {code}}}]}}]'
    package = f"spelling{code}{len(name)}"
    _install(tmp_path, package, "nested-divisions.json", content.encode())
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(packages, "TODAY_PACKAGE", package)
    assert packages.read_spelling(ROWS) == spelling


def test_the_maps_do_without_the_second_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "TODAY_PACKAGE", "no_such_package_of_units")
    assert packages.read_spelling(ROWS) == {}
