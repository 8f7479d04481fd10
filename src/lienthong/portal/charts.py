"""Charts: a Vega-Lite specification becomes SVG on the server; a table stands beside each.

The SVG stands in the page itself, so that it is written in the page's typeface and takes its
colours from the stylesheet, by day, by night and in print. It has no style of its own, as the
policy of ``headers.py`` wants it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import vl_convert as vlc
from markupsafe import Markup

WIDTH, ROW, HEIGHT = 420, 34, 200
HOURS_PER_LABEL = 3
_one_at_a_time = threading.Lock()  # the converter's JavaScript engine is one

CONFIG: dict[str, Any] = {
    "background": None,
    "font": "Be Vietnam Pro",
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 13,
        "titleFontSize": 13,
        "labelLimit": 240,
        "titleFontWeight": 400,
        "ticks": False,
        "labelPadding": 6,
    },
}


def over_time(rows: Sequence[tuple[str, int]], title: str) -> Markup:
    """SVG of (hour, count) as columns."""
    return _svg(
        rows,
        {
            "width": WIDTH,
            "height": HEIGHT,
            "mark": {"type": "bar", "cornerRadiusEnd": 2},
            "encoding": {
                "x": {
                    "field": "name",
                    "type": "ordinal",
                    "sort": None,
                    "title": None,
                    "axis": {
                        "labelAngle": 0,
                        "values": [
                            name for name, _ in rows[HOURS_PER_LABEL - 1 :: HOURS_PER_LABEL]
                        ],
                    },
                },
                "y": {
                    "field": "value",
                    "type": "quantitative",
                    "title": title,
                    "axis": _whole(rows),
                },
            },
        },
    )


def by_name(rows: Sequence[tuple[str, int]], title: str) -> Markup:
    """SVG of (name, count) as bars."""
    return _svg(
        rows,
        {
            "width": WIDTH - 190,
            "height": {"step": ROW},
            "mark": {"type": "bar", "cornerRadiusEnd": 2},
            "encoding": {
                "y": {"field": "name", "type": "nominal", "sort": None, "title": None},
                "x": {
                    "field": "value",
                    "type": "quantitative",
                    "title": title,
                    "axis": _whole(rows),
                },
            },
        },
    )


def _whole(rows: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """An axis of counts: no two ticks round to the same number."""
    largest = max((value for _, value in rows), default=1)
    return {"format": "d", "tickMinStep": 1, "tickCount": max(1, min(4, largest))}


def _svg(rows: Sequence[tuple[str, int]], spec: dict[str, Any]) -> Markup:
    values = [{"name": name, "value": value} for name, value in rows]
    whole = {"data": {"values": values}, "config": CONFIG, **spec}
    with _one_at_a_time:
        _learn_typeface()
        return Markup(vlc.vegalite_to_svg(whole))  # noqa: S704 — the converter escapes texts


@cache
def _learn_typeface() -> None:
    """Let the converter measure texts as browsers will set them; else labels are cut off."""
    vlc.register_font_directory(str(Path(__file__).parent / "static" / "vendor"))
