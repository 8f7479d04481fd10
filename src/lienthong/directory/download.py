"""Taking the files of a new version from one source, in bounded memory."""

from __future__ import annotations

from hashlib import sha256

from lienthong.directory.bundle import read_bundle
from lienthong.directory.fetch import LARGEST_BUNDLE_BYTES, LARGEST_METADATA_BYTES, Fetch
from lienthong.directory.records import LARGEST_RECORD_BYTES
from lienthong.directory.site import BUNDLE, Site
from lienthong.errors import DirectoryInconsistent

_WORTH_A_BUNDLE = 64  # records missing; fewer are fetched one by one
_LARGEST_PREPARED_BYTES = 256_000_000  # metadata from a bundle, held in memory once
_STEP_FILES = 2_000  # records held in memory before they are written


def need(fetch: Fetch, name: str, limit_bytes: int) -> bytes:
    """Fetch a file that must be there. Raises DirectoryInconsistent and what ``fetch`` raises."""
    data = fetch(name, limit_bytes)
    if data is None:
        raise DirectoryInconsistent(part=name)
    return data


class Source:
    """One refresh from one source. ``taken`` is the metadata fetched; the caller writes it.

    Records are written here and now, since their names are their hashes: they count only
    once a published version names them.
    """

    def __init__(self, site: Site, fetch: Fetch, first: bool) -> None:
        self.taken: dict[str, bytes] = {}
        self._site = site
        self._fetch = fetch
        self._bundle = self._fetch_bundle() if first else None
        self._prepared = self._metadata_in_bundle()

    def metadata(self, name: str) -> bytes:
        """Return a metadata file; the caller verifies it."""
        data = self._prepared.get(name)
        if data is None:
            data = need(self._fetch, name, LARGEST_METADATA_BYTES)
        self.taken[name] = data
        return data

    def take_records(self, missing: dict[str, bytes]) -> None:
        """Fetch, check and write records, given as ``{file name: SHA-256}``."""
        waiting = dict(missing)
        if len(waiting) > _WORTH_A_BUNDLE:
            self._bundle = self._bundle or self._fetch_bundle()
            self._take_from_bundle(waiting)
        step: dict[str, bytes] = {}
        for name, digest in waiting.items():
            step[name] = need(self._fetch, name, LARGEST_RECORD_BYTES)
            if sha256(step[name]).digest() != digest:
                raise DirectoryInconsistent(part=name)
            step = self._written(step, _STEP_FILES)
        self._written(step, 1)

    def _take_from_bundle(self, waiting: dict[str, bytes]) -> None:
        step: dict[str, bytes] = {}
        for name, content in read_bundle(self._bundle) if self._bundle else ():
            if waiting.get(name) == sha256(content).digest():
                step[name] = content
                del waiting[name]
                step = self._written(step, _STEP_FILES)
        self._written(step, 1)

    def _written(self, step: dict[str, bytes], enough: int) -> dict[str, bytes]:
        if len(step) < enough:
            return step
        self._site.write_all(step)
        return {}

    def _fetch_bundle(self) -> bytes | None:
        return self._fetch(BUNDLE, LARGEST_BUNDLE_BYTES)

    def _metadata_in_bundle(self) -> dict[str, bytes]:
        if not self._bundle:
            return {}
        found: dict[str, bytes] = {}
        room = _LARGEST_PREPARED_BYTES
        for name, content in read_bundle(self._bundle):
            room -= len(content) if name.startswith("metadata/") else 0
            if room < 0:
                break
            if name.startswith("metadata/"):
                found[name] = content
        return found
