"""Every command says what it does in Vietnamese first, and shows an example."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lienthong.cli import program


def commands(group: Any, name: str = "lienthong") -> Iterator[tuple[str, Any]]:
    """Walk to all commands that do something, under the names that people type."""
    if not hasattr(group, "list_commands"):
        yield name, group
        return
    context = group.make_context(name, [], resilient_parsing=True)
    for each in group.list_commands(context):
        yield from commands(group.get_command(context, each), f"{name} {each}")


COMMANDS = dict(commands(program))


def test_all_rooms_are_walked() -> None:
    rooms = {name.split()[1] for name in COMMANDS}
    assert {"demo", "node", "directory", "service", "client", "agreement", "units"} <= rooms
    assert "lienthong directory authority add" in COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_vietnamese_help_and_an_example_that_names_it(name: str) -> None:
    text = COMMANDS[name].help
    assert text.splitlines()[0].startswith(tuple("AÁÂÀBCDĐEGHIKLMNOÔPQRSTUVXÝ"))
    assert any(
        letter in text.splitlines()[0] for letter in "ạảãáàăâđêôơưếệểốộịừứửữựọấầậẩắợờởỗồũủúùý"
    )
    example = text.partition("Ví dụ")[2]
    assert name in " ".join(example.split())
