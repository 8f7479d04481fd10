"""Calls a node as an agency's own software does: X-Road REST over plain HTTP on loopback."""

from __future__ import annotations

import http.client
import json
import shlex
from contextlib import closing
from dataclasses import dataclass
from typing import Any

CALL_SECONDS = 30


@dataclass(frozen=True)
class Call:
    """One request to a service; ``body`` is sent as JSON."""

    service: str
    path: str
    body: Any = None
    purpose: str | None = None
    user: str = "canbo01"
    dossier: str = "H37.2026-000123"

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"

    @property
    def target(self) -> str:
        return f"/r1/{self.service}{self.path}"

    def headers(self, client: str) -> dict[str, str]:
        """The X-Road headers of this call, made by ``client``."""
        headers = {"X-Road-Client": client, "X-Road-UserId": self.user}
        if self.dossier:
            headers["X-Road-Issue"] = self.dossier
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        if self.purpose is not None:
            headers["Lienthong-Purpose"] = self.purpose
        return headers


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        """The body as JSON; its text where it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return self.body.decode(errors="replace")

    @property
    def error(self) -> str | None:
        """X-Road's error code; None where the answer is the service's own."""
        return self.headers.get("x-road-error")

    @property
    def message_id(self) -> str:
        """The id under which both nodes logged the exchange."""
        return self.headers.get("x-road-request-id", "")


@dataclass(frozen=True)
class Desk:
    """The software of one agency, which knows one thing: the port of its own node."""

    client: str
    port: int

    def send(self, call: Call) -> Answer:
        """Make the call. Raises OSError or HTTPException where the node does not answer."""
        body = None if call.body is None else json.dumps(call.body, ensure_ascii=False).encode()
        with closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=CALL_SECONDS)
        ) as connection:
            connection.request(call.method, call.target, body, call.headers(self.client))
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, response.read())

    def curl(self, call: Call) -> str:
        """The same call as a line to copy."""
        words = ["curl", "-sS", f"http://127.0.0.1:{self.port}{call.target}"]
        for name, value in call.headers(self.client).items():
            words += ["-H", f"{name}: {value}"]
        if call.body is not None:
            words += ["-d", json.dumps(call.body, ensure_ascii=False)]
        return shlex.join(words)
