"""What a test of a flow needs: no server, no mock, nothing to start.

::

    from consumers.testing import run_inline, serve, settings_for

    async def test_it() -> None:
        async with serve({"/": "<p>hello</p>"}) as url:
            run = await run_inline(flow, {"url": url}, settings=settings_for(url))
        assert run.status == "succeeded"

`run_inline` runs a whole job, `fake_context` one handler, `serve` is a web site on loopback and `settings_for` lets
the fetcher reach it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import orjson
from aiohttp import web
from pydantic import BaseModel

from consumers.context import Failure
from consumers.execute import attempt
from consumers.flow import Flow
from consumers.inline.context import InlineBench, InlineContext, InlineResources, KeptBlobs
from consumers.inline.job import REVISION, InlineJob
from consumers.inline.progress import Progress
from consumers.inline.run import Entry, InlineRun, StillSnoozing, run_inline
from consumers.outcome import Outcome
from consumers.store import MemoryStore, NeedsDatabase, Store
from schemas.names import StageName
from schemas.settings import Settings
from streams.objects import IN_MEMORY

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
    def emitted(self) -> list[tuple[StageName, Any]]:
        """Stage and payload (JSON) of what the handler emitted while it ran; what it returned is in its outcome."""
        return [(task.stage, orjson.loads(task.data)) for task in list(self._bench.job.ready)[1:]]

    @property
    def said(self) -> list[Progress]:
        """What the handler said of its progress."""
        return self._bench.progress

    async def contributions(self) -> list[Any]:
        """What it collected for compile, as JSON."""
        return [one async for one in self._bench.kept.contributions.of(self.job_id, tenant=self.tenant)]


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
    kept, job = MemoryStore(), InlineJob(stage, b'{"v":1}')
    task = job.ready[0]
    async with InlineResources(settings or Settings(), KeptBlobs(IN_MEMORY), store or kept) as resources:
        bench = InlineBench(
            flow.name, job, "0-fake", orjson.dumps(asked), resources, kept, f"00-{1:032x}-{1:016x}-00",
            failures=list(failures),
        )  # fmt: skip
        for ordinal, one in enumerate(collected):
            await kept.contributions.put(
                "0-fake", 0, ordinal, one.model_dump(mode="json"), tenant=bench.tenant, revision=REVISION
            )
        if checkpointed is not None:
            bench.checkpoints[task.number] = orjson.dumps(checkpointed)
        yield FakeContext(bench, flow.by_name[stage], task)


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
