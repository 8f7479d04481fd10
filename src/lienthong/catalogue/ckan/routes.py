"""CKAN's Action API over HTTP: GET with parameters, POST with JSON or a form.

Answers and errors stand in CKAN's own envelope, whose words CKAN's clients know:
``{"success": false, "error": {"__type": "Not Found Error", "message": …}}``.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lienthong.catalogue.ckan.actions import Actions
from lienthong.errors import EntryUnknown, LienthongError, QueryInvalid

LARGEST_QUESTION_BYTES = 1 << 16


def ckan_routes(actions: Actions, url: str) -> list[Route]:
    """Return the routes over ``actions``; ``url`` is the public root, for the links to help."""

    async def answer(request: Request) -> Response:
        name = request.path_params["action"]
        if name not in actions:
            return _json(f"Bad request - Action name not known: {name[:100]}", 400)
        help_ = f"{url}/api/3/action/help_show?name={name}"
        try:
            asked = await _asked(request)
            result = await run_in_threadpool(actions.call, name, asked)
        except LienthongError as error:
            said, status = _error(name, error)
            return _json({"help": help_, "success": False, "error": said}, status)
        except _NotJson as error:
            return _json(f"Bad request - {error}", 400)
        return _json({"help": help_, "success": True, "result": result})

    async def versions(_request: Request) -> Response:
        return _json({"version": 3})

    paths = ("/api/3/action/{action}", "/api/action/{action}")
    return [
        *(Route(path, answer, methods=["GET", "POST"]) for path in paths),
        *(Route(path, versions, methods=["GET"]) for path in ("/api", "/api/3")),
    ]


class _NotJson(Exception):
    """The body of a POST cannot be read."""


async def _asked(request: Request) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        asked[name] = [*_several(asked.get(name)), value] if name == "fq_list" else value
    if request.method == "POST":
        body = await _body(request)
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
            # CKAN's oldest clients put the JSON where a form's field would be.
            if len(pairs) != 1 or pairs[0][1] or not pairs[0][0].startswith("{"):
                return asked | dict(pairs)
            body = pairs[0][0].encode()
        asked |= _read(body)
    return asked


async def _body(request: Request) -> bytes:
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > LARGEST_QUESTION_BYTES:
            raise _NotJson(f"over {LARGEST_QUESTION_BYTES} bytes")
    return bytes(read)


def _read(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _NotJson("JSON Error: Error decoding JSON data") from error
    if not isinstance(value, dict):
        raise _NotJson("Request data JSON decoded is not a dictionary")
    return value


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _error(name: str, error: LienthongError) -> tuple[dict[str, Any], int]:
    text = f"{error.message('en')} {error.message('vi')}"
    if isinstance(error, EntryUnknown):
        return {"__type": "Not Found Error", "message": f"Not found: {text}"}, 404
    if isinstance(error, QueryInvalid):
        if name == "package_search":
            return {"__type": "Search Query Error", "message": text}, 400
        return {"__type": "Validation Error", "message": text}, 409
    return {"__type": "Internal Server Error", "message": text}, error.status


def _json(value: Any, status: int = 200) -> Response:
    body = msgspec.json.encode(value)
    return Response(body, status, media_type="application/json;charset=utf-8")
