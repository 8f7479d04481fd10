"""What a visitor sent: values that survive an error, and the errors that stand beside fields.

    form.wanted("purpose", most=200)        # the text, or "" and an error beside the field
    if form.good: …

Texts of errors are names in ``texts/*.toml``; a page shows the form again with all that was
typed, except passwords.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from lienthong.contracts.document import LARGEST_CONTRACT_BYTES
from lienthong.errors import FormTooLarge
from lienthong.node.vietnam_time import VIETNAM

LARGEST_FORM_BYTES = 1024 * 1024
LARGEST_CONTRACT_FORM_BYTES = 3 * LARGEST_CONTRACT_BYTES  # a file, what was typed, the rest
LARGEST_UPLOAD_BYTES = 64 * 1024 * 1024
MOST_FIELDS = 2000
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028\u2029\ufeff]")


class Form:
    """Values and files of one form; ``errors`` maps a field to (text name, facts)."""

    def __init__(
        self,
        values: Mapping[str, list[str]] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self._values = dict(values or {})
        self._files = dict(files or {})
        self.errors: dict[str, tuple[str, Mapping[str, object]]] = {}

    @property
    def good(self) -> bool:
        return not self.errors

    def value(self, name: str, default: str = "") -> str:
        """What was typed, as it was typed: to show it again."""
        return self._values.get(name, [default])[-1] if self._values.get(name) else default

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def file(self, name: str) -> bytes:
        return self._files.get(name, b"")

    def refuse(self, field: str, text: str, **facts: object) -> None:
        """Put an error beside a field; the first one stays."""
        self.errors.setdefault(field, (text, facts))

    def optional(self, name: str, most: int = 2000) -> str:
        """A text of one line without white space at its ends."""
        typed = self.value(name)
        if _CONTROL.search(typed):
            self.refuse(name, "form.control")
        text = " ".join(typed.split())
        if len(text) > most:
            self.refuse(name, "form.too_long", most=most, length=len(text))
        return text

    def wanted(self, name: str, most: int = 2000) -> str:
        """The same, refused when empty."""
        text = self.optional(name, most)
        if not text:
            self.refuse(name, "form.wanted")
        return text

    def number(self, name: str, least: int, most: int) -> int | None:
        """A whole number with or without points between thousands; None when left empty."""
        text = self.optional(name, 40)
        if not text:
            return None
        plain = re.sub(r"[.\s]", "", text)
        if not re.fullmatch("[0-9]{1,15}", plain) or not least <= int(plain) <= most:
            self.refuse(name, "form.number", least=f"{least}", most=f"{most:,}".replace(",", "."))
            return None
        return int(plain)

    def day(self, name: str) -> datetime | None:
        """The beginning of a day in Vietnam: ``2026-01-31``, or ``31/01/2026``."""
        text = self.wanted(name, 40)
        if not text:
            return None
        turned = re.fullmatch(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})", text)
        if turned:
            text = f"{turned[3]}-{turned[2]:0>2}-{turned[1]:0>2}"
        try:
            found = date.fromisoformat(text)
        except ValueError:
            self.refuse(name, "form.day")
            return None
        if not 1900 <= found.year <= 2200:
            self.refuse(name, "form.day")
            return None
        return datetime(found.year, found.month, found.day, tzinfo=VIETNAM)

    def chosen(self, name: str, offered: list[str]) -> list[str]:
        """Those of several boxes that were ticked, all of them offered, at least one."""
        ticked = list(dict.fromkeys(self.all(name)))
        if not ticked:
            self.refuse(name, "form.choose")
        if not set(ticked) <= set(offered):
            self.refuse(name, "form.not_offered")
        return [each for each in offered if each in ticked]

    def one_of(self, name: str, offered: list[str]) -> str:
        """One of several."""
        value = self.value(name)
        if value not in offered:
            self.refuse(name, "form.choose" if not value else "form.not_offered")
            return ""
        return value


async def read_form(request: Request, largest: int = LARGEST_FORM_BYTES) -> Form:
    """Read what was sent. Raises FormTooLarge."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > largest:
            raise FormTooLarge()
    parsed = await _parse(request, bytes(body), largest)
    values: dict[str, list[str]] = {}
    files: dict[str, bytes] = {}
    for name, value in parsed.multi_items():
        if isinstance(value, UploadFile):
            files[name] = await value.read()
        else:
            values.setdefault(name, []).append(value)
    return Form(values, files)


async def _parse(request: Request, body: bytes, largest: int) -> FormData:
    """Starlette's parsers, over a body whose length was bounded."""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    again = Request(request.scope, receive)
    return await again.form(max_files=4, max_fields=MOST_FIELDS, max_part_size=largest)
