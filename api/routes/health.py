"""``/health /health/ready /metrics /problems`` at the root."""

import asyncio
from collections.abc import Awaitable
from typing import Final

from fastapi import APIRouter, Request
from sqlalchemy import text
from starlette.responses import Response

from api.auth import Reader
from api.json_response import Json
from api.metrics import exposition
from api.problems import KINDS, Problem
from api.services import Services, services_of

router = APIRouter(tags=["health"])

CHECK_S: Final = 3.0


@router.get("/health")
async def health() -> Response:
    """The process is up; says nothing of what it needs."""
    return Json({"status": "up"})


@router.get("/health/ready")
async def ready(request: Request) -> Response:
    """Redis and PostgreSQL answer; 503 with what does not."""
    services = services_of(request)
    redis, postgres = await asyncio.gather(_said(services.client.ping()), _said(_query(services)))
    checks = {"redis": redis, "postgresql": postgres}
    away = [name for name, said in checks.items() if said != "ok"]
    if away:
        raise Problem("unavailable", f"{' and '.join(away)} did not answer; see `checks`", extra={"checks": checks})
    return Json({"status": "ready", "checks": checks})


@router.get("/metrics")
async def metrics(request: Request, _: Reader) -> Response:
    """Prometheus text format."""
    return Response(await exposition(services_of(request)), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/problems/{name}")
async def about_problem(name: str) -> Response:
    """What a problem's `type` means."""
    kind = KINDS.get(name)
    if kind is None:
        raise Problem("not-found", f"there is no problem {name[:60]!r}")
    return Json({"type": f"/problems/{name}", "title": kind.title, "status": kind.status, "about": kind.about})


async def _query(services: Services) -> None:
    async with services.store.database.begin() as session:
        await session.execute(text("SELECT 1"))


async def _said(check: Awaitable[object]) -> str:
    try:
        async with asyncio.timeout(CHECK_S):
            await check
    except TimeoutError:
        return f"no answer within {CHECK_S:g} s"
    except Exception as error:  # noqa: BLE001 - any failure is the answer
        # Not its text: it may name hosts and users to whoever may ask for health.
        return f"failed ({type(error).__name__})"
    return "ok"
