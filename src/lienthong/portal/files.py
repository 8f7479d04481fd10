"""Static files under addresses that name their content, so that browsers keep them for good.

files.address("portal.css")      # /static/3f9c01d2a4b7/portal.css
"""

from __future__ import annotations

import mimetypes
from hashlib import sha256
from importlib.resources import files as package_files

from starlette.requests import Request
from starlette.responses import Response

from lienthong.errors import PageUnknown, PortalFilesMissing

FOR_GOOD = "public, max-age=31536000, immutable"
NEEDED = ("portal.css", "portal.js", "vendor/htmx.js", "vendor/be-vietnam-pro-regular.woff2")
_TYPES = {".woff2": "font/woff2", ".js": "text/javascript", ".css": "text/css"}


class StaticFiles:
    """All static files, in memory: some two hundred kilobytes. Raises PortalFilesMissing."""

    def __init__(self) -> None:
        root = package_files("lienthong.portal").joinpath("static")
        self._contents = {each.name: each.read_bytes() for each in root.iterdir() if each.is_file()}
        vendor = root.joinpath("vendor")
        if vendor.is_dir():
            for each in vendor.iterdir():
                self._contents[f"vendor/{each.name}"] = each.read_bytes()
        for name in NEEDED:
            if name not in self._contents:
                raise PortalFilesMissing(name=name)
        # One mark for all: the stylesheet names fonts by a relative address.
        whole = b"".join(name.encode() + self._contents[name] for name in sorted(self._contents))
        self._mark = sha256(whole).hexdigest()[:12]

    def address(self, name: str) -> str:
        if name not in self._contents:
            raise KeyError(name)
        return f"/static/{self._mark}/{name}"

    async def serve(self, request: Request) -> Response:
        """The route ``/static/{mark}/{name}``; an old mark gets the file of today, not for good."""
        name = request.path_params["name"]
        content = self._contents.get(name)
        if content is None:
            raise PageUnknown()
        kind = _TYPES.get("." + name.rpartition(".")[2]) or mimetypes.guess_type(name)[0]
        current = request.path_params["mark"] == self._mark
        headers = {"Cache-Control": FOR_GOOD if current else "no-cache"}
        return Response(content, media_type=kind or "application/octet-stream", headers=headers)
