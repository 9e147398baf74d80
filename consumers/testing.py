"""What a test of a flow needs: no server, no mock, nothing to start.

::

    from consumers.testing import run_inline, serve, settings_for

    async def test_it() -> None:
        async with serve({"/": "<p>hello</p>"}) as url:
            run = await run_inline(flow, {"url": url}, settings=settings_for(url))
        assert run.status == "succeeded"

`run_inline` runs a whole job, `fake_context` one handler, `run_bundled` a dead letter that was exported, `serve` is a
web site on loopback and `settings_for` lets the fetcher reach it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from aiohttp import web
from pydantic import BaseModel

from consumers.bundle import BadBundle, read_bundle, try_task
from consumers.context import Failure
from consumers.execute import attempt
from consumers.flow import Flow, installed
from consumers.inline.context import InlineContext
from consumers.inline.one import one_task
from consumers.inline.progress import Progress
from consumers.inline.run import Entry, InlineRun, StillSnoozing, run_inline
from consumers.outcome import Outcome
from consumers.store import MemoryStore, NeedsDatabase, Store
from schemas.names import StageName
from schemas.settings import Settings

__all__ = [
    "Entry",
    "FakeContext",
    "InlineRun",
    "MemoryStore",
    "NeedsDatabase",
    "Progress",
    "StillSnoozing",
    "failure",
    "fake_context",
    "run_bundled",
    "run_inline",
    "serve",
    "settings_for",
]


class FakeContext(InlineContext):
    """A context of no job: one handler at a time can be tried with it."""

    async def run(self, payload: BaseModel) -> Outcome:
        """Run the stage's handler on a payload.

        Raises:
            Exception: What the handler raised.
        """
        return await attempt(self._stage, payload, self)

    @property
    def said(self) -> list[Progress]:
        """What the handler said of its progress."""
        return self._bench.progress


@asynccontextmanager
async def fake_context(
    flow: Flow,
    stage: StageName,
    *,
    spec: BaseModel | Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    collected: Iterable[BaseModel] = (),
    failures: Iterable[Failure] = (),
    checkpointed: Any = None,
    store: Store | None = None,
) -> AsyncIterator[FakeContext]:
    """A context to try one handler with.

    ::

        async with fake_context(flow, "crawl", spec={"url": url}) as ctx:
            outcome = await ctx.run(Page(url=url))

    Args:
        flow: The flow that declares the stage.
        stage: The handler's.
        spec: What `ctx.spec` gives.
        settings: Read from the environment when None.
        collected: What compile is to find.
        failures: The dead letters that compile is to find; see `failure`.
        checkpointed: What an earlier delivery of the task is to have kept.
        store: As in `run_inline`.
    """
    asked = spec.model_dump(mode="json") if isinstance(spec, BaseModel) else dict(spec or {})
    async with one_task(
        FakeContext, flow, stage, spec=orjson.dumps(asked), settings=settings,
        collected=[one.model_dump(mode="json") for one in collected], failures=failures, checkpointed=checkpointed,
        store=store,
    ) as context:  # fmt: skip
        yield context


async def run_bundled(
    path: str | Path, *, task: int | None = None, flow: Flow | None = None, settings: Settings | None = None
) -> Outcome:
    """Run a task of a job bundle (`millrace job export`) with the code as it is now: a dead letter as a test.

    Args:
        path: The bundle.
        task: Number of the task; the only one that failed when None.
        flow: An installed one when None.
        settings: Read from the environment when None.

    Raises:
        BadBundle: The file is no bundle, or does not say which task is meant.
        Exception: What the handler raised.
    """
    bundle = read_bundle(Path(path))
    if task is None and len(bundle.dead) != 1:
        raise BadBundle(f"{len(bundle.dead)} tasks of {path} failed: say which one with task=")
    number = bundle.dead[0].number if task is None else task
    tried = await try_task(bundle, number, flow or installed().get(bundle.facts.flow), settings=settings)
    if tried.outcome is None:
        assert tried.error is not None  # noqa: S101 - one of both
        raise tried.error
    return tried.outcome


def failure(stage: StageName, payload: BaseModel, *, reason: str, error: str = "", task: int = 1) -> Failure:
    """A dead letter, as `ctx.failures` gives it."""
    return Failure(task, stage, reason, error or reason, payload.model_dump_json().encode())


def settings_for(*urls: str, **fields: Any) -> Settings:
    """Settings under which jobs may reach these addresses; other fields by name."""
    hosts = tuple(f"{parts.hostname}:{parts.port or 443}" for parts in map(urlsplit, urls))
    return Settings(allow_hosts=hosts, **fields)


@asynccontextmanager
async def serve(pages: Mapping[str, str | bytes | int]) -> AsyncIterator[str]:
    """A web site on loopback, for as long as the block runs; yields its address, with a final slash.

    Args:
        pages: Path to body (text is served as HTML, bytes as they are), or to a status such as 503. What is not
            listed answers 404.
    """

    async def answer(request: web.Request) -> web.Response:
        page = pages.get(request.path_qs, pages.get(request.path, 404))
        if isinstance(page, int):
            return web.Response(status=page)
        if isinstance(page, bytes):
            return web.Response(body=page, content_type="application/octet-stream")
        return web.Response(text=page, content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/"
    finally:
        await runner.cleanup()
