"""Pages for people: the list of jobs, a job as it runs, what the API has, and signing in with a key.

Rendered here, with one plain script and one style sheet; nothing comes from elsewhere, so it works offline under a
strict content security policy.
"""

from importlib.resources import files
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from api.auth import COOKIE, Caller, identify
from api.bodies import fit, read_json
from api.html import docs_page, job_page, jobs_page, sign_in_page
from api.job_list import page_of_jobs
from api.json_response import Json
from api.look import find
from api.problems import Problem
from api.services import services_of
from schemas.jobs import Asked, JobStatusName

router = APIRouter(include_in_schema=False)

_ASSETS: Final = {"app.js": "text/javascript", "app.css": "text/css"}
SIGNED_IN_S: Final = 12 * 3_600


class SignIn(Asked):
    """The body of a sign-in."""

    key: str


@router.get("/")
async def jobs(
    request: Request,
    status: JobStatusName | None = None,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
) -> Response:
    """The list of jobs."""
    caller = await _reader(request)
    if caller is None:
        return RedirectResponse("/sign-in", 303)
    page = await page_of_jobs(services_of(request), caller.tenant, flow=None, status=status, cursor=cursor, limit=50)
    return _html(jobs_page(page.items, page.next, status))


@router.get("/jobs/{job_id}")
async def job(request: Request, job_id: str) -> Response:
    """A job, with its progress as it happens."""
    caller = await _reader(request)
    if caller is None:
        return RedirectResponse("/sign-in", 303)
    found = await find(services_of(request), job_id, caller.tenant)
    return _html(job_page(found.view))


@router.get("/docs")
async def docs(request: Request) -> Response:
    """What the API has."""
    return _html(docs_page(request.app.openapi()))


@router.get("/sign-in")
async def sign_in_form() -> Response:
    """Asks for a key."""
    return _html(sign_in_page())


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Keep a key in a cookie that scripts cannot read, that no other site's request carries, and that only reads."""
    given = fit(SignIn, await read_json(request), "the sign-in")
    if await services_of(request).api_keys.find(given.key) is None:
        raise Problem("unauthenticated", "the API key is not one of ours, or was revoked")
    answer = Json({"signed_in": True})
    answer.set_cookie(
        COOKIE, given.key, max_age=SIGNED_IN_S, httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )
    return answer


@router.get("/static/{name}")
async def asset(name: str) -> Response:
    """A script or a style sheet."""
    media_type = _ASSETS.get(name)
    if media_type is None:
        raise Problem("not-found", f"there is no /static/{name[:60]}")
    body = (files("api") / "static" / name).read_bytes()
    return Response(body, media_type=media_type, headers={"Cache-Control": "no-cache"})


async def _reader(request: Request) -> Caller | None:
    try:
        caller = await identify(request)
    except Problem as problem:
        if problem.name == "unauthenticated":
            return None
        raise
    if not caller.may("read"):
        raise Problem("forbidden", "this needs the scope read")
    return caller


def _html(body: str) -> Response:
    return Response(body, media_type="text/html; charset=utf-8")
