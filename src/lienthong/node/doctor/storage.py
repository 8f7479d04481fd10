"""The database: reachable, writable, of a known version; the ledger's last head; its anchors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import Engine, insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from lienthong.errors import LienthongError
from lienthong.ledger import tables
from lienthong.ledger.anchors import AnchorStore
from lienthong.ledger.database import connect_database
from lienthong.ledger.heads import parse_head, verify_head
from lienthong.ledger.merkle import build_levels
from lienthong.ledger.records import place_of
from lienthong.ledger.store import LedgerStore
from lienthong.node.doctor.context import Context
from lienthong.node.doctor.finding import Check, Finding, Words, failed, good, warning
from lienthong.schema.migrations import current, newest, versions

MARK = "doctor"  # a row that is never committed
WITNESSED_RECENTLY = timedelta(hours=1)


def checks(context: Context) -> list[Check]:
    return [Check("database", _shown(context), lambda: database(context))]


def database(context: Context) -> Iterator[Finding]:
    """Reachable, then writable, then the right version; then what is in it."""
    subject = _shown(context)
    if context.is_sqlite and not _sqlite_exists(context):
        yield warning(
            "database",
            subject,
            Words("chưa có: nút chưa chạy lần nào", "not there yet: the node has never run"),
            Words("Chạy nút một lần", "Run the node once"),
        )
        return
    try:
        with _connected(context) as engine:
            yield good("database", subject, "kết nối được", "connected")
            version = current(engine)
            yield _version(subject, version)
            if version not in versions():
                return
            yield _writable(subject, engine)
            if version == newest():
                yield from ledger(context, engine)
                yield from anchors(context, engine)
    except LienthongError as error:
        yield failed("database", subject, _told(error), _todo(error))
    except SQLAlchemyError as error:
        reason = type(error).__name__
        remedy = Words("Xem nhật ký của cơ sở dữ liệu", "Read the database's own log")
        yield failed("database", subject, Words(reason, reason), remedy)


def _sqlite_exists(context: Context) -> bool:
    from pathlib import Path

    name = make_url(context.database).database
    return bool(name) and Path(str(name)).exists()


@contextmanager
def _connected(context: Context) -> Iterator[Engine]:
    engine = connect_database(context.database)
    try:
        yield engine
    finally:
        engine.dispose()


def _shown(context: Context) -> str:
    return make_url(context.database).render_as_string(hide_password=True)


def _version(subject: str, found: str) -> Finding:
    if found == newest():
        return good("database.schema", subject, f"phiên bản {found}", f"version {found}")
    words = Words(
        f"phiên bản {found or 'trống'}, chương trình cần {newest()}",
        f"version {found or 'none'}, this program wants {newest()}",
    )
    if not found or found in versions():
        remedy = Words("Nút tự nâng khi khởi động", "The node brings it up when it starts")
        return warning("database.schema", subject, words, remedy)
    remedy = Words(
        "Dùng bản phát hành mới hơn, hoặc lienthong node migrate bằng bản đó",
        "Use the newer release, or its lienthong node migrate",
    )
    return failed("database.schema", subject, words, remedy)


def _writable(subject: str, engine: Engine) -> Finding:
    """Write a row, and take it back."""
    try:
        with engine.connect() as connection, connection.begin() as attempt:
            connection.execute(insert(tables.progress).values(name=MARK, value=0))
            attempt.rollback()
    except SQLAlchemyError as error:
        reason = type(getattr(error, "orig", error) or error).__name__
        remedy = Words(
            "Kiểm tra quyền ghi, dung lượng đĩa, và cơ sở dữ liệu có ở chế độ chỉ đọc không",
            "Check the right to write, the disk, and whether the database is read-only",
        )
        words = Words(f"không ghi được: {reason}", f"cannot be written: {reason}")
        return failed("database.write", subject, words, remedy)
    return good("database.write", subject, "ghi được", "can be written")


def ledger(context: Context, engine: Engine) -> Iterator[Finding]:
    """Does the last head fit the tree and the last group, and did this node sign it?

    ``lienthong ledger verify`` looks at all of it.
    """
    store = LedgerStore(engine)
    epoch = store.current_epoch()
    note = store.last_head(epoch)
    subject = f"{context.node} ({epoch})"
    if not note:
        yield good("ledger", subject, "sổ còn trống", "the ledger is empty")
        return
    try:
        head = parse_head(note)
        group = store.group(place_of(epoch, head.size - 1))
        root = build_levels([entry.leaf for entry in group.entries])[-1][0]
        if root != group.root or store.frontier(epoch).root() != head.root:
            raise LienthongError()
        if context.view is not None:
            verify_head(note, head, context.view.signing_key(head.node, head.key_id, head.time))
    except LienthongError as error:
        remedy = Words(
            "Dừng nút, giữ nguyên mọi thứ, chạy lienthong ledger verify STATE, báo người phụ trách",
            "Stop the node, leave all as it is, run lienthong ledger verify STATE, and report it",
        )
        vi = "đầu sổ không khớp nội dung hoặc chữ ký"
        en = f"the last head does not fit the ledger or its key ({error.code})"
        yield failed("ledger", subject, Words(vi, en), remedy)
    else:
        vi, en = f"{head.size} nhóm, đầu sổ đúng", f"{head.size} groups, the last head holds"
        yield good("ledger", subject, vi, en)


def anchors(context: Context, engine: Engine) -> Iterator[Finding]:
    """Is the ledger's time proven by somebody else?"""
    store, settings = AnchorStore(engine), context.settings
    if settings.time_stamp_urls:
        backlog = store.backlog(context.now())
        vi = f"{backlog.groups} nhóm chờ dấu thời gian, lâu nhất {backlog.seconds:.0f} giây"
        en = f"{backlog.groups} groups wait for a time-stamp, the oldest {backlog.seconds:.0f} s"
        if backlog.seconds > settings.time_stamp_alarm_seconds:
            remedy = Words(
                "Kiểm tra time_stamp_urls và mạng tới cơ quan cấp dấu; giao dịch vẫn tiếp tục",
                "Check time_stamp_urls and the way to the authority; traffic goes on meanwhile",
            )
            yield failed("ledger.stamps", context.node, Words(vi, en), remedy)
        else:
            yield good("ledger.stamps", context.node, vi, en)
    seen = store.last_cosignatures()
    recent = [name for name, at in seen.items() if context.now() - at < WITNESSED_RECENTLY]
    vi = f"{len(recent)} nút làm chứng trong một giờ qua"
    en = f"{len(recent)} witnesses within the last hour"
    if seen and not recent and context.process is not None:
        remedy = Words(
            "Xem các dòng peer.*: có nút nào tới được không; thiết lập witnesses",
            "See the lines peer.*: is any node reached? Setting: witnesses",
        )
        yield warning("ledger.witnesses", context.node, Words(vi, en), remedy)
    else:
        yield good("ledger.witnesses", context.node, vi, en)


def _told(error: LienthongError) -> Words:
    return Words(error.message("vi"), error.message("en"))


def _todo(error: LienthongError) -> Words:
    return Words(error.remedy("vi"), error.remedy("en"))
