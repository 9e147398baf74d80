"""The audit log's net: a change by the API that its route did not write down itself is written down here.

Routes of operations say precisely what they did (`api.audit.record`). For all others the log gets the route's name, the
path and who asked. Submissions are not in it: history has them, each with its key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.datastructures import QueryParams

from api import audit
from api.auth import SEEN, Caller
from api.views import API

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
PRECISE: Final = frozenset({"jobs", "events", "tasks", "dlq", "pauses", "purge", "limits", "workers", "streams"})
"""Resources whose routes write what is to be written, or only submit."""
_LEFT_OUT: Final = frozenset({"api", "v1"})
_FIRST_ERROR: Final = 400


class Trail:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; note it when it changed something and nobody said so."""
        path = str(scope.get("path", ""))
        is_meant = scope["type"] == "http" and scope["method"] in CHANGING and path.startswith(f"{API}/")
        if not is_meant or path.removeprefix(f"{API}/").partition("/")[0] in PRECISE:
            await self._app(scope, receive, send)
            return
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with audit.watched() as told:
            await self._app(scope, receive, watched)
        caller = scope.get(SEEN)
        is_dry = QueryParams(scope["query_string"]).get("dry_run", "") in {"true", "1"}
        if told.is_told or is_dry or not isinstance(caller, Caller) or not 0 < status < _FIRST_ERROR:
            return
        route = getattr(scope.get("route"), "path", path)
        services = scope["app"].state.services
        target = path.removeprefix(f"{API}/")[:300]
        await audit.record(services, caller.actor, action_of(route, scope["method"]), target, tenant=caller.tenant)


def action_of(route: str, method: str) -> str:
    """A route as the audit log names it: ``schedules.pause``, ``companies.delete``."""
    parts = [one for one in route.split("/") if one and one not in _LEFT_OUT]
    named = [one for one in parts if not one.startswith("{")]
    is_verb = method == "POST" and len(named) > 1
    return ".".join(named if is_verb else [*named, method.lower()])
