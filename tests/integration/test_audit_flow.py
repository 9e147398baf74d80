"""The `audit` flow end to end: a real site, a real worker, real servers."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from consumers.audit.flow import flow as audit
from consumers.flow import Flows
from consumers.store import upgrade
from consumers.submit import submit
from schemas.audit_result import AuditResult
from schemas.jobs import JobRequest
from streams.connect import connect
from streams.keys import Keys
from streams.log import Log
from tests.support.audit_site import Answer, Page, page, serve_site
from tests.support.flow_place import TENANT, Place, audit_place, without_limits
from tests.support.servers import REPOSITORY

Open = Callable[[str], Awaitable[Place]]


@pytest.fixture(scope="module")
def database_url(postgres_url: str) -> str:
    asyncio.run(upgrade(postgres_url))
    return postgres_url


@pytest.fixture
async def open_place(valkey_url: str, database_url: str, namespace: str, tmp_path: Path) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def opened(*allow: str) -> Place:
            return await stack.enter_async_context(
                audit_place(valkey_url, database_url, tmp_path, namespace=namespace, allow_hosts=allow, lease_ms=1_000)
            )

        yield opened


@asynccontextmanager
async def submitting(redis_url: str, namespace: str) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Submits audits where no worker of this process is."""
    client, flows = connect(redis_url), Flows([without_limits(audit)])
    log = Log(client, Keys(namespace), flows, record_ttl_s=600)

    async def submit_one(**spec: object) -> str:
        return (await submit(log, flows, JobRequest(flow="audit", spec=dict(spec)))).job_id

    try:
        yield submit_one
    finally:
        await client.aclose()


async def result_of(here: Place, job_id: str) -> AuditResult:
    kept = await here.store.results.get(job_id, tenant=TENANT)
    assert kept is not None
    return AuditResult.model_validate(kept.payload)


async def test_every_page_once(open_place: Open) -> None:
    links = "".join(f'<p><a href="/p{n}">page {n}</a></p>' for n in range(12))
    pages = {"/": page("Home", links), "/robots.txt": "User-agent: *\nDisallow: /private\n"}
    pages |= {f"/p{n}": page(f"Page {n}", links + '<a href="/private">x</a><a href="/gone">y</a>') for n in range(12)}
    async with serve_site(pages) as site:
        here = await open_place(site.place)
        record = await here.run(url=site.url, pagespeed=False, geo=False, report=False)
        assert record.status == "succeeded"
        result = await result_of(here, record.job_id)
    assert result.pages.crawled == 15
    assert result.pages.html == 13
    assert result.pages.blocked == 1
    assert result.pages.errors == 1
    assert all(site.asked[f"/p{n}"] == 1 for n in range(12))
    assert site.asked["/private"] == 0


FAST: dict[str, Any] = {"pagespeed": False, "geo": False, "report": False}


async def urls_of(here: Place, job_id: str) -> list[str]:
    return [one.url async for one in here.store.audits.every_page(job_id, tenant=TENANT)]


async def test_redirects_loops_sitemaps_and_what_is_left_out(open_place: Open) -> None:
    def moved(to: str) -> web.Response:
        return web.Response(status=301, headers={"Location": to})

    links = "".join(
        f'<a href="{one}">{one}</a> '
        for one in ("/old", "/circle", "/report.pdf", "/en/blog/x", "//other.invalid/", "/late")
    )
    late = iter([503, 503])
    pages: dict[str, Page] = {
        "/": page("Home", links + '<a rel="nofollow" href="/nofollow">n</a>'),
        "/robots.txt": "User-agent: *\nDisallow: /private\nSitemap: /index.xml\n",
        "/old": lambda _: moved("/older"),
        "/older": lambda _: moved("/new"),
        "/new": page("New", "<p>here</p>"),
        "/circle": lambda _: moved("/circle2"),
        "/circle2": lambda _: moved("/circle"),
        "/report.pdf": lambda _: web.Response(body=b"%PDF-1.4", content_type="application/pdf"),
        "/late": lambda _: next(late, page("Late", "<p>at last</p>")),
        "/lonely": page("Lonely", "<p>only in the sitemap</p>"),
    }
    async with serve_site(pages) as site:
        at = site.url
        site.pages["/robots.txt"] = f"User-agent: *\nDisallow: /private\nSitemap: {at}index.xml\n"
        space = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
        site.pages["/index.xml"] = f"<sitemapindex {space}><sitemap><loc>{at}map.xml</loc></sitemap></sitemapindex>"
        site.pages["/map.xml"] = (
            f"<urlset {space}><url><loc>{at}lonely</loc></url><url><loc>{at}new</loc></url></urlset>"
        )
        here = await open_place(site.place)
        record = await here.run(url=at, exclude=["/en/*"], **FAST)
        found = {one.url: one async for one in here.store.audits.every_page(record.job_id, tenant=TENANT)}
        issues = {(one.rule, one.url) async for one in here.store.audits.every_issue(record.job_id, tenant=TENANT)}
    paths = {url.removeprefix(at): one for url, one in found.items()}
    assert set(paths) == {"", "old", "circle", "new", "late", "lonely"}
    assert [hop["location"] for hop in paths["old"].payload["page"]["redirects"]] == [f"{at}older", f"{at}new"]
    assert paths["old"].page_type == "redirect"
    assert paths["circle"].payload["page"]["failure"] == "redirect_loop"
    assert len(paths["circle"].payload["page"]["redirects"]) == 2
    assert (paths["late"].status, site.asked["/late"]) == (200, 3)
    assert (site.asked["/nofollow"], site.asked["/en/blog/x"], site.asked["/report.pdf"]) == (0, 0, 1)
    assert ("redirect-loop", f"{at}circle") in issues
    assert ("redirect-chain", f"{at}old") in issues
    assert ("redirect-chain", f"{at}new") not in issues
    assert ("orphan-page", f"{at}lonely") in issues
    assert len(found) == len(await urls_of(here, record.job_id))


async def test_a_trap_does_not_eat_the_pages_and_unchanged_pages_are_not_sent_again(open_place: Open) -> None:
    def day(request: web.Request) -> Answer:
        n = int(request.query.get("day", 0))
        return page(f"Day {n}", "".join(f'<a href="/calendar?day={n + k}">next</a>' for k in range(1, 8)))

    def tagged(request: web.Request) -> Answer:
        if request.headers.get("If-None-Match") == '"v1"':
            return web.Response(status=304)
        body = page(request.path, "<p>same as ever</p>" + links)
        return web.Response(text=body, content_type="text/html", headers={"ETag": '"v1"'})

    links = "".join(f'<a href="/real{n}">r</a>' for n in range(30))
    pages: dict[str, Page] = {"/": page("Home", f'<a href="/calendar?day=1">c</a>{links}'), "/calendar": day}
    pages |= {f"/real{n}": tagged for n in range(30)}
    async with serve_site(pages) as site:
        here = await open_place(site.place)
        first = await here.run(url=site.url, max_pages=100, **FAST)
        result = await result_of(here, first.job_id)
        second = await here.run(url=site.url, max_pages=100, **FAST)
        again = await result_of(here, second.job_id)
        read = await urls_of(here, first.job_id)
    assert sum("calendar" in one for one in read) == 25
    assert sum("real" in one for one in read) == 30
    assert not result.is_complete
    assert again.pages.reused == 30
    assert (again.pages.crawled, again.pages.html) == (result.pages.crawled, result.pages.html)
    assert again.comparison is not None
    assert (again.comparison.new, again.comparison.fixed) == (0, 0)


async def test_a_killed_worker_loses_no_page_and_counts_none_twice(
    open_place: Open, valkey_url: str, database_url: str, namespace: str, tmp_path: Path
) -> None:
    links = "".join(f'<a href="/p{n}">p</a>' for n in range(80))
    pages = {"/": page("Home", links)} | {f"/p{n}": page(f"Page {n}", links) for n in range(80)}
    async with serve_site(pages) as site:
        program = [sys.executable, "-m", "tests.support.audit_worker"]
        program += [valkey_url, database_url, namespace, str(tmp_path), site.place]
        doomed = await asyncio.create_subprocess_exec(*program, cwd=REPOSITORY, start_new_session=True)
        try:
            site.when(30, lambda: doomed.send_signal(signal.SIGKILL))
            async with submitting(valkey_url, namespace) as submit_one:
                job_id = await submit_one(url=site.url, max_pages=200, **FAST)
            assert await asyncio.wait_for(doomed.wait(), 60) == -signal.SIGKILL
        finally:
            if doomed.returncode is None:
                doomed.kill()
                await doomed.wait()
        assert sum(site.asked[f"/p{n}"] for n in range(80)) < 80
        here = await open_place(site.place)
        record = await here.ended(job_id)
        read = await urls_of(here, job_id)
    assert record.status == "succeeded"
    assert sorted(read) == sorted([site.url, *(f"{site.url}p{n}" for n in range(80))])
    assert (await result_of(here, job_id)).pages.crawled == 81
    # What was in the dead worker's hands is asked for once more, and nothing else.
    assert max(site.asked[f"/p{n}"] for n in range(80)) <= 2
