"""The management API: what ``lienthong`` commands ask of the running node, with OpenAPI.

Errors are RFC 9457 problem+json: ``code``, ``title``, ``detail`` (Vietnamese), ``detail_en``,
``remedy``, ``remedy_en``, and the exit code for commands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from lienthong import __version__
from lienthong.errors import LienthongError, NotFound, RequestMalformed
from lienthong.node.agreement_routes import agreement_routes
from lienthong.node.catalogue_routes import catalogue_routes
from lienthong.node.ledger_routes import ledger_routes
from lienthong.node.service_routes import service_routes
from lienthong.node.status_routes import status_routes
from lienthong.node.trace_routes import trace_routes

if TYPE_CHECKING:
    from lienthong.node.node import Node


_TEXTS = ("type", "title", "code", "detail", "detail_en", "remedy", "remedy_en")
_PROBLEM: dict[str, Any] = {
    "description": "RFC 9457 problem: why it was refused, and what to do",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": [*_TEXTS, "status", "exit_code"],
                "properties": {
                    **{name: {"type": "string"} for name in _TEXTS},
                    **{name: {"type": "integer"} for name in ("status", "exit_code")},
                },
            }
        }
    },
}


def problem(error: LienthongError) -> dict[str, Any]:
    """The RFC 9457 object of an error, with the exit code of a command that meets it."""
    return {**error.problem(), "exit_code": error.exit_code}


def management_app(node: Node) -> FastAPI:
    """The application on the Unix socket."""
    app = FastAPI(
        title="Liên Thông — quản trị nút · node management",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        responses={"default": _PROBLEM, 422: _PROBLEM},
    )
    app.include_router(status_routes(node))
    app.include_router(service_routes(node.administration))
    app.include_router(agreement_routes(node.agreements))
    app.include_router(catalogue_routes(node))
    app.include_router(ledger_routes(node))
    app.include_router(trace_routes(node))

    @app.exception_handler(LienthongError)
    async def _tell(_request: Request, error: LienthongError) -> JSONResponse:
        return _problem_response(error)

    @app.exception_handler(RequestValidationError)
    async def _tell_fields(_request: Request, error: RequestValidationError) -> JSONResponse:
        fields = "; ".join(
            f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}"
            for each in error.errors()[:20]
        )
        return _problem_response(RequestMalformed(fields=fields))

    @app.exception_handler(404)
    async def _tell_unknown(request: Request, _error: Exception) -> JSONResponse:
        return _problem_response(NotFound(name=f"{request.method} {request.url.path}"))

    @app.exception_handler(Exception)  # a defect of ours; the server logs it with its traceback
    async def _tell_defect(_request: Request, _error: Exception) -> JSONResponse:
        return _problem_response(LienthongError())

    return app


def _problem_response(error: LienthongError) -> JSONResponse:
    return JSONResponse(
        problem(error), status_code=error.status, media_type="application/problem+json"
    )
