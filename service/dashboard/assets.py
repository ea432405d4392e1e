"""Static files: styles and scripts, read once, at addresses that change when one of them does."""

from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from mimetypes import guess_type

from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

POLICY = "default-src 'none'; frame-ancestors 'none'"
"""Of a file that somebody opens as a page."""
FOR_GOOD = "public, max-age=31536000, immutable"
"""How long a file may be kept whose address is made of what the files hold."""
FOR_NOW = "no-cache"
"""The same for an address of another release's: it is asked again each time."""
DIGITS = 16
"""Of the digest in an address."""


class Asset(Struct, frozen=True):
    """A file as it is sent."""

    body: bytes
    media_type: str


class Assets:
    """The files of the folder ``static``. All are under one digest, so that they can name each other."""

    def __init__(self) -> None:
        folder = files("service.dashboard").joinpath("static")
        self._assets = {
            file.name: Asset(file.read_bytes(), media_type_of(file.name))
            for file in sorted(folder.iterdir(), key=lambda file: file.name)
        }
        digest = sha256()
        for name, asset in self._assets.items():
            digest.update(b"%s\0%d\0%s" % (name.encode(), len(asset.body), asset.body))
        self.digest = digest.hexdigest()[:DIGITS]

    def address(self, name: str) -> str:
        """Return where a file is served.

        Raises:
            KeyError: There is no such file.
        """
        self._assets[name]
        return f"/static/{self.digest}/{name}"

    def found(self, name: str) -> Asset | None:
        """Return a file, None where there is none of that name."""
        return self._assets.get(name)


def media_type_of(name: str) -> str:
    """Return the media type of a file by its name."""
    kind = guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


async def static(request: Request) -> Response:
    """Give a file; one that another release's page asks for is the file of this release."""
    assets: Assets = request.app.state.dashboard.assets
    asset = assets.found(request.path_params["name"])
    if asset is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    is_current = request.path_params["digest"] == assets.digest
    headers = {
        "Content-Security-Policy": POLICY,
        "Cache-Control": FOR_GOOD if is_current else FOR_NOW,
        "Referrer-Policy": "no-referrer",
    }
    return Response(asset.body, media_type=asset.media_type, headers=headers)
