"""The static files, which browsers may keep for ever: their addresses change with what is in them."""

import os

from starlette import staticfiles
from starlette.responses import Response
from starlette.types import Scope


class StaticFiles(staticfiles.StaticFiles):
    """As Starlette's, with the headers of files that never change."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        answer = super().file_response(full_path, stat_result, scope, status_code)
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer
