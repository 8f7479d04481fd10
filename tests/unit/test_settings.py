"""One table of settings feeds the environment, the TOML file and the docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lienthong.errors import ConfigurationError, InvalidSetting, UnknownSetting
from lienthong.settings import ENVIRONMENT_PREFIX, TABLE, load_settings


def test_without_any_input_every_setting_has_its_default() -> None:
    settings = load_settings()
    assert {s.name: getattr(settings, s.name) for s in TABLE} == {s.name: s.default for s in TABLE}


def test_the_file_wins_over_the_default_and_the_environment_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text('clock_skew_seconds = 5\nlanguage = "en"\n')
    settings = load_settings(file, {"LIENTHONG_LANGUAGE": "vi", "PATH": "/bin"})
    assert (settings.clock_skew_seconds, settings.language) == (5.0, "vi")


def test_a_file_that_does_not_exist_changes_nothing(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "absent.toml") == load_settings()


def test_a_misspelt_setting_is_refused_with_its_name_and_place(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text("clock_scew_seconds = 5\n")
    with pytest.raises(UnknownSetting) as caught:
        load_settings(file)
    assert caught.value.facts == {"name": "clock_scew_seconds", "place": str(file)}


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownSetting):
        load_settings(environment={"LIENTHONG_LANGAUGE": "en"})


@pytest.mark.parametrize("text", ["many", "", "12.5.1"])
def test_a_value_of_the_wrong_type_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting):
        load_settings(environment={"LIENTHONG_MAXIMUM_CONNECTIONS": text})


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text("language: en")
    with pytest.raises(ConfigurationError):
        load_settings(file)


def test_an_unknown_attribute_is_a_programming_error() -> None:
    with pytest.raises(AttributeError):
        _ = load_settings().colour


@given(st.sampled_from(TABLE), st.text())
def test_any_text_for_any_setting_is_a_value_of_its_type_or_our_error(
    setting: object, text: str
) -> None:
    name, default = setting[0], setting[1]  # type: ignore[index]
    try:
        settings = load_settings(environment={ENVIRONMENT_PREFIX + name.upper(): text})
    except ConfigurationError:
        return
    assert type(getattr(settings, name)) is type(default)


@given(st.binary(max_size=200))
def test_any_bytes_as_a_file_are_settings_or_our_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(data)
    try:
        load_settings(file)
    except ConfigurationError:
        return


def test_names_and_help_are_complete() -> None:
    assert len({setting.name for setting in TABLE}) == len(TABLE)
    for setting in TABLE:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", setting.name)
        assert setting.help_vi and setting.help_en
