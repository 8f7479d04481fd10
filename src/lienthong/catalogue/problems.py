"""How the catalogue tells errors over HTTP: problems of RFC 9457, in both languages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lienthong.errors import LienthongError

Handler = Callable[[Request], Awaitable[Response]]


def telling(handler: Handler) -> Handler:
    """Answer our errors as problems."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except LienthongError as error:
            body = msgspec.json.encode(error.problem())
            return Response(body, error.status, media_type="application/problem+json")

    return answer
