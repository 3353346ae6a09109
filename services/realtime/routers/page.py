"""`GET /` and `/assets/`: the page to play on. Its files may change with every start, so browsers ask each time."""

import os
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

WEB = Path(__file__).parents[1] / "web"
_HEADERS = {
    "Cache-Control": "no-cache",
    # What the page may load, it says itself; that it may not be framed, only a header can say.
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

router = APIRouter(include_in_schema=False)


class _FreshFiles(StaticFiles):
    """Static files that browsers keep, but do not use without asking whether they changed."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_HEADERS)
        return response


@router.get("/")
async def index() -> FileResponse:
    """The page."""
    return FileResponse(WEB / "index.html", headers=_HEADERS)


def mount_assets(app: FastAPI) -> None:
    """Serve the page's files under /assets/."""
    app.mount("/assets", _FreshFiles(directory=WEB), name="assets")
