"""The Update Framework's checks, in the order of its client workflow (specification §5).

This is the state machine of ``tuf``'s own client without the client's downloads and cache:
that cache is written file by file, so a refresh cut in the middle leaves a node that cannot
start without network; and that client judges by today's clock only, while evidence is judged
as of then. It is the one place where a private module of ``tuf`` is used; the version is
locked, and tests/unit/test_directory_mirror.py holds every promise it makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
from tuf.api import exceptions
from tuf.api.metadata import Root, Snapshot, SuccinctRoles, Targets, Timestamp
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from lienthong.errors import (
    DirectoryExpired,
    DirectoryInconsistent,
    DirectoryMalformed,
    DirectoryRollback,
    DirectorySignatureInvalid,
    LienthongError,
)

INSTANCE_FIELD = "x-lienthong-instance"  # in the root: which instance this root may speak for
ROLE_FIELD = "x-lienthong-role"  # in a bin: its own name, or bins could be served for others
TIME_FIELD = "x-lienthong-time"  # in the timestamp: when it was made
BIN_PREFIX = "bins"
LONG_AGO = datetime.min.replace(tzinfo=UTC)  # a reference time at which nothing is expired


class Trust:
    """Metadata verified so far, from a root of trust upwards. All methods raise our errors.

    ``at`` is the moment by which expiry is judged.
    """

    def __init__(self, root: bytes, at: datetime) -> None:
        with _translated("root"):
            self._set = TrustedMetadataSet(root, EnvelopeType.METADATA)
        self._set.reference_time = at
        self.instance = _text_field(self.root, INSTANCE_FIELD, "root")

    @property
    def root(self) -> Root:
        return self._set.root

    @property
    def timestamp(self) -> Timestamp:
        return self._set.timestamp

    @property
    def snapshot(self) -> Snapshot:
        return self._set.snapshot

    @property
    def targets(self) -> Targets:
        return self._set.targets

    def advance_root(self, data: bytes) -> None:
        """Take the next root: signed by the last one's keys and by its own."""
        with _translated("root"):
            self._set.update_root(data)
        if _text_field(self.root, INSTANCE_FIELD, "root") != self.instance:
            raise DirectoryMalformed(part="root", reason="names another instance than before")

    def recall_timestamp(self, data: bytes) -> None:
        """Take the last timestamp known, perhaps expired, as the floor for the next one."""
        # A root with new keys disowns the old floor: so recovers a directory whose stolen
        # key published a very high version (TUF specification §5.3.11).
        with _translated("timestamp"), suppress(exceptions.RepositoryError):
            self._set.update_timestamp(data)

    def offer_timestamp(self, data: bytes) -> bool:
        """Take a new timestamp; returns False when it is not newer than the one known."""
        rollback = DirectoryRollback(part="timestamp", **_versions(data, self._timestamp))
        with _translated("timestamp", rollback):
            try:
                self._set.update_timestamp(data)
            except exceptions.EqualVersionNumberError:
                self._set._check_final_timestamp()
                return False
        return True

    @property
    def _timestamp(self) -> Any:
        return self._set.get(Timestamp.type)

    def recall_snapshot(self, data: bytes) -> None:
        """Take the last snapshot known, perhaps replaced or expired, as the floor."""
        with _translated("snapshot"), suppress(exceptions.RepositoryError):
            self._set.update_snapshot(data, trusted=True)

    def offer_snapshot(self, data: bytes) -> None:
        """Take the snapshot that the timestamp names."""
        rollback = DirectoryRollback(
            part="snapshot", **_versions(data, self._set.get(Snapshot.type))
        )
        with _translated("snapshot", rollback):
            self._set.update_snapshot(data)

    def offer_targets(self, data: bytes) -> None:
        """Take the top-level targets that the snapshot names."""
        with _translated(Targets.type):
            self._set.update_targets(data)

    def offer_bin(self, role: str, data: bytes) -> Targets:
        """Take one bin that the snapshot names, and return it."""
        with _translated(role):
            metadata = self._set.update_delegated_targets(data, role, Targets.type)
        if _text_field(metadata, ROLE_FIELD, role) != role:
            raise DirectoryInconsistent(part=role)
        return metadata

    def targets_version(self) -> int:
        """Return the version of the top-level targets that the snapshot names."""
        meta = self.snapshot.meta.get("targets.json")
        if meta is None:
            raise DirectoryInconsistent(part="targets")
        return meta.version

    def bin_versions(self) -> dict[str, int]:
        """Return the version of every bin of the snapshot."""
        roles = self._bins()
        meta = self.snapshot.meta.items()
        versions = {name.removesuffix(".json"): item.version for name, item in meta}
        missing = [role for role in roles.get_roles() if role not in versions]
        if missing:
            raise DirectoryInconsistent(part=missing[0])
        return {role: versions[role] for role in roles.get_roles()}

    def bin_of(self, path: str) -> str:
        """Return the name of the bin that holds ``path``."""
        return self._bins().get_role_for_target(path)

    def _bins(self) -> SuccinctRoles:
        delegations = self.targets.delegations
        if delegations is None or delegations.succinct_roles is None:
            raise DirectoryMalformed(part="targets", reason="no hashed bins")
        return delegations.succinct_roles

    def published(self) -> datetime:
        """Return when the timestamp was made, by the directory's clock."""
        text = _text_field(self.timestamp, TIME_FIELD, "timestamp")
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise DirectoryMalformed(part="timestamp", reason=TIME_FIELD) from error

    def expires(self) -> datetime:
        """Return the earliest date of root, timestamp, snapshot and targets."""
        parts = (self.root, self.timestamp, self.snapshot, self.targets)
        return min(part.expires for part in parts)


def index_of(targets: Targets) -> dict[str, bytes]:
    """Return ``{path: SHA-256}`` of the target files. Raises DirectoryMalformed."""
    try:
        return {
            path: bytes.fromhex(item.hashes["sha256"]) for path, item in targets.targets.items()
        }
    except (KeyError, ValueError) as error:
        raise DirectoryMalformed(part="targets", reason="no SHA-256") from error


def named_snapshot(timestamp: bytes) -> int | None:
    """Return which snapshot a timestamp names; nothing is verified, only looked up."""
    try:
        version = msgspec.json.decode(timestamp)["signed"]["meta"]["snapshot.json"]["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return version if isinstance(version, int) else None


def _text_field(signed: Any, field: str, part: str) -> str:
    value = signed.unrecognized_fields.get(field)
    if not isinstance(value, str):
        raise DirectoryMalformed(part=part, reason=f"no {field}")
    return value


@contextmanager
def _translated(part: str, rollback: DirectoryRollback | None = None) -> Iterator[None]:
    """Turn what ``tuf`` raises into our errors; a wrong version is a mix, or a rollback."""
    try:
        yield
    except LienthongError:
        raise
    except exceptions.ExpiredMetadataError as error:
        raise DirectoryExpired(part=part, expires=str(error)) from error
    except exceptions.UnsignedMetadataError as error:
        raise DirectorySignatureInvalid(part=part) from error
    except exceptions.BadVersionNumberError as error:
        raise rollback or DirectoryInconsistent(part=part) from error
    except exceptions.LengthOrHashMismatchError as error:
        raise DirectoryInconsistent(part=part) from error
    except Exception as error:  # tuf lets ValueError, KeyError and others out of bad files
        raise DirectoryMalformed(part=part, reason=str(error)[:200]) from error


def _versions(data: bytes, known: Any) -> dict[str, object]:
    """Return the facts of a rollback; ``data`` is only read for its number, not believed."""
    try:
        offered = msgspec.json.decode(data)["signed"]["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        offered = "?"
    return {"offered": offered, "known": getattr(known, "version", "?")}
