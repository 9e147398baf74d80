"""The HTTP application."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from api import problems
from api.bodies import describe_bodies
from api.dashboard import changes, door, insight, pages
from api.dashboard.board import Board
from api.gate import BODY_BYTES, BODY_S, Gate
from api.routes import (
    analytics,
    audit_reports,
    audits,
    collected_documents,
    collections,
    companies,
    company_statements,
    contracts,
    control,
    dlq,
    documents,
    emails,
    events,
    filings_tasks,
    health,
    incidents,
    job_parts,
    jobs,
    leads,
    limits,
    live,
    operations,
    replays,
    schedules,
    streams,
    tasks,
    uploads,
    websites,
)
from api.services import opened
from api.trail import Trail
from api.views import API
from consumers.flow import Flows, installed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from schemas.settings import Settings

ASKED_HEADERS: Final = (
    "Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-API-Key", "traceparent", "ce-specversion",
    "ce-type", "ce-source", "ce-id", "ce-traceparent",
)  # fmt: skip
SHOWN_HEADERS: Final = ("Location", "X-Trace-Id", "Retry-After")


class Application(FastAPI):
    """FastAPI, whose description has the bodies that routes read themselves."""

    def openapi(self) -> dict[str, Any]:
        """The API's description."""
        if self.openapi_schema is None:
            describe_bodies(super().openapi())
        return super().openapi()


def create_app(
    settings: Settings,
    redis_url: str,
    database_url: str | None,
    flows: Flows | None = None,
    *,
    body_bytes: int = BODY_BYTES,
    body_s: float = BODY_S,
) -> FastAPI:
    """The application; its connections open when the server starts it and close when the server stops.

    Args:
        settings: As read from the environment. Without API keys everyone may ask when `api_host` is loopback, nobody
            else ever (`api.auth.check_listen` refuses to start like that).
        redis_url: Of the log.
        database_url: Of the store; None for a log without results and history.
        flows: That may be submitted; those installed when None.
        body_bytes: Longest request body.
        body_s: Seconds within which a body must have arrived.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened(settings, redis_url, database_url, flows or installed()) as services:
            app.state.services = services
            app.state.board = Board(services)
            yield
            await app.state.board.close()

    app = Application(
        title="Millrace",
        version=version("millrace"),
        description="Jobs that crawl, classify, download, extract, compile and notify.",
        lifespan=lifespan,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    problems.install(app)
    for routes in (
        analytics,
        audit_reports,
        audits,
        collected_documents,
        collections,
        companies,
        company_statements,
        contracts,
        control,
        incidents,  # before the letters, whose ids would take its place
        dlq,
        documents,
        emails,
        events,
        filings_tasks,
        job_parts,
        jobs,
        leads,
        limits,
        live,
        operations,
        replays,
        schedules,
        streams,
        tasks,
        uploads,
        websites,
    ):
        app.include_router(routes.router, prefix=API)
    for router in (live.root, health.router, leads.router, door.router, changes.router, pages.router, insight.router):
        app.include_router(router)
    app.add_middleware(Trail)
    app.add_middleware(
        Gate, origins=settings.cors_origins, body_bytes=body_bytes, body_s=body_s, uploads=f"{API}/uploads",
        forms=("/do/", "/sign-in", "/sign-out"),
    )  # fmt: skip
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=ASKED_HEADERS,
            expose_headers=SHOWN_HEADERS,
        )
    return app
