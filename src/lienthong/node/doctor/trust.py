"""Whom the node trusts and who trusts it: the directory, its keys, its certificate, what ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime

import urllib3

from lienthong.directory.site import TIMESTAMP
from lienthong.directory.view import DirectoryView
from lienthong.errors import LienthongError
from lienthong.identity.key_files import open_key
from lienthong.identity.keys import SigningKey
from lienthong.identity.token_access import TokenAccess
from lienthong.node.doctor.context import Context
from lienthong.node.doctor.finding import Check, Finding, Words, failed, good, warning
from lienthong.node.doctor.peers import clock
from lienthong.node.expiry import OVER, Expiring, expiring_on_disk

FETCH_SECONDS = 4.0
# A directory that is signed anew each hour and is fetched each minute has this much left.
SOON = timedelta(minutes=30)


def checks(context: Context) -> list[Check]:
    url = str(context.settings.directory_url)
    return [
        Check("directory.fresh", context.node, lambda: directory_copy(context)),
        Check("directory.reach", url, lambda: directory_reach(context, url)),
        Check("keys.signing", context.node, lambda: signing_key(context)),
    ]


def directory_copy(context: Context) -> Iterator[Finding]:
    """Is our copy in force, and what did the operator do that needs a look?"""
    view = context.view
    if view is None:
        error = context.view_error or LienthongError()
        yield failed("directory.fresh", context.node, _told(error), _todo(error))
        return
    left = view.expires - context.now()
    vi = f"phiên bản {view.version}, hết hạn {view.expires:%Y-%m-%d %H:%M} UTC"
    en = f"version {view.version}, expires {view.expires:%Y-%m-%d %H:%M} UTC"
    remedy = Words(
        "Xem dòng directory.reach; nếu danh bạ vẫn tới được, báo người vận hành danh bạ ký lại",
        "See directory.reach; if it can be reached, tell its operator to sign anew",
    )
    if left <= timedelta():
        yield failed("directory.fresh", context.node, Words(vi, en), remedy)
    elif left < SOON:
        yield warning("directory.fresh", context.node, Words(vi, en), remedy)
    else:
        yield good("directory.fresh", context.node, vi, en)
    yield from _own_record(context, view)


def _own_record(context: Context, view: DirectoryView) -> Iterator[Finding]:
    try:
        view.node(context.node)
        for member in context.identity.members:
            view.check_delegation(member.id, context.node, context.now())
    except LienthongError as error:
        yield failed("directory.own", context.node, _told(error), _todo(error))
    else:
        yield good("directory.own", context.node, "danh bạ có nút này", "the directory names it")


def directory_reach(context: Context, url: str) -> Iterator[Finding]:
    """Can a newer version be fetched, and does its server's clock agree with ours?"""
    if not url.startswith("http"):
        yield good("directory.reach", url, "thư mục trên đĩa", "a folder on the disk")
        return
    try:
        response = urllib3.request(
            "GET", f"{url.rstrip('/')}/{TIMESTAMP}", timeout=FETCH_SECONDS, retries=False
        )
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        reason = type(error).__name__
        remedy = Words(
            f"Kiểm tra mạng và proxy: curl -v {url}/{TIMESTAMP}. Nút vẫn chạy đến khi danh bạ "
            "hết hạn và hỏi các nút khác",
            f"Check network and proxy: curl -v {url}/{TIMESTAMP}. The node goes on until its "
            "copy expires, and asks other nodes",
        )
        yield failed("directory.reach", url, Words(f"không tới được: {reason}", reason), remedy)
        return
    if response.status != 200:
        found = f"HTTP {response.status}"
        remedy = Words("Kiểm tra directory_url", "Check directory_url")
        yield failed("directory.reach", url, Words(found, found), remedy)
        return
    yield good("directory.reach", url, "tới được", "can be reached")
    date = response.headers.get("date")
    if date:
        difference = (parsedate_to_datetime(date) - context.now()).total_seconds()
        yield clock(url, difference, float(context.settings.clock_skew_seconds))


def signing_key(context: Context) -> Iterator[Finding]:
    """Can this node sign, with a key that the directory names, in a token or not?"""
    try:
        key = open_key(context.state.signing_key, TokenAccess.of(context.settings))
        if key.is_remote:
            key.check()
    except LienthongError as error:
        yield failed("keys.signing", context.node, _told(error), _todo(error))
        return
    where = "token PKCS#11" if key.is_remote else "tệp · file"
    if context.view is None:
        yield good("keys.signing", key.public.key_id, where, where)
        return
    try:
        context.view.signing_key(context.node, key.public.key_id, context.now())
    except LienthongError as error:
        yield failed("keys.signing", key.public.key_id, _told(error), _todo(error))
    else:
        vi, en = f"danh bạ có khóa này ({where})", f"the directory names it ({where})"
        yield good("keys.signing", key.public.key_id, vi, en)
    yield from expiry(context, key)


def expiry(context: Context, key: SigningKey) -> Iterator[Finding]:
    """What ends within the next weeks, or has ended."""
    now = context.now()
    items = expiring_on_disk(context.state, key)
    telling = [each for each in items if each.threshold(now) is not None]
    for each in telling:
        yield _ending(each, each.days_left(now), over=each.threshold(now) == OVER)
    if not telling and items:
        days = items[0].days_left(now)
        vi, en = f"{items[0].kind}: còn {days} ngày", f"{items[0].kind}: {days} days left"
        yield good("keys.expiry", context.node, vi, en)


def _ending(each: Expiring, days: int, *, over: bool) -> Finding:
    subject = f"{each.kind} {each.name}"
    remedy = Words(
        "Gia hạn hoặc thay khóa: docs/how-to/renew-and-rotate.md",
        "Renew or rotate: docs/how-to/renew-and-rotate.md",
    )
    if over:
        found = Words(f"đã hết hạn {each.until:%Y-%m-%d}", f"ended on {each.until:%Y-%m-%d}")
        return failed("keys.expiry", subject, found, remedy)
    found = Words(
        f"còn {days} ngày, đến {each.until:%Y-%m-%d}", f"{days} days left, {each.until:%Y-%m-%d}"
    )
    return warning("keys.expiry", subject, found, remedy)


def _told(error: LienthongError) -> Words:
    return Words(error.message("vi"), error.message("en"))


def _todo(error: LienthongError) -> Words:
    return Words(error.remedy("vi"), error.remedy("en"))
