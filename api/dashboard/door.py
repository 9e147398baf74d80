"""Signing in and out, one-use tickets, and the files that pages need."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from api.auth import ANONYMOUS
from api.bodies import fit, read_json
from api.dashboard.render import asset, page
from api.dashboard.visit import CSRF_FIELD, CSRF_HEADER, set_cookie, visit_of
from api.json_response import Json
from api.problems import Problem
from api.services import services_of
from api.sessions import TICKET_S
from schemas.jobs import Asked

router = APIRouter(include_in_schema=False)

_ASSETS: Final = {
    "app.css": "text/css", "common.js": "text/javascript", "overview.js": "text/javascript",
    "job.js": "text/javascript", "icon.svg": "image/svg+xml",
}  # fmt: skip
_FOREVER: Final = "public, max-age=31536000, immutable"


class TicketRequest(Asked):
    """The body of ``POST /ticket``: the path that the ticket is to open."""

    path: str


@router.get("/sign-in")
async def sign_in_form(request: Request, goto: Annotated[str, Query(max_length=2_000)] = "/") -> Response:
    """Asks for a key."""
    return page(await visit_of(request), "sign-in.html", goto=inner(goto), error="")


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Open a session for the holder of a key; the session id that the browser had before is worth nothing then."""
    visit = await visit_of(request)
    form = await request.form()
    goto = inner(str(form.get("goto", "/")))
    visit.check_csrf(str(form.get(CSRF_FIELD, "")))
    services = services_of(request)
    address = request.client.host if request.client is not None else ""
    if wait_s := await services.sessions.wait_s(address):
        error = f"Too many keys were wrong. Try again in {wait_s} s."
        answer = page(visit, "sign-in.html", status=429, goto=goto, error=error)
        answer.headers["Retry-After"] = str(wait_s)
        return answer
    text = str(form.get("key", "")).strip()
    key = await services.api_keys.find(text)
    if key is None:
        await services.sessions.failed(address)
        error = "This key is not one of ours, or was revoked."
        return page(visit, "sign-in.html", status=401, goto=goto, error=error)
    if not {"read", "admin"} & set(key.scopes):
        error = "This key may not read: the dashboard needs one with the scope read."
        return page(visit, "sign-in.html", status=403, goto=goto, error=error)
    await services.sessions.end(visit.session_id)
    answer = RedirectResponse(goto, 303)
    set_cookie(request, answer, await services.sessions.begin(text))
    return answer


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session."""
    visit = await visit_of(request)
    visit.check_csrf(str((await request.form()).get(CSRF_FIELD, "")))
    await services_of(request).sessions.end(visit.session_id)
    answer = RedirectResponse("/sign-in", 303)
    answer.headers["Clear-Site-Data"] = '"cookies", "storage"'
    return answer


@router.post("/ticket")
async def ticket(request: Request) -> Response:
    """A ticket that opens an event stream or a WebSocket, once and soon; null where there are no keys to ask for."""
    visit = await visit_of(request)
    visit.check_csrf(request.headers.get(CSRF_HEADER, ""))
    asked = fit(TicketRequest, await read_json(request), "the ticket")
    text = None
    if visit.who != ANONYMOUS:
        text = await services_of(request).sessions.ticket(visit.key_digest, asked.path)
    return Json({"ticket": text, "expires_in_s": TICKET_S})


@router.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    """A script, a style sheet or a picture."""
    media_type = _ASSETS.get(name)
    if media_type is None:
        raise Problem("not-found", f"there is no /static/{name[:60]}")
    kept = _FOREVER if request.query_params.get("v") else "no-cache"
    return Response(asset(name), media_type=media_type, headers={"Cache-Control": kept})


def inner(path: str) -> str:
    """A path of ours to go to; anything else is the overview."""
    is_ours = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if is_ours else "/"
