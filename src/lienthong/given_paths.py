"""Files and folders that a person named on the command line, read and written.

What cannot be read, made or written is told as ``PathUnusable``, with the path and why.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lienthong.errors import PathUnusable

# Without a path in the error these still mean the disk, not a defect of ours.
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


def read_given(path: Path) -> bytes:
    """Raises PathUnusable."""
    with telling(path):
        return path.read_bytes()


def read_given_text(path: Path) -> str:
    """Raises PathUnusable, also for what is not UTF-8."""
    try:
        return read_given(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise PathUnusable(path=path, reason="UTF-8?") from error


def write_given(path: Path, content: bytes) -> None:
    """Raises PathUnusable."""
    with telling(path):
        path.write_bytes(content)


def make_given_folder(path: Path, mode: int = 0o777) -> None:
    """Make a folder, unless it is there; ``mode`` before the umask. Raises PathUnusable."""
    with telling(path):
        path.mkdir(mode=mode, parents=True, exist_ok=True)


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Turn the system's error about ``path`` into ours."""
    try:
        yield
    except OSError as error:
        raise PathUnusable(path=path, reason=reason_of(error)) from error


def path_unusable(error: OSError) -> PathUnusable | None:
    """The same for an error that came up from further below; None when no path is to blame."""
    if error.filename is None and error.errno not in _DISK:
        return None
    return PathUnusable(path=error.filename or "?", reason=reason_of(error))


def reason_of(error: OSError) -> str:
    """The system's own words."""
    return error.strerror or type(error).__name__
