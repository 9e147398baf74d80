"""The API as its clients meet it: a real uvicorn on loopback, with a real worker behind it when a test wants one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import aiohttp
import uvicorn
from pydantic import BaseModel
from sqlalchemy import text

from api.app import create_app
from api.server import Server
from api.services import Services
from consumers.context import StageContext
from consumers.flow import Flow, Flows
from consumers.net.politeness import Politeness, PolitenessPolicy
from consumers.noop import flow as noop
from consumers.outcome import Done, Emit, Outcome
from consumers.resources import SharedResources
from consumers.stage import stage
from consumers.worker.follow import HistoryFollower
from consumers.worker.replaying import Replayer
from consumers.worker.worker import Worker, WorkerOptions
from schemas.jobs import Asked
from schemas.names import POOLS
from schemas.settings import Settings
from schemas.stages import CompileRequest, Payload
from streams.errors import PermanentError


class ProbeSpec(Asked):
    """What a job of the flow `probe` is to do."""

    url: str | None = None
    urls: tuple[str, ...] = ()
    act: Literal["", "wait", "die", "die once", "miss"] = ""
    say: str = "hello"


class Probe(Payload):
    act: str = ""
    say: str = ""


class ProbeResult(BaseModel):
    said: list[str]


@dataclass
class Gate:
    """Holds the handlers that are told to wait, until it is opened."""

    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    died: set[str] = field(default_factory=set)


def probe_flow(gate: Gate) -> Flow:
    """A flow that waits, dies or leaves something out, as its spec says."""

    @stage(name="crawl", accepts=Probe, emits=("extract",))
    async def crawl(probe: Probe, ctx: StageContext) -> Outcome:
        ctx.progress("looking around", 25.0)
        ctx.log.info("looking around", say=probe.say)
        if probe.act == "wait":
            gate.reached.set()
            await gate.is_open.wait()
        return Done((Emit("extract", probe), Emit("extract", Probe(say="two"))))

    @stage(name="extract", accepts=Probe)
    async def extract(probe: Probe, ctx: StageContext) -> Outcome:
        dies = probe.act == "die" or (probe.act == "die once" and ctx.job_id not in gate.died)
        if dies:
            gate.died.add(ctx.job_id)
            raise PermanentError("the site refuses us", reason="http_403")
        await ctx.collect(probe)
        kept = await ctx.blobs.put(probe.say.encode(), tenant=ctx.tenant, content_type="text/html")
        await ctx.store.artifacts.put(
            ctx.job_id, ctx.task, f"{probe.say}.html", tenant=ctx.tenant, sha256=kept.sha256,
            content_type=kept.content_type, size_bytes=kept.size_bytes,
        )  # fmt: skip
        return Done(missing=("a page",) if probe.act == "miss" else ())

    @stage(name="compile", accepts=CompileRequest)
    async def compile_probe(_: CompileRequest, ctx: StageContext) -> Outcome:
        return Done(result=ProbeResult(said=sorted([probe.say async for probe in ctx.collected(Probe)])))

    def first(spec: ProbeSpec) -> Probe:
        return Probe(act=spec.act, say=spec.say)

    return Flow(name="probe", spec=ProbeSpec, stages=(crawl, extract, compile_probe), first=first)


async def until(is_so: Callable[[], Awaitable[bool]], within_s: float = 20.0) -> None:
    """Look again and again until it is so."""
    async with asyncio.timeout(within_s):
        while True:
            if await is_so():
                return
            await asyncio.sleep(0.01)


Urls = tuple[str, str, str | None]
"""Of the API, of Redis, of PostgreSQL."""


@dataclass
class Answer:
    """What the API answered."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def fields(self) -> list[str]:
        """The fields that a problem names."""
        return [error["field"] for error in self.body["errors"]]


class ApiPlace:
    """A running API. `call` asks it; `worker` makes jobs run."""

    def __init__(
        self,
        urls: Urls,
        services: Services,
        settings: Settings,
        flows: Flows,
        gate: Gate,
        session: aiohttp.ClientSession,
    ) -> None:
        self.url, self.redis_url, self.database_url = urls
        self.services = services
        self.settings = settings
        self.gate = gate
        self.session = session
        self.key: str | None = None
        self.server: Server | None = None
        self._flows = flows

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Ask; a path without a leading ``/`` is below ``/api/v1/``. `body` goes as JSON, `data` as it is."""
        headers = options.pop("headers", {})
        if self.key is not None:
            headers = {"Authorization": f"Bearer {self.key}", **headers}
        if body is not None:
            options["json"] = body
        url = self.url + (path if path.startswith("/") else f"/api/v1/{path}")
        async with self.session.request(method, url, headers=headers, **options) as answer:
            is_json = "json" in answer.content_type
            read: Any = await answer.json() if is_json else await answer.text()
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json", read
                assert read["status"] == answer.status
            return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, read)

    async def submit(self, act: str = "", **job: Any) -> str:
        """Submit a probe; answers its id."""
        answer = await self.call("POST", "jobs", {"flow": "probe", "spec": {"act": act}, **job})
        assert answer.status == 202, answer.body
        job_id: str = answer.body["job_id"]
        return job_id

    async def become(self, tenant: str) -> None:
        """Ask as this tenant from now on, with a key for everything: the database is shared, tenants are not."""
        self.key, _ = await self.services.api_keys.create("test", tenant=tenant, scopes=("admin",))

    async def age_history(self, job_id: str) -> None:
        """Make history believe that a job is an hour older."""
        async with self.services.store.database.begin() as session:
            statement = "UPDATE jobs SET created_at = created_at - interval '1 hour' WHERE job_id = :job_id"
            await session.execute(text(statement), {"job_id": job_id})

    def stop(self) -> None:
        """Tell the server to stop, as a signal would."""
        assert self.server is not None
        self.server.should_exit = True

    async def waiters(self, at_least: int = 1) -> None:
        """Wait until so many clients follow jobs."""

        async def are_there() -> bool:
            return self.services.hub.waiters >= at_least

        await until(are_there)

    async def ended(self, job_id: str) -> dict[str, Any]:
        """The job when it has ended."""
        answer = await self.call("GET", f"jobs/{job_id}?wait=30")
        job: dict[str, Any] = answer.body
        assert job["finished_at"], job
        return job

    @asynccontextmanager
    async def worker(self, *, with_history: bool = False, is_polite: bool = True) -> AsyncIterator[Worker]:
        """A worker beside the API, with history also one that carries replays out."""
        resources = SharedResources(self.settings, self.database_url)
        if not is_polite:
            resources.politeness = Politeness(PolitenessPolicy(delay_s=0.0, max_concurrent=8))
        async with resources:
            options = WorkerOptions(follows=(HistoryFollower, Replayer) if with_history else (), pools=POOLS)
            worker = Worker(
                self.settings, redis_url=self.redis_url, flows=self._flows, resources=resources, options=options
            )
            await worker.start()
            try:
                yield worker
            finally:
                self.gate.is_open.set()
                await worker.drain(5.0)


@asynccontextmanager
async def api_place(
    redis_url: str,
    database_url: str | None,
    namespace: str,
    home: Path,
    *,
    body_s: float = 30.0,
    more: Iterable[Flow] = (),
    **settings: Any,
) -> AsyncIterator[ApiPlace]:
    """A running API of a namespace, with `more` flows; other keywords are settings."""
    gate = Gate()
    flows = Flows([noop, probe_flow(gate), *more])
    made = Settings(namespace=namespace, home=home, lease_ms=2_000, **settings)
    app = create_app(made, redis_url, database_url, flows, body_s=body_s)
    # With the protocol named, asyncio turns Nagle's algorithm off; else each answer takes 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2)
    server = Server(config, app)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        assert not serving.done(), "the API did not start"
        await asyncio.sleep(0.01)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        async with aiohttp.ClientSession() as session:
            place = ApiPlace((url, redis_url, database_url), app.state.services, made, flows, gate, session)
            place.server = server
            yield place
    finally:
        server.should_exit = True
        await serving
