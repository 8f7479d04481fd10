"""Templates into HTML: what every template may use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from lienthong.contracts.classification import Classification
from lienthong.identity.citizen import mask_text
from lienthong.node.vietnam_time import VIETNAM
from lienthong.portal.files import StaticFiles
from lienthong.portal.names import Names

if TYPE_CHECKING:
    from lienthong.portal.visit import Visit


class Pages:
    """Renders templates of ``templates/``."""

    def __init__(self, static: StaticFiles, names: Names) -> None:
        self._environment = Environment(
            loader=PackageLoader("lienthong.portal"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(static=static.address, Classification=Classification)
        self._environment.filters.update(
            moment=moment,
            day=day,
            number=number,
            segment=lambda value: quote(str(value), safe=""),
            key=lambda value: quote(str(value), safe="/"),
            masked=mask_text,
            host=lambda address: urlsplit(str(address)).hostname or "",
            moments_within=moments_within,
            named=names.shown,
            named_within=names.within,
            pairs=lambda values: [(each, each) for each in values],
        )

    def render(self, template: str, visit: Visit, context: Mapping[str, Any]) -> str:
        done = visit.query("done")
        return self._environment.get_template(template).render(
            visit=visit,
            form=visit.form,
            t=visit.text,
            t_or=visit.text_or,
            lang=visit.language,
            done=visit.text_or(f"done.{done}", "") if done else "",
            other_language=other_language(visit),
            token_field=lambda: _token_field(visit),
            here=visit.request.url.path,
            **context,
        )


def _token_field(visit: Visit) -> Markup:
    return Markup('<input type="hidden" name="form_token" value="{}">').format(visit.form_token())


def other_language(visit: Visit) -> str:
    """The same page in the other language; what was sent by a form starts anew."""
    query = [
        (k, v) for k, v in visit.request.query_params.multi_items() if k not in {"lang", "done"}
    ]
    query.append(("lang", "en" if visit.language == "vi" else "vi"))
    return f"{visit.request.url.path}?{urlencode(query)}"


def moment(value: object) -> Markup:
    """A time as people in Vietnam read it, with the exact one for machines."""
    found = _instant(value)
    if found is None:
        return Markup("—")
    shown = found.astimezone(VIETNAM).strftime("%d/%m/%Y %H:%M:%S")
    stamp = found.astimezone(UTC).isoformat(timespec="seconds")
    return Markup('<time datetime="{}">{}</time>').format(stamp, shown)


_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


def moments_within(text: object) -> Markup:
    """A text whose times are as people in Vietnam read them."""
    shown, end = Markup(), 0
    for found in _STAMP.finditer(str(text)):
        shown += escape(str(text)[end : found.start()])
        shown += escape(found[0]) if _instant(found[0]) is None else moment(found[0])
        end = found.end()
    return shown + escape(str(text)[end:])


def day(value: object) -> Markup:
    found = _instant(value)
    if found is None:
        return Markup("—")
    local = found.astimezone(VIETNAM)
    return Markup('<time datetime="{}">{}</time>').format(
        local.date().isoformat(), local.strftime("%d/%m/%Y")
    )


def number(value: object, language: str = "vi") -> str:
    """A whole number with points between thousands; commas in English."""
    if value is None or value == "":
        return "—"
    shown = f"{int(str(value)):,}"
    return shown if language == "en" else shown.replace(",", ".")


def _instant(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str) and value:
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None
    return None
