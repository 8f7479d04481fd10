"""Charts: a Vega-Lite specification becomes SVG on the server; a table stands beside each.

Colours are those of the stylesheet's tokens, which meet WCAG 2.2 (1.4.11) on white.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import vl_convert as vlc

WIDTH, ROW, HEIGHT = 640, 30, 220
INK, LACQUER, MUTED, LINE = "#12332f", "#a8321f", "#0f6b5f", "#d9d3c7"
_one_at_a_time = threading.Lock()  # the converter's JavaScript engine is one

CONFIG: dict[str, Any] = {
    "background": "#ffffff",
    "font": "Be Vietnam Pro, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "gridColor": LINE,
        "domainColor": INK,
        "tickColor": LINE,
        "labelFontSize": 13,
        "titleFontSize": 13,
        "labelLimit": 260,
        "titleFontWeight": 600,
    },
}


def over_time(rows: Sequence[tuple[str, int]], title: str) -> str:
    """SVG of (hour, count) as columns."""
    return _svg(
        rows,
        {
            "width": WIDTH,
            "height": HEIGHT,
            "mark": {"type": "bar", "color": MUTED, "cornerRadiusEnd": 2},
            "encoding": {
                "x": {
                    "field": "name",
                    "type": "ordinal",
                    "sort": None,
                    "title": None,
                    "axis": {"labelAngle": 0, "labelOverlap": "greedy"},
                },
                "y": {"field": "value", "type": "quantitative", "title": title, "axis": _WHOLE},
            },
        },
    )


def by_name(rows: Sequence[tuple[str, int]], title: str) -> str:
    """SVG of (name, count) as bars."""
    return _svg(
        rows,
        {
            "width": WIDTH - 220,
            "height": {"step": ROW},
            "mark": {"type": "bar", "color": LACQUER, "cornerRadiusEnd": 2},
            "encoding": {
                "y": {"field": "name", "type": "nominal", "sort": None, "title": None},
                "x": {"field": "value", "type": "quantitative", "title": title, "axis": _WHOLE},
            },
        },
    )


_WHOLE = {"format": "d", "tickMinStep": 1}


def _svg(rows: Sequence[tuple[str, int]], spec: dict[str, Any]) -> str:
    values = [{"name": name, "value": value} for name, value in rows]
    whole = {"data": {"values": values}, "config": CONFIG, **spec}
    with _one_at_a_time:
        return str(vlc.vegalite_to_svg(whole))
