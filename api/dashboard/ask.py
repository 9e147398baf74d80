"""Asking the API from a page: the very routes, in process, as the person who looks at the page.

So a page shows what the API shows, and a change passes the same checks, has the same effect and is written to the same
audit log, whichever way it came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import orjson

from api.auth import CALLER
from api.problems import KINDS, Problem
from api.views import API

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import HTTPConnection
    from starlette.types import Message

    from api.auth import Caller


class Asker:
    """Asks as one caller."""

    def __init__(self, connection: HTTPConnection, caller: Caller) -> None:
        self._app = connection.app
        self._scope = connection.scope
        self._caller = caller

    async def get(self, path: str, **query: Any) -> Any:
        """What ``GET /api/v1/<path>`` answers; arguments that are None or empty are left out.

        Raises:
            Problem: As the route says.
        """
        return await self.send("GET", path, query)

    async def send(self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        """What the API answers, None when that is nothing.

        Raises:
            Problem: As the route says.
        """
        sent = b"" if body is None else orjson.dumps(body)
        given = {name: _text(value) for name, value in (query or {}).items() if value not in {None, ""}}
        scope = {
            "type": "http", "asgi": self._scope["asgi"], "http_version": "1.1", "method": method, "scheme": "http",
            "path": f"{API}/{path}", "raw_path": quote(f"{API}/{path}").encode(), "root_path": "",
            "query_string": urlencode(given).encode(), "client": self._scope.get("client"),
            "server": self._scope.get("server"), CALLER: self._caller,
            "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(sent)).encode())],
        }  # fmt: skip
        status, parts = 500, []
        is_read = False

        async def receive() -> Message:
            nonlocal is_read
            if is_read:
                return {"type": "http.disconnect"}
            is_read = True
            return {"type": "http.request", "body": sent, "more_body": False}

        async def take(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))

        await self._app(scope, receive, take)
        answered = b"".join(parts)
        answer = orjson.loads(answered) if answered else None
        if status >= 400:  # noqa: PLR2004 - where errors begin
            raise _problem(answer)
        return answer


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _problem(answer: Any) -> Problem:
    name = answer["type"].rpartition("/")[2]
    known = ("type", "title", "status", "detail", "instance", "errors")
    extra = {key: value for key, value in answer.items() if key not in known}
    return Problem(
        name if name in KINDS else "internal", answer["detail"], errors=answer.get("errors", ()), extra=extra
    )
