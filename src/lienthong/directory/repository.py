"""The publisher's side: signed metadata over a folder of records, changed crash-safely.

    repository = Repository.open(state)
    with repository.edit() as edit:
        edit.put(record)              # published when the block ends without an error

State folder: ``directory.json`` (settings), ``keys/*.pem`` (0600), ``authority.crt`` (the
development authority), ``root.json`` (what nodes are given to trust), ``public/`` (the site).
The keys ``root`` and ``targets`` are needed rarely and may be kept elsewhere.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from lienthong.directory.bundle import write_bundle
from lienthong.directory.metadata import MetadataSigner, Periods
from lienthong.directory.records import (
    AUTHORITIES_PATH,
    Authorities,
    AuthoritiesStatement,
    Record,
    encode_record,
    parse_record,
    record_path,
)
from lienthong.directory.site import BUNDLE, Site, metadata_name, target_name
from lienthong.errors import DirectoryStateInvalid, InvalidIdentifier
from lienthong.given_paths import make_given_folder, telling
from lienthong.identity.certificates import Authority
from lienthong.identity.identifiers import MemberId
from lienthong.identity.keys import PrivateKey

ROLES = ("root", "targets", "snapshot", "timestamp", "bins")
_AUTHORITY_DAYS = 3650
LONGEST_TIMESTAMP_HOURS = 8_760
_WORTH_A_BUNDLE = 64  # records put at once; then the bundle for first copies is made anew
_SETTINGS = "directory.json"


class RepositorySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is fixed when a directory is made."""

    instance: str
    bins: Annotated[int, Meta(ge=2, le=16_384)]
    periods: Periods


class Repository:
    """A directory's state folder. Methods raise DirectoryStateInvalid and InvalidKey."""

    def __init__(
        self, state: Path, settings: RepositorySettings, clock: Callable[[], datetime]
    ) -> None:
        self.state = state
        self.settings = settings
        self.instance = settings.instance
        self.clock = clock
        self.site = Site(state / "public")
        self.signer = MetadataSigner(
            self.site, settings.instance, settings.periods, self._key, clock
        )

    @classmethod
    def init(
        cls,
        state: Path,
        instance: str,
        bins: int = 16,
        periods: Periods | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Self:
        """Make a new directory; again with the same parameters it changes nothing."""
        settings = RepositorySettings(instance, bins, periods or Periods())
        _check_settings(settings, state)
        make_given_folder(state)
        known = state / _SETTINGS
        if known.exists() and cls.open(state).settings != settings:
            raise DirectoryStateInvalid(path=state, reason="made with other parameters")
        repository = cls(state, settings, clock)
        with repository._locked():
            repository._make_keys()
            if repository.signer.is_empty():
                repository._make_metadata()
            Site(state).write_all({_SETTINGS: msgspec.json.format(msgspec.json.encode(settings))})
        return repository

    @classmethod
    def open(cls, state: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Self:
        """Open an existing directory."""
        try:
            settings = msgspec.json.decode(
                (state / _SETTINGS).read_bytes(), type=RepositorySettings
            )
        except (OSError, msgspec.DecodeError) as error:
            raise DirectoryStateInvalid(path=state, reason="no directory here") from error
        return cls(state, settings, clock)

    @property
    def authority(self) -> Authority:
        """The development authority."""
        return Authority.load(self.state / "keys" / "authority.pem", self.state / "authority.crt")

    @property
    def public_folder(self) -> Path:
        """The folder that a web server publishes."""
        return self.site.folder

    @property
    def version(self) -> int:
        """The version published last."""
        return self.signer.versions().snapshot

    def records(self) -> Iterator[Record]:
        """Read all records now published."""
        for role in ("targets", *self.signer.bin_roles()):
            for path, digest in self.signer.index(role).items():
                yield parse_record(path, self.site.record(path, digest), self.instance)

    @contextmanager
    def edit(self) -> Iterator[Edit]:
        """Change records; when the block ends, what was put is published as one new version."""
        with self._locked():
            edit = Edit(self)
            yield edit
            if edit.changed:
                self.signer.publish(edit.changed)
        if len(edit.changed) >= _WORTH_A_BUNDLE:
            self.write_bundle()

    def publish(self) -> bool:
        """Sign anew what comes near its date; returns whether there is a new snapshot.

        The timestamp is always signed anew, the rest when half of its time is over. The
        bundle for first copies is made with each new snapshot, or when there is none yet.
        """
        with self._locked():
            renewed = self.signer.renew()
            Site(self.state).write_all({"root.json": self.signer.root_bytes()})
        if renewed or not (self.site.folder / BUNDLE).exists():
            self.write_bundle()
        return renewed

    def rotate(self, role: str) -> str:
        """Make a new key for a role of the metadata, let it take its place; returns its id.

        ``role`` is one of ``ROLES``. The former key counts no more once a node has refreshed.
        The keys of root (for the bins: of targets) and snapshot and timestamp have to be here.
        After it was cut short, give it again. Raises InvalidKey, DirectoryStateInvalid.
        """
        place = self.state / "keys" / f"{role}.pem"
        following = place.with_name(f"{role}.next.pem")
        with self._locked():
            if not following.exists():
                PrivateKey.generate().save(following)
            key = PrivateKey.load(following)
            self.signer.rotate(role, key)
            following.replace(place)
            Site(self.state).write_all({"root.json": self.signer.root_bytes()})
        self.write_bundle()
        return key.public.key_id

    def write_bundle(self) -> None:
        """Make the file from which nodes take their first copy."""
        write_bundle(self.site.folder / BUNDLE, self._bundled())

    def _bundled(self) -> Iterator[tuple[str, bytes]]:
        versions = self.signer.versions()
        for role in ("targets", *self.signer.bin_roles()):
            name = metadata_name(role, versions.of(role))
            yield name, self.site.read(name) or b""
            for path, digest in self.signer.index(role).items():
                yield target_name(path, digest), self.site.record(path, digest)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes out: a server renews while the operator approves."""
        with telling(self.state):
            file = (self.state / ".lock").open("w")
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _key(self, role: str) -> PrivateKey:
        place = self.state / "keys" / f"{role}.pem"
        following = place.with_name(f"{role}.next.pem")
        if following.exists():  # a rotation was cut short
            key = PrivateKey.load(following)
            if self.signer.names(role, key):
                return key
        return PrivateKey.load(place)

    def _make_keys(self) -> None:
        folder = self.state / "keys"
        folder.mkdir(mode=0o700, exist_ok=True)
        for role in ROLES:
            if not (folder / f"{role}.pem").exists():
                PrivateKey.generate().save(folder / f"{role}.pem")
        if not (self.state / "authority.crt").exists():
            (folder / "authority.pem").unlink(missing_ok=True)  # a key without certificate
            authority = Authority.create(self.instance, _AUTHORITY_DAYS, self.clock())
            authority.key.save(folder / "authority.pem")
            Site(self.state).write_all({"authority.crt": authority.pem.encode()})

    def _make_metadata(self) -> None:
        now = self.clock().replace(microsecond=0)
        statement = AuthoritiesStatement(
            "authorities", self.instance, 1, now, (self.authority.pem,), ()
        )
        first = encode_record(Authorities(statement, ()))
        root = self.signer.create(self.settings.bins, {AUTHORITIES_PATH: first})
        Site(self.state).write_all({"root.json": root})


class Edit:
    """Records read and put within one new version."""

    def __init__(self, repository: Repository) -> None:
        self.changed: dict[str, bytes] = {}
        self._repository = repository

    def get(self, path: str) -> Record | None:
        """Return the record at a path, as put before or as published."""
        data = self.changed.get(path)
        if data is None:
            digest = self._repository.signer.digest(path)
            data = self._repository.site.record(path, digest) if digest else None
        return None if data is None else parse_record(path, data, self._repository.instance)

    def put(self, record: Record) -> None:
        """Set a record, if it differs from what is published."""
        if self.get(record_path(record)) != record:
            self.changed[record_path(record)] = encode_record(record)


def _check_settings(settings: RepositorySettings, state: Path) -> None:
    try:
        MemberId(settings.instance, "GOV", "X")
    except InvalidIdentifier as error:
        raise DirectoryStateInvalid(path=state, reason="instance is no identifier") from error
    if not 0 < settings.periods.timestamp_hours <= LONGEST_TIMESTAMP_HOURS:
        reason = f"timestamp hours must be above 0, {LONGEST_TIMESTAMP_HOURS} at most"
        raise DirectoryStateInvalid(path=state, reason=reason)
    bins = settings.bins
    if bins < 2 or bins > 16_384 or bins & (bins - 1):
        raise DirectoryStateInvalid(path=state, reason="bins must be a power of 2, 2 to 16384")
