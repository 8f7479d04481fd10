"""Alarms: changes in the directory that its operator should not have been able to make alone."""

from __future__ import annotations

import logging
from datetime import datetime

import msgspec

from lienthong.directory.site import Site

_LOG = logging.getLogger("lienthong.directory")
_FILE = "alarms.json"
_MOST = 1_000  # kept; a hostile directory must not fill the disk


class Alarm(msgspec.Struct, frozen=True):
    """Something that the people responsible must look at. ``kind`` is a stable word.

    ``change_refused``: the record of ``subject`` changed without its owner; the old one stays.
    ``record_removed``: a record vanished; the old one stays in force.
    ``registrars_acted``: two registrars replaced the keys of ``subject``; the new ones count.
    ``authorities_changed``: approved authorities or registrars changed.
    """

    at: datetime
    kind: str
    subject: str
    detail: str


class Alarms:
    """All alarms of a mirror, kept over restarts and written to the log as they come."""

    def __init__(self, site: Site) -> None:
        self._site = site
        data = site.read(_FILE)
        try:
            kept = msgspec.json.decode(data, type=tuple[Alarm, ...]) if data else ()
        except msgspec.DecodeError:
            kept = ()
        self.all: tuple[Alarm, ...] = kept

    def add(self, new: list[Alarm]) -> None:
        """Keep and log ``new`` alarms."""
        if not new:
            return
        for alarm in new:
            _LOG.error("directory alarm %s: %s: %s", alarm.kind, alarm.subject, alarm.detail)
        self.all = (*self.all, *new)[-_MOST:]
        self._site.write_all({_FILE: msgspec.json.encode(self.all)})
