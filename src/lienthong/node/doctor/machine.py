"""The machine under the node: disk, inodes, open files, who may read the keys."""

from __future__ import annotations

import os
import resource
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from lienthong.node.doctor.context import Context
from lienthong.node.doctor.finding import Check, Finding, Words, failed, good, warning

MIB = 1 << 20
LEAST_FREE_BYTES = 256 * MIB  # below it a node cannot keep one large body
SCARCE_BYTES = 4096 * MIB
SCARCE_SHARE = 0.10
LEAST_INODES_SHARE = 0.02
FILES_BESIDE_CONNECTIONS = 200  # databases, logs, spooled bodies
FULL_SHARE = 0.8
_MORE_DISK = Words(
    "Thêm đĩa, giảm body_retention_days, hoặc chạy: lienthong ledger purge STATE --days N",
    "Add disk, lower body_retention_days, or run: lienthong ledger purge STATE --days N",
)


def checks(context: Context) -> list[Check]:
    folder = str(context.state.folder)
    return [
        Check("disk.space", folder, lambda: disk_space(context.state.folder)),
        Check("disk.inodes", folder, lambda: inodes(context.state.folder)),
        Check("process.files", context.node, lambda: open_files(context)),
        Check("keys.files", folder, lambda: key_files(context)),
        Check("log.file", str(context.state.log), lambda: incident_log(context)),
    ]


def disk_space(folder: Path) -> Iterator[Finding]:
    """Is there room for the ledger and for large bodies?"""
    usage = shutil.disk_usage(folder)
    share = usage.free / usage.total
    vi = f"còn {usage.free // MIB} MiB trong {usage.total // MIB} MiB ({share:.0%})"
    en = f"{usage.free // MIB} MiB of {usage.total // MIB} MiB free ({share:.0%})"
    if usage.free < LEAST_FREE_BYTES:
        yield failed("disk.space", str(folder), Words(vi, en), _MORE_DISK)
    elif usage.free < SCARCE_BYTES or share < SCARCE_SHARE:
        yield warning("disk.space", str(folder), Words(vi, en), _MORE_DISK)
    else:
        yield good("disk.space", str(folder), vi, en)


def inodes(folder: Path) -> Iterator[Finding]:
    """A disk with room for bytes may have none for files."""
    found = os.statvfs(folder)
    if found.f_files == 0:
        yield good("disk.inodes", str(folder), "không giới hạn", "no limit")
        return
    share = found.f_favail / found.f_files
    vi, en = f"còn {share:.0%} số tệp", f"{share:.0%} of the files left"
    if share < LEAST_INODES_SHARE:
        remedy = Words(
            "Xóa tệp thừa trên đĩa này, hoặc tạo hệ tệp với nhiều inode hơn",
            "Delete files on this disk, or make its file system with more inodes",
        )
        yield failed("disk.inodes", str(folder), Words(vi, en), remedy)
    else:
        yield good("disk.inodes", str(folder), vi, en)


def open_files(context: Context) -> Iterator[Finding]:
    """Each connection is an open file; at the limit a node refuses all of them."""
    limit, used = _files_of(context.process)
    wanted = context.settings.maximum_connections + FILES_BESIDE_CONNECTIONS
    vi = f"giới hạn {limit}, đang mở {used}; cần {wanted} (maximum_connections)"
    en = f"limit {limit}, {used} open; {wanted} wanted (maximum_connections)"
    remedy = Words(
        f"Đặt LimitNOFILE={wanted * 2} trong systemd, rồi khởi động lại nút",
        f"Set LimitNOFILE={wanted * 2} in systemd, then restart the node",
    )
    if used > limit * FULL_SHARE:
        yield failed("process.files", context.node, Words(vi, en), remedy)
    elif limit < wanted:
        yield warning("process.files", context.node, Words(vi, en), remedy)
    else:
        yield good("process.files", context.node, vi, en)


def _files_of(process: int | None) -> tuple[int, int]:
    """Limit and number of open files, of the node while it runs, else of this process."""
    if process is None:
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0], 0
    proc = Path(f"/proc/{process}")
    line = next(each for each in (proc / "limits").read_text().splitlines() if "open files" in each)
    return int(line.split()[3]), len(list((proc / "fd").iterdir()))


def key_files(context: Context) -> Iterator[Finding]:
    """Private keys are for the node's own account only."""
    folder = context.state.keys
    paths = [folder, *sorted(folder.glob("*.pem")), *sorted(folder.glob("*.key"))]
    for path in paths:
        found = path.stat()
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o077:
            remedy = f"chmod {'700' if path.is_dir() else '600'} {path}"
            yield failed(
                "keys.files",
                str(path),
                Words(f"quyền {mode:o}: người khác đọc được", f"mode {mode:o}: others may read it"),
                Words(f"Chạy: {remedy}. Nếu đã lộ, thay khóa.", f"Run: {remedy}. Rotate if seen."),
            )
        elif not os.access(path, os.R_OK):
            owner = f"chown -R $(id -un) {folder}"
            yield failed(
                "keys.files",
                str(path),
                Words("tài khoản này không đọc được", "this account cannot read it"),
                Words(f"Chạy bằng tài khoản của nút, hoặc {owner}", f"Run as the node, or {owner}"),
            )
    if all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in paths):
        count = len(paths) - 1
        yield good("keys.files", str(folder), f"{count} tệp, chỉ chủ đọc", f"{count} files, 0600")


def incident_log(context: Context) -> Iterator[Finding]:
    """Without it, an error's id is found in this node's ledger only."""
    folder = context.state.log
    if context.settings.log_file_bytes <= 0:
        yield warning(
            "log.file",
            str(folder),
            Words("nhật ký sự cố bị tắt", "the incident log is off"),
            Words("Đặt log_file_bytes lớn hơn 0", "Set log_file_bytes above 0"),
        )
    elif folder.exists() and not os.access(folder, os.W_OK):
        yield failed(
            "log.file",
            str(folder),
            Words("không ghi được nhật ký sự cố", "the incident log cannot be written"),
            Words(f"Cho tài khoản của nút ghi vào {folder}", "Let the node's account write there"),
        )
    else:
        yield good("log.file", str(folder), "ghi được", "can be written")
