"""Watching a company: conditional GETs, and a word only when there is news."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from api.demo.build import ensure_site
from api.demo.site import DemoSite
from api.demo.web_pages import annual_report_path
from consumers.store import upgrade
from tests.support.flow_place import place

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(scope="module")
def database_url(postgres_url: str) -> str:
    asyncio.run(upgrade(postgres_url))
    return postgres_url


@pytest.fixture
async def hooks() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """Where webhooks go, and those that came."""
    taken: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        taken.append(json.loads(await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", taken
    await runner.cleanup()


async def test_only_a_new_filing_is_told_of_and_nothing_is_fetched_twice(
    valkey_url: str, database_url: str, namespace: str, tmp_path: Path, hooks: tuple[str, list[dict[str, Any]]]
) -> None:
    url, taken = hooks
    folder = tmp_path / "site"
    await asyncio.to_thread(shutil.copytree, ensure_site(tmp_path / "made"), folder)
    latest = folder / annual_report_path(2024).lstrip("/")
    kept = latest.read_bytes()
    latest.write_bytes((folder / annual_report_path(2023).lstrip("/")).read_bytes())
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(DemoSite.serve(folder))
        allow = (f"127.0.0.1:{site.port}", url.removeprefix("http://").removesuffix("/hook"))
        here = await stack.enter_async_context(
            place(valkey_url, database_url, tmp_path, namespace=namespace, allow_hosts=allow, webhook_secret=SECRET)
        )

        async def watched() -> str:
            site.answered.clear()
            return await here.submit(url=site.url, watch=True, notify={"webhook": url})

        first = await here.ended(await watched())
        baseline = await here.result(first.job_id)
        assert (first.status, baseline.news, taken) == ("succeeded", None, [])
        # The same bytes at two addresses are one document.
        assert len({document.sha256 for document in baseline.documents}) == len(baseline.documents) == 5

        second = await here.ended(await watched())
        assert (second.status, taken) == ("succeeded", [])
        assert not (await here.result(second.job_id)).news
        assert second.number("extract.done") == 0
        pages = {status for path, status in site.answered if path.startswith("/investors")}
        assert pages == {304, 404}  # one link is broken
        assert not any(status == 200 for path, status in site.answered if path.endswith(".pdf"))

        latest.write_bytes(kept)
        third = await here.ended(await watched())
        news = (await here.result(third.job_id)).news
        assert news
        assert [document.confirmed.fiscal_year for document in news.filings if document.confirmed] == [2024]
        assert news.lines[0].startswith("new filing: annual report 2024")
        # The one that had the other's bytes may have been the one that was read: then both are read now.
        assert third.number("extract.done") in {1, 2}
        (told,) = taken
        assert list(news.lines) == told["data"]["news"]


async def test_two_jobs_of_one_company_run_one_after_the_other(
    valkey_url: str, database_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.crawl.filings.WAIT_S", 0.2)
    folder = ensure_site(tmp_path)
    async with DemoSite.serve(folder) as site:
        running = place(
            valkey_url, database_url, tmp_path, namespace=namespace, allow_hosts=(f"127.0.0.1:{site.port}",)
        )
        async with running as here:
            jobs = [await here.submit(url=site.url, years=[2023]) for _ in range(2)]
            records = [await here.ended(job) for job in jobs]
            assert [record.status for record in records] == ["succeeded", "succeeded"]
            moves = [[row["type"] for _, row in await here.worker.jobs.lifecycle(job)] for job in jobs]
            assert sorted("snoozed" in told for told in moves) == [False, True]
