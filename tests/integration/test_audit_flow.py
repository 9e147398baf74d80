"""The `audit` flow end to end: a real site, a real worker, real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from consumers.store import upgrade
from schemas.audit import AuditResult
from tests.support.audit_site import page, serve_site
from tests.support.flow_place import TENANT, Place, audit_place

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
                audit_place(valkey_url, database_url, tmp_path, namespace=namespace, allow_hosts=allow)
            )

        yield opened


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
