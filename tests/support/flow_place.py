"""A worker in this process that runs a flow against real servers, without the patience that sites deserve."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mode import Service

from consumers.audit.flow import flow as audit
from consumers.filings.flow import flow as filings
from consumers.flow import Flow, Flows
from consumers.net.fetch import Fetcher, FetcherConfig
from consumers.net.politeness import Politeness, PolitenessPolicy
from consumers.net.robots_cache import RobotsCache
from consumers.resources import SharedResources
from consumers.store import Store
from consumers.submit import submit
from consumers.worker.worker import Worker, WorkerOptions
from schemas.filings_result import FilingsResult
from schemas.jobs import JobRequest, NotifySpec
from schemas.names import POOLS
from schemas.settings import Settings
from streams.policy import RetryPolicy
from streams.record import JobRecord
from streams.states import ENDED

IMPATIENT = RetryPolicy(max_attempts=3, base_s=0.02, cap_s=0.05)
TENANT = "default"


def with_retry(flow: Flow, retry: RetryPolicy) -> Flow:
    """The same flow with other retries."""
    return replace(
        flow, stages=tuple(replace(one, policy=replace(one.policy, retry=retry)) for one in flow.by_name.values())
    )


def without_limits(flow: Flow) -> Flow:
    """The same flow, as fast as it can."""
    return replace(
        flow, stages=tuple(replace(one, policy=replace(one.policy, limits=())) for one in flow.by_name.values())
    )


@dataclass(frozen=True)
class Place:
    """Where jobs run."""

    worker: Worker

    @property
    def store(self) -> Store:
        """What jobs leave behind."""
        return self.worker.resources.store

    async def submit(self, *, notify: Mapping[str, Any] | None = None, **spec: Any) -> str:
        """Submit a job of the flow that runs here."""
        (flow,) = self.worker.flows.by_name
        told = NotifySpec.model_validate(notify) if notify else None
        request = JobRequest(flow=flow, spec=spec, notify=told)
        return (await submit(self.worker.jobs, self.worker.flows, request)).job_id

    async def ended(self, job_id: str, within_s: float = 60.0) -> JobRecord:
        """The job's record when nothing of it is open."""
        settled = asyncio.Event()
        self.worker.signals.listen(lambda name, _: settled.set() if name in {"settled", "timers.promoted"} else None)
        async with asyncio.timeout(within_s):
            while True:
                settled.clear()
                record = await self.worker.jobs.job(job_id)
                assert record is not None
                if record.status in ENDED and not record.number("tail") and not record.number("work"):
                    return record
                await settled.wait()

    async def run(self, *, notify: Mapping[str, Any] | None = None, **spec: Any) -> JobRecord:
        """Submit and wait."""
        return await self.ended(await self.submit(notify=notify, **spec))

    async def result(self, job_id: str) -> FilingsResult:
        """The job's result as it is kept."""
        kept = await self.store.results.get(job_id, tenant=TENANT)
        assert kept is not None
        return FilingsResult.model_validate(kept.payload)

    async def artifact(self, job_id: str, name: str) -> bytes:
        """The bytes of one of its files."""
        (found,) = [one for one in await self.store.artifacts.of(job_id, tenant=TENANT) if one.name == name]
        return await self.worker.resources.blobs.read(found.sha256, tenant=TENANT)

    async def errors(self, job_id: str) -> list[str]:
        """What its dead letters say."""
        letters = await self.worker.jobs.dead_letters()
        return [f"{one.fields['reason']}: {one.fields['error']}" for one in letters if one.fields["job"] == job_id]


@contextlib.asynccontextmanager
async def place(
    redis_url: str,
    database_url: str | None,
    folder: Path,
    *,
    flow: Flow = filings,
    fetching: Mapping[str, Any] | None = None,
    follows: tuple[Callable[[Worker], Service], ...] = (),
    **settings: Any,
) -> AsyncIterator[Place]:
    """A running worker; retries and politeness take no time.

    Args:
        folder: For artifacts.
        fetching: Fields of `FetcherConfig`.
        follows: Services that run beside the stages.
        settings: Fields of `Settings`, with `namespace` among them.
    """
    read = Settings(artifacts_url=str(folder / "artifacts"), **settings)
    resources = SharedResources(read, database_url)
    resources.fetch = Fetcher(FetcherConfig(allow_hosts=read.allow_hosts, **(fetching or {})))
    resources.robots = RobotsCache(resources.fetch, keep_unreachable_s=0.05)
    resources.politeness = Politeness(PolitenessPolicy(delay_s=0.0, max_concurrent=8))
    async with resources:
        flows = Flows([with_retry(flow, IMPATIENT)])
        options = WorkerOptions(follows=follows, pools=POOLS)
        worker = Worker(read, redis_url=redis_url, flows=flows, resources=resources, options=options)
        await worker.start()
        try:
            yield Place(worker)
        finally:
            await worker.drain(5.0)


def audit_place(
    redis_url: str, database_url: str, folder: Path, **settings: Any
) -> contextlib.AbstractAsyncContextManager[Place]:
    """A running worker for audits, which begin and go on as fast as they can."""
    return place(redis_url, database_url, folder, flow=without_limits(audit), **settings)
