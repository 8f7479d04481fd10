"""A hospital's existing REST service: the kind that Liên Thông passes through unchanged.

    python -m lienthong.demo.legacy_service --database hospital.db --port 9100

It stands for software that an agency already has, so it knows nothing of Liên Thông and
uses only the standard library. It speaks of numbers, never of patients:

- ``GET  /api/v1/giuong-benh``                   beds by department
- ``GET  /api/v1/dot-kham/thong-ke?tu=…&den=…``  visits by diagnosis between two days
- ``POST /api/v1/canh-bao``                      takes an outbreak alert and returns its receipt
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import zlib
from contextlib import closing
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

LARGEST_BODY_BYTES = 65_536  # an alert is a few lines; more is a mistake or an attack
BEDS_BY_DEPARTMENT = {"K01": 10, "K03": 80, "K11": 40, "K18": 60, "K19": 50}
VISITS = """
    SELECT ma_benh, ten_benh, count(*) FROM dot_kham
    WHERE ngay_vao BETWEEN ? AND ? GROUP BY ma_benh, ten_benh ORDER BY ma_benh
"""
DEPARTMENTS = "SELECT ma_khoa, ten_khoa FROM khoa ORDER BY ma_khoa"


class _Refusal(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class HospitalRequestHandler(BaseHTTPRequestHandler):
    """Answers one request from the hospital's database."""

    protocol_version = "HTTP/1.1"
    server_version = "BenhVienMinhHoa/1.0"
    database: ClassVar[Path]

    def do_GET(self) -> None:
        """Answer ``giuong-benh`` and ``dot-kham/thong-ke``."""
        target = urlsplit(self.path)
        routes = {
            "/api/v1/giuong-benh": self._beds,
            "/api/v1/dot-kham/thong-ke": self._visits,
        }
        self._answer(200, lambda: self._route(routes, target.path)(parse_qs(target.query)))

    def do_POST(self) -> None:
        """Answer ``canh-bao``."""
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 1 << 17))
        routes = {"/api/v1/canh-bao": self._alert}
        self._answer(201, lambda: self._route(routes, urlsplit(self.path).path)(body))

    @staticmethod
    def _route(routes: dict[str, Any], path: str) -> Any:
        if path not in routes:
            raise _Refusal(404, "Không có đường dẫn này")
        return routes[path]

    def _beds(self, _query: dict[str, list[str]]) -> dict[str, Any]:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            rows = database.execute(DEPARTMENTS).fetchall()
        beds = [
            {"ma_khoa": code, "ten_khoa": name, "so_giuong": BEDS_BY_DEPARTMENT[code]}
            for code, name in rows
        ]
        return {"giuong_benh": beds, "tong_so": sum(BEDS_BY_DEPARTMENT.values())}

    def _visits(self, query: dict[str, list[str]]) -> dict[str, Any]:
        begin, end = self._day(query, "tu"), self._day(query, "den")
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            rows = database.execute(VISITS, (begin, end)).fetchall()
        return {
            "tu": begin,
            "den": end,
            "benh": [{"ma": code, "ten": name, "so_dot": count} for code, name, count in rows],
        }

    @staticmethod
    def _day(query: dict[str, list[str]], name: str) -> str:
        try:
            return date.fromisoformat(query[name][0]).isoformat()
        except (KeyError, ValueError) as error:
            raise _Refusal(400, f"Tham số {name} phải là một ngày, ví dụ 2025-06-01") from error

    @staticmethod
    def _alert(body: bytes) -> dict[str, Any]:
        if len(body) > LARGEST_BODY_BYTES:
            raise _Refusal(413, "Cảnh báo quá dài")
        try:
            alert = json.loads(body)
        except ValueError as error:
            raise _Refusal(400, "Thân yêu cầu không phải JSON") from error
        if not isinstance(alert, dict) or "ma_benh" not in alert:
            raise _Refusal(400, "Thiếu ma_benh")
        return {"so_tiep_nhan": f"CB-{zlib.crc32(body):08X}", "ma_benh": alert["ma_benh"]}

    def _answer(self, status: int, work: Any) -> None:
        try:
            answer = work()
        except _Refusal as refusal:
            status, answer = refusal.status, {"loi": refusal.reason}
        body = json.dumps(answer, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: request lines of old clients may hold personal keys."""


def serve(database: Path, port: int) -> ThreadingHTTPServer:
    """Make the server on loopback; port 0 takes a free one."""
    handler = type("BoundHandler", (HospitalRequestHandler,), {"database": database})
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def main() -> None:
    """Run until stopped by a signal."""
    parser = argparse.ArgumentParser(description="Dịch vụ REST có sẵn của bệnh viện (trình diễn)")
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    serve(arguments.database, arguments.port).serve_forever()


if __name__ == "__main__":
    main()
