"""Charts: whole numbers on the axis of counts, each once, and names as they are."""

from __future__ import annotations

import re

import pytest

from lienthong.portal.charts import by_name, over_time


@pytest.mark.parametrize("largest", [1, 2, 3, 7, 31, 1000])
def test_no_two_ticks_of_a_count_are_the_same_number(largest: int) -> None:
    ticks = re.findall(r">(\d+)<", by_name([("Ngoài mục đích được phép", largest)], "Lần"))
    assert ticks
    assert len(set(ticks)) == len(ticks)


def test_names_are_text_and_never_markup() -> None:
    svg = by_name([('<script>alert("x")</script>', 3)], "Lần từ chối")
    assert "<script" not in svg
    assert over_time([("06h", 3), ("07h", 0), ("08h", 2)], "Thông điệp").startswith("<svg")
