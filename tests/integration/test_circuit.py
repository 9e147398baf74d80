"""A site that is down is left alone by every task that would ask it, and asked again when it is time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from consumers.net.breaker import FAILURES, OPEN_S, PATIENCE_S
from consumers.net.errors import CircuitOpenError, FetchFailedError
from consumers.net.fetch import Fetcher, FetcherConfig
from consumers.outcome import Done, Outcome
from streams.policy import RetryPolicy, StagePolicy
from tests.support.chaos_local import Note, flow_of, here

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from consumers.context import StageContext


class Site:
    """Answers with `status`; counts."""

    def __init__(self) -> None:
        self.status, self.hits, self.port = 503, 0, 0

    async def answer(self, _: web.Request) -> web.Response:
        self.hits += 1
        return web.Response(status=self.status, text="here")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def allow(self) -> tuple[str, ...]:
        return (f"127.0.0.1:{self.port}",)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made, app = Site(), web.Application()
    app.router.add_get("/", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


async def test_an_open_host_is_not_asked_until_it_is_time(site: Site) -> None:
    now = [0.0]
    async with Fetcher(FetcherConfig(allow_hosts=site.allow), clock=lambda: now[0]) as fetcher:
        for _ in range(FAILURES):
            with pytest.raises(FetchFailedError, match="503"):
                await fetcher.get(site.url)
        with pytest.raises(CircuitOpenError) as caught:
            await fetcher.get(site.url)
        assert (caught.value.reason, caught.value.retry_after_s) == ("circuit_open", OPEN_S)
        assert site.hits == FAILURES
        now[0] = OPEN_S
        with pytest.raises(FetchFailedError, match="503"):
            await fetcher.get(site.url)
        now[0] += 2 * OPEN_S
        site.status = 404  # an answer, if not the one that was hoped for
        assert (await fetcher.get(site.url, any_status=True)).status == 404
        site.status = 200
        assert (await fetcher.get(site.url)).body == b"here"
        assert fetcher.breakers.open() == []


async def test_connections_that_fail_count_and_a_long_failure_is_one(site: Site) -> None:
    now, port = [0.0], site.port
    async with Fetcher(FetcherConfig(allow_hosts=(f"127.0.0.1:{port}",)), clock=lambda: now[0]) as fetcher:
        site.status = 500
        for _ in range(FAILURES):
            with pytest.raises(FetchFailedError):
                await fetcher.get(site.url)
        while now[0] <= PATIENCE_S:
            now[0] += PATIENCE_S
            with pytest.raises(FetchFailedError, match="500"):
                await fetcher.get(site.url)
        with pytest.raises(FetchFailedError) as caught:
            await fetcher.get(site.url)
        assert caught.value.reason == "circuit_open"


async def test_tasks_for_an_open_host_wait_without_an_attempt(valkey_url: str, namespace: str, site: Site) -> None:
    async def asks(_: Note, ctx: StageContext) -> Outcome:
        await ctx.fetch.get(site.url)
        return Done()

    now = [0.0]
    quick = RetryPolicy(max_attempts=2 * FAILURES, base_s=0.01, cap_s=0.02)
    flow = flow_of(crawl=asks, policies={"crawl": StagePolicy(retry=quick)})
    async with here(valkey_url, namespace, flow, allow_hosts=site.allow) as place:
        fetcher = place.resources.fetch
        fetcher._clock = lambda: now[0]
        worker = await place.start()
        job = await place.submit()

        async def snoozed() -> bool:
            return bool(await place.told(job, "snoozed"))

        await place.until(snoozed, "a snooze")
        assert site.hits == FAILURES
        (row,) = await place.told(job, "snoozed")
        assert (row["reason"], row["attempt"]) == ("circuit_open", str(FAILURES + 1))
        assert fetcher.breakers.open() == [f"127.0.0.1:{site.port}"]

        site.status, now[0] = 200, OPEN_S
        keys = place.log.keys.partition(0)
        await place.log.client.zadd(keys.timers, {f"task/{job}/1": 1})  # its time has come
        assert (await place.ended(job)).status == "succeeded"
        (done,) = [row for row in await place.told(job, "completed") if row["stage"] == "crawl"]
        assert done["attempt"] == str(FAILURES + 1), "waiting spent none"
        assert not worker.crashed
